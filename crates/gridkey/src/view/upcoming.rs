//! What comes up: rotations that come due, older keys and locations that go, environments that end.

use gridkey_core::plan::{Action, Change, Note, Plan};
use jiff::{SignedDuration, Timestamp};

use super::words::{safe, time};

/// How far ahead people are told of rotations and of environments that end.
const AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What comes up after the plan, the soonest first, a line each.
///
/// What a change of the plan says in its own lines is left out.
pub fn upcoming(plan: &Plan) -> Vec<String> {
    let mut dates: Vec<(Timestamp, String)> = plan
        .changes
        .iter()
        .flat_map(|change| {
            let observed = plan.accounts.get(&change.account).and_then(|account| account.observed_at);
            observed.map(|observed| of_change(change, observed)).unwrap_or_default()
        })
        .collect();
    dates.sort();
    dates.into_iter().map(|(at, words)| format!("{}  {words}", time(at))).collect()
}

/// Whether a key is still there after a change, and no new one.
fn stays(action: Action) -> bool {
    match action {
        Action::Rotate | Action::Delete | Action::Forget => false,
        Action::Recover
        | Action::Move
        | Action::Adopt
        | Action::Retire
        | Action::Update
        | Action::Deliver
        | Action::Create
        | Action::Keep => true,
    }
}

fn of_change(change: &Change, observed: Timestamp) -> Vec<(Timestamp, String)> {
    let Change {
        address,
        account: _,
        action,
        cause: _,
        reasons: _,
        before: _,
        after: _,
        notes,
        steps: _,
        rotation,
        position: _,
    } = change;
    let soon = |at: Timestamp| at > observed && at.duration_since(observed) <= AHEAD;
    let mut dates = Vec::new();
    if let Some(rotation) = rotation.filter(|rotation| soon(rotation.due) && stays(*action)) {
        dates.push((rotation.due, format!("{address} is due for rotation")));
    }
    if *action != Action::Keep {
        return dates;
    }
    for note in notes {
        match note {
            Note::RetiringKey { id, after } => {
                dates.push((*after, format!("{address}: older key {id} is revoked")));
            }
            Note::RetiringLocation { location, after } => {
                dates.push((*after, format!("{address}: {} is cleared", safe(location.to_string()))));
            }
            Note::Expires(at) if soon(*at) => {
                dates.push((*at, format!("{address} is revoked, as its environment ends")));
            }
            _ => {}
        }
    }
    dates
}
