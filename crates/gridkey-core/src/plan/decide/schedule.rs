//! Due work of a key: a rotation that comes due, and the end of an environment whose `ttl` has passed.
//!
//! Each is decided beside what else would be done, so that it can be left for another run.

use std::time::Duration;

use jiff::Timestamp;

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::manifest::{AtLimit, Rotation, WantedKey};
use crate::plan::account::{Account, Presence};
use crate::plan::applied::as_applied;
use crate::plan::decide::decision::{Due, What};
use crate::plan::decide::mint::{Minting, Predecessor};
use crate::plan::decide::recover::Recovered;
use crate::plan::decide::remove;
use crate::plan::decide::retire::Retirement;
use crate::plan::document::change::{Action, Cause, Reason, RotationDates};
use crate::plan::findings::{Findings, about};
use crate::state::{OwnedKey, RevokeOld, SecretStatus};
use crate::time::{days, earlier, later};

/// Late by more than this is worth a finding: a nightly job that was missed once is not.
pub(crate) const OVERDUE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether something is late enough to be told.
pub(crate) fn is_overdue(at: Timestamp, now: Timestamp) -> bool {
    later(at, OVERDUE) < now
}

/// When a key that is there is due for rotation, where it ever is.
pub(crate) fn rotation_dates(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
) -> Option<RotationDates> {
    let now = dates(wanted.rotate?, owned);
    if !account.index.is_due_alone() {
        return Some(now);
    }
    // Where edits are left for another run, it is due once it is both as applied and as wanted.
    let applied = dates(account.index.applied_lifecycle(wanted, owned).rotate?, owned);
    Some(if now.due > applied.due { now } else { applied })
}

fn dates(rotation: Rotation, owned: &OwnedKey) -> RotationDates {
    let made = owned.born.at();
    RotationDates { made, due: later(made, rotation.every), overlap: rotation.overlap }
}

/// When the keys of an environment are to be revoked: its `ttl` after its first key.
pub(crate) fn expires(account: &Account<'_>, wanted: &WantedKey, owned: &OwnedKey) -> Option<Timestamp> {
    let since = account.index.since(wanted.address.environment.as_ref())?;
    let now = later(since, wanted.ttl?);
    if !account.index.is_due_alone() {
        return Some(now);
    }
    Some(now.max(later(since, account.index.applied_lifecycle(wanted, owned).ttl?)))
}

/// Whether an environment of the manifest is past its time.
pub(crate) fn has_expired(account: &Account<'_>, wanted: &WantedKey, address: &Address) -> bool {
    let since = account.index.since(address.environment.as_ref());
    wanted.ttl.zip(since).is_some_and(|(ttl, since)| later(since, ttl) <= account.at())
}

/// The deletion that the environment's `ttl` brings.
pub(crate) fn expiry(account: &Account<'_>, wanted: &WantedKey, owned: &OwnedKey) -> Option<Due> {
    let at = expires(account, wanted, owned).filter(|at| *at <= account.at())?;
    // A `ttl` that was edited in the same run is the edit's doing, and counts as a deletion like any other.
    let applied = account.index.applied_lifecycle(wanted, owned).ttl;
    let since = account.index.since(wanted.address.environment.as_ref())?;
    let by_edit = applied.is_none_or(|ttl| later(since, ttl) > account.at());
    let cause = if by_edit { Cause::Edited } else { Cause::Expired };
    let part = remove::delete(account, &wanted.address, owned, cause, Reason::TtlPassed);
    Some(Due { part, what: What::Expiry, at, by_edit })
}

/// The rotation that has come due, or may be brought forward.
pub(crate) fn rotation(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    retirement: &Retirement,
    recovered: &Recovered,
    findings: &mut Findings<'_>,
) -> Option<Due> {
    let now = account.at();
    let applied = account.index.applied_lifecycle(wanted, owned).rotate;
    let rotation = match account.index.is_due_alone() {
        true => as_both_allow(applied?, wanted.rotate?),
        false => wanted.rotate?,
    };
    let by_edit = applied.is_none_or(|applied| self::dates(applied, owned).due > now);
    let dates = rotation_dates(account, wanted, owned)?;
    let soonest = rotation.warn_before.map_or(dates.due, |before| earlier(dates.due, before));
    if now < soonest || account.presence(owned) != Presence::Live {
        return None;
    }
    if let Some(why) = waits_for(wanted, owned, retirement) {
        if is_overdue(dates.due, now) {
            findings.raise(waiting(wanted, why));
        }
        return None;
    }
    // Nothing but due work: edits of the manifest are left for another run.
    let as_it_is = account.index.is_due_alone();
    let applied =
        as_it_is.then(|| as_applied(account.input.manifest, account.declared, &wanted.address, owned));
    let wanted = applied.as_ref().unwrap_or(wanted);
    let reason = if dates.due <= now { Reason::RotationDue } else { Reason::RotationEarly };
    let older = Predecessor::Here(owned, RevokeOld::AfterOverlap);
    let minting = Minting { account, wanted, older, recovered };
    let mut part = minting.part(Action::Rotate, Cause::Due, reason)?;
    retirement.add_requested(&mut part);
    Some(Due { part, what: What::Rotation(rotation.at_limit), at: dates.due, by_edit })
}

/// What was applied; but where one of the two does not want the older key revoked first, or the rotation brought
/// forward, it is not.
fn as_both_allow(applied: Rotation, wanted: Rotation) -> Rotation {
    let at_limit = match applied.at_limit {
        AtLimit::Replace => wanted.at_limit,
        AtLimit::Postpone | AtLimit::Block => applied.at_limit,
    };
    let warn_before =
        applied.warn_before.zip(wanted.warn_before).map(|(applied, wanted)| applied.min(wanted));
    Rotation { at_limit, warn_before, ..applied }
}

/// Why a rotation that is due is not made by the clock.
#[derive(Clone, Copy)]
enum Waits {
    SecretUnknown,
    NoSink,
    /// Never more than one successor is under way.
    OlderKey,
}

fn waits_for(wanted: &WantedKey, owned: &OwnedKey, retirement: &Retirement) -> Option<Waits> {
    if wanted.sinks.is_empty() {
        Some(Waits::NoSink)
    } else if owned.secret == SecretStatus::Unknown {
        Some(Waits::SecretUnknown)
    } else if retirement.is_waiting() {
        Some(Waits::OlderKey)
    } else {
        None
    }
}

fn waiting(wanted: &WantedKey, why: Waits) -> Finding {
    let address = &wanted.address;
    let (why, help) = match why {
        Waits::SecretUnknown => (
            "whether a program has its secret is not known, so it is rotated only when that is asked for",
            format!("`gridkey rotate {address}` asks for it"),
        ),
        Waits::NoSink => (
            "it has no sink that a new key could be delivered to",
            "give it `sinks`: SendGrid shows a secret once".to_string(),
        ),
        Waits::OlderKey => (
            "the key before it has not been revoked yet",
            format!("`gridkey retire {address} --now` revokes that one, where nothing uses it any more"),
        ),
    };
    let message = format!("the rotation of `{address}` is due, and waits: {why}");
    about(Finding::warns(Code::RotationDue, message, help), wanted)
}

/// Tells of what is due and is not done by this run: a rotation that is long due, and what no other run would do, as it
/// is due by an edit.
pub(crate) fn left(due: &Due, address: &Address, now: Timestamp) -> Option<Finding> {
    let told = is_overdue(due.at, now) || due.by_edit || due.what == What::Expiry;
    if due.at > now || !told {
        return None;
    }
    let help = "`gridkey apply` does both; `gridkey rotate --due` does what is due by what was applied";
    let message = match due.what {
        What::Rotation(_) if due.by_edit => {
            format!(
                "the rotation of `{address}` is due by the edit in this plan, and is left for another run"
            )
        }
        What::Rotation(_) => {
            let days = days(now.duration_since(due.at));
            format!("the rotation of `{address}` has been due for {days}, and is left for another run")
        }
        What::Expiry if due.by_edit => {
            format!(
                "`{address}` is past its environment's ttl by the edit in this plan, and is left for another run"
            )
        }
        What::Expiry => format!("`{address}` is past its environment's ttl, and is left for another run"),
    };
    let help = if due.by_edit { help } else { "`gridkey rotate --due` does what is due" };
    Some(Finding::warns(Code::RotationDue, message, help))
}
