//! What the clock brings: rotations that come due, and environments whose `ttl` has passed.
//!
//! Each stands beside what else would be done at its address, so that it can be left for another run:
//! because a person said so, because nobody approved it, or because the account has no slot for it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::address::Address;
use crate::finding::{Code, Finding, Severity};
use crate::manifest::{AtLimit, WantedKey};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::choose::approval::Approval;
use crate::plan::document::change::{Change, Reason, RotationDates};
use crate::plan::document::step::Step;
use crate::plan::findings::{Gates, blocks};
use crate::plan::input;
use crate::plan::judge::capacity;
use crate::state::OwnedKey;
use crate::state::RevokeOld;

/// Late by more than this is worth a finding: a nightly job that was missed once is not.
const OVERDUE: Duration = Duration::from_secs(24 * 60 * 60);

/// A change that only the clock brings.
pub(crate) struct Due {
    pub change: Change,
    pub what: What,
    /// When it comes, or came, due.
    pub at: Timestamp,
    /// What was found about it, and counts only where it is done.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Rotation(AtLimit),
    Expiry,
}

/// What was decided about an account's due changes.
#[derive(Default)]
pub(crate) struct Chosen {
    /// Each takes the place of what else would be done at its address.
    pub done: Vec<Change>,
    /// Due, and not approved.
    pub left: Vec<Change>,
}

/// When a key that is there is due for rotation, where it ever is.
pub(crate) fn rotation_dates(wanted: &WantedKey, owned: &OwnedKey) -> Option<RotationDates> {
    let rotation = wanted.rotate?;
    let made = owned.born.at();
    Some(RotationDates { made, due: later(made, rotation.every), overlap: rotation.overlap })
}

/// When the keys of an environment are to be revoked: its `ttl` after the first of them was made.
pub(crate) fn expires(account: &Account<'_>, environment: Option<&Name>) -> Option<Timestamp> {
    let environment = environment?;
    let ttl = account.input.manifest.environments.get(environment)?.ttl?;
    let keys = account.input.states.values().flat_map(|state| &state.keys);
    let first = keys
        .filter(|(address, _)| address.environment.as_ref() == Some(environment))
        .map(|(_, key)| key.born.at())
        .min()?;
    Some(later(first, ttl))
}

/// Whether an environment is past its time.
pub(crate) fn has_expired(account: &Account<'_>, address: &Address) -> bool {
    expires(account, address.environment.as_ref()).is_some_and(|at| at <= account.at())
}

/// Whole days in words; some seconds less than one are one.
pub(crate) fn days(span: SignedDuration) -> String {
    match (span.as_mins() + 30) / (24 * 60) {
        1 => "1 day".to_string(),
        days => format!("{days} days"),
    }
}

pub(crate) fn later(at: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Whether something is late enough to be told.
pub(crate) fn is_overdue(at: Timestamp, now: Timestamp) -> bool {
    later(at, OVERDUE) < now
}

/// Chooses what is done of what the clock brought: all that has expired, and as many rotations as there are
/// slots for, the oldest first.
///
/// `rest` is what else is done in the account.
pub(crate) fn choose(
    account: &Account<'_>,
    rest: &[Change],
    due: Vec<Due>,
    approval: Option<&Approval>,
    gates: &mut Gates<'_>,
) -> Chosen {
    let mut chosen = Chosen::default();
    let now = account.at();
    if account.input.options.due == input::Due::Exclude {
        due.iter().for_each(|due| overdue(account, due, "is left for another run", gates));
        return chosen;
    }
    let mut rotations = Vec::new();
    for due in due {
        // What is left alone altogether is not replaced either; but where there is nothing but the clock, the
        // rest is left out on purpose.
        let known = rest.iter().any(|change| change.address == due.change.address);
        if !known && account.input.options.due != input::Due::Only {
            continue;
        }
        if let Some(stands) = due.findings.iter().find(|finding| finding.severity == Severity::Blocks) {
            cannot(account, &due, stands, gates);
        } else if approval.is_some_and(|approval| !approval.covers_due(&due.change)) {
            if due.at <= now {
                chosen.left.push(due.change);
            }
        } else if due.what == What::Expiry {
            chosen.take(due, gates);
        } else {
            rotations.push(due);
        }
    }
    rotations.sort_by(|a, b| (a.at, &a.change.address).cmp(&(b.at, &b.change.address)));
    fit(account, rest, rotations, approval.is_some(), &mut chosen, gates);
    chosen
}

impl Chosen {
    fn take(&mut self, due: Due, gates: &mut Gates<'_>) {
        due.findings.into_iter().for_each(|finding| gates.keep(finding));
        self.done.push(due.change);
    }
}

/// As many rotations as there are slots for, and ahead of time as many as would be late otherwise: so keys of
/// one birthday spread out by themselves.
fn fit(
    account: &Account<'_>,
    rest: &[Change],
    rotations: Vec<Due>,
    approved: bool,
    chosen: &mut Chosen,
    gates: &mut Gates<'_>,
) {
    let now = account.at();
    let replaced = |change: &&Change| !chosen.done.iter().any(|done| done.address == change.address);
    let others: Vec<Change> = rest.iter().filter(replaced).chain(&chosen.done).cloned().collect();
    let mut free = capacity::free(account, &others);
    let total = free;
    let ahead = if approved { rotations.len() } else { needed_now(account, &others, &rotations, free) };
    let mut postponed = Vec::new();
    for (index, mut due) in rotations.into_iter().enumerate() {
        let What::Rotation(at_limit) = due.what else { continue };
        let is_due = due.at <= now;
        if !is_due && index >= ahead {
            continue;
        }
        if free > 0 {
            free -= 1;
            chosen.take(due, gates);
            continue;
        }
        match at_limit {
            AtLimit::Replace if is_due => {
                revoke_first(&mut due.change);
                chosen.take(due, gates);
            }
            AtLimit::Block if is_due => gates.raise(postponement(account, Severity::Blocks, &[&due], total)),
            AtLimit::Postpone | AtLimit::Replace | AtLimit::Block if is_due => postponed.push(due),
            AtLimit::Postpone | AtLimit::Replace | AtLimit::Block => {}
        }
    }
    if !postponed.is_empty() {
        let all: Vec<&Due> = postponed.iter().collect();
        gates.raise(postponement(account, Severity::Warns, &all, total));
    }
}

/// How many of the rotations, sorted by the time they come due, have to be done in this run so that none is
/// late.
///
/// A slot serves one rotation in an overlap and the day until the next run. One that has to wait for more
/// rounds than it has time for makes the first ones go now.
fn needed_now(account: &Account<'_>, others: &[Change], rotations: &[Due], free: u32) -> usize {
    let now = account.at();
    let slots = (free + capacity::retiring(account, others)) as usize;
    let late = |index: usize, due: &Due| {
        let Some(wanted) = account.wanted(&due.change.address).and_then(|wanted| wanted.rotate) else {
            return false;
        };
        let round = wanted.overlap + OVERDUE;
        let rounds = u32::try_from(index / slots.max(1)).unwrap_or(u32::MAX);
        // Some runs fail, and some find a sink that cannot be read: a third of the time ahead is kept for that.
        let spare = wanted.warn_before.unwrap_or_default() / 3;
        later(now, round.saturating_mul(rounds).saturating_add(spare)) > due.at
    };
    // Whoever is late in some round would be on time, were everybody before it that much earlier.
    let last = rotations.iter().enumerate().rev().find(|(index, due)| late(*index, due));
    last.map_or(0, |(index, _)| index + 1)
}

/// The older key goes before the new one is made, as the account has no slot for both.
fn revoke_first(change: &mut Change) {
    let Some(before) = change.before.as_ref().and_then(|before| before.id.clone()) else { return };
    let born = change.rotation.map_or(Timestamp::UNIX_EPOCH, |dates| dates.made);
    for step in &mut change.steps {
        if let Step::Mint(mint) = step {
            mint.older = RevokeOld::First;
        }
    }
    change.steps.insert(0, Step::RevokeFirst { id: before, born });
}

fn postponement(account: &Account<'_>, severity: Severity, due: &[&Due], slots: u32) -> Finding {
    let named: Vec<String> = due.iter().take(5).map(|due| format!("`{}`", due.change.address)).collect();
    let more = match due.len().saturating_sub(5) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (rotations, are) = match due.len() {
        1 => ("the rotation of".to_string(), "is due"),
        count => (format!("{count} rotations, of"), "are due"),
    };
    let all_for = match slots {
        0 => "has no free slot for a second key".to_string(),
        1 => "has 1 free slot, which an older one takes".to_string(),
        slots => format!("has {slots} free slots, which older ones take"),
    };
    let address = match due {
        [one] => Some(one.change.address.clone()),
        _ => None,
    };
    let how = match severity {
        Severity::Blocks | Severity::BlocksAccount => "and `at_limit: block` says to stop then",
        Severity::Allowed | Severity::Warns => "and postponed",
    };
    Finding {
        severity,
        account: Some(account.name().clone()),
        address,
        position: due.first().and_then(|due| due.change.position.clone()),
        ..blocks(
            Code::RotationPostponed,
            format!(
                "{rotations} {}{more} {are} {how}: account `{}` {all_for}",
                named.join(", "),
                account.name()
            ),
            "free slots: remove keys that nobody uses; or say `rotate: { at_limit: replace }`, which revokes the \
             older key first",
        )
    }
}

/// A rotation that has come due and cannot be done just now stands in nobody's way.
fn cannot(account: &Account<'_>, due: &Due, stands: &Finding, gates: &mut Gates<'_>) {
    if due.at > account.at() {
        return;
    }
    let what = match due.what {
        What::Rotation(_) => "due for rotation",
        What::Expiry => "past its environment's ttl",
    };
    gates.raise(Finding {
        severity: Severity::Warns,
        account: Some(account.name().clone()),
        address: Some(due.change.address.clone()),
        position: due.change.position.clone(),
        ..blocks(
            Code::RotationPostponed,
            format!("`{}` is {what}, which has to wait: {}", due.change.address, stands.message),
            stands.help.clone().unwrap_or_default(),
        )
    });
}

/// Tells of what is long due and is not done by this run.
pub(crate) fn overdue(account: &Account<'_>, due: &Due, why: &str, gates: &mut Gates<'_>) {
    let now = account.at();
    if !is_overdue(due.at, now) || due.what == What::Expiry {
        return;
    }
    let days = days(now.duration_since(due.at));
    let address = &due.change.address;
    gates.raise(Finding {
        severity: Severity::Warns,
        account: Some(account.name().clone()),
        address: Some(address.clone()),
        position: due.change.position.clone(),
        ..blocks(
            Code::RotationDue,
            format!("the rotation of `{address}` has been due for {days}, and {why}"),
            "`gridkey rotate --due` does what is due",
        )
    });
}

/// The reason of a rotation that the clock brings.
pub(crate) fn reason(due: Timestamp, now: Timestamp) -> Reason {
    if due <= now { Reason::RotationDue } else { Reason::RotationEarly }
}
