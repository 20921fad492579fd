//! Capacity: whether what a plan makes fits under SendGrid's cap, and under the project's own share.

use crate::finding::{Code, Finding};
use crate::plan::account::Account;
use crate::plan::choose::capacity::Counted;
use crate::plan::document::change::Capacity;
use crate::plan::document::step::Order;
use crate::plan::findings::Findings;
use crate::state::PendingPhase;

/// Reports what does not fit, and why deletions come first.
pub(crate) fn check(account: &Account<'_>, counted: &Counted, findings: &mut Findings<'_>) {
    if counted.made > 0 {
        over_limit(account, counted, findings);
    }
    if counted.gained > 0 {
        over_share(account, counted, findings);
    }
    match counted.order {
        Order::MakeFirst => {}
        Order::FreeFirst => deletions_first(account, counted, findings),
    }
}

fn deletions_first(account: &Account<'_>, counted: &Counted, findings: &mut Findings<'_>) {
    let Counted { made, deleted, .. } = counted;
    let name = account.name();
    let message = format!(
        "account `{name}` has no slots for {made} new and {deleted} older keys at once, so deletions come before what \
         is new"
    );
    let help = "free slots first where a program may still use one of the keys that go";
    findings.raise(Finding::warns(Code::DeletionsFirst, message, help).in_account(name));
}

fn over_limit(account: &Account<'_>, counted: &Counted, findings: &mut Findings<'_>) {
    let Counted { capacity, made, fullest, unresolved, .. } = counted;
    let Capacity { limit, max_keys: _, live, foreign, ours, after: _, peak: _ } = capacity;
    let needed = fullest + unresolved;
    if needed <= *limit {
        return;
    }
    let foreign_help = match foreign {
        0 => String::new(),
        1 => "; 1 key there is not gridkey's".to_string(),
        foreign => format!("; {foreign} keys there are not gridkey's"),
    };
    let waiting = match unresolved {
        0 => String::new(),
        unresolved => format!(", and {unresolved} of an earlier run may still turn up"),
    };
    let uncertain = match is_uncertain(account) {
        true => format!(
            "; or let the key that a write-only sink may have go at once: `--allow {}`",
            Code::UncertainKey
        ),
        false => String::new(),
    };
    let slots = match needed - limit {
        1 => "1 slot".to_string(),
        over => format!("{over} slots"),
    };
    let managing = match live - ours - foreign {
        0 => String::new(),
        managing => format!(", {managing} managing"),
    };
    let message = format!(
        "account `{}` allows {limit} keys and holds {live} ({ours} ours, {foreign} foreign{managing}); this plan makes {made}, \
         which comes to {fullest}{waiting}",
        account.name(),
    );
    let help = format!(
        "free {slots}: remove keys from the manifest, or revoke keys that nothing uses{foreign_help}{uncertain}"
    );
    let finding = Finding::blocks(Code::Capacity, message, help);
    findings.raise(finding.in_account(account.name()).at_position(Some(&account.declared.position)));
}

/// Whether a pending creation of the account had begun to deliver to a write-only sink.
fn is_uncertain(account: &Account<'_>) -> bool {
    let pending = account.state.into_iter().flat_map(|state| state.pending.values());
    pending.into_iter().any(|pending| pending.phase == PendingPhase::Delivering)
}

fn over_share(account: &Account<'_>, counted: &Counted, findings: &mut Findings<'_>) {
    let Counted { capacity, made, gained, fullest, .. } = counted;
    let Some(max) = capacity.max_keys else { return };
    let ours_after = fullest - (capacity.live - capacity.ours).min(*fullest);
    if ours_after <= max {
        return;
    }
    let may = if max == 1 { "1 key".to_string() } else { format!("{max} keys") };
    let adopts = match gained - made {
        0 => String::new(),
        adopted => format!(" and adopts {adopted}"),
    };
    let message = format!(
        "this project may hold {may} in account `{}` and holds {}; this plan makes {made}{adopts}, which comes to \
         {ours_after}",
        account.name(),
        capacity.ours,
    );
    let help = format!("raise `max_keys`, or `--allow {}`", Code::MaxKeys);
    let finding = Finding::blocks(Code::MaxKeys, message, help);
    findings.raise(finding.in_account(account.name()).at_position(Some(&account.declared.position)));
}
