//! Whether an account could be read, and is the one that state is about.

use crate::finding::{Code, Finding, Severity};
use crate::inventory::{ReadAccount, Unreadable, UnreadableReason};
use crate::manifest;
use crate::name::Name;
use crate::plan::findings::{Gates, blocks};
use crate::plan::input::PlanInput;
use crate::state::AccountState;

/// Whether what answered can be the account that state is about.
pub(crate) fn is_right_account(
    input: &PlanInput<'_>,
    declared: &manifest::Account,
    state: Option<&AccountState>,
    read: &ReadAccount,
    gates: &mut Gates<'_>,
) -> bool {
    let name = &declared.name;
    let finding = |code, message, help: String| Finding {
        severity: Severity::BlocksAccount,
        account: Some(name.clone()),
        position: Some(declared.position.clone()),
        ..blocks(code, message, help)
    };
    if let Some(state) = state.filter(|state| state.identity != declared.identity()) {
        gates.raise(finding(
            Code::AccountIdentity,
            format!("account `{name}` was {} when its state was written", state.identity),
            format!(
                "it is {} in the manifest now; give another account another name, and keep this block as long as \
                 it has keys",
                declared.identity()
            ),
        ));
        return false;
    }
    let Some(doubt) = doubt(input, declared, state, read) else { return true };
    gates.raise(finding(
        Code::AccountMismatch,
        doubt,
        format!(
            "look whether the managing key is the right one; if the account really is the right one, `--allow {}`",
            Code::AccountMismatch
        ),
    ));
    gates.is_allowed(Code::AccountMismatch, None)
}

/// What makes an answer look like another account's.
fn doubt(
    input: &PlanInput<'_>,
    declared: &manifest::Account,
    state: Option<&AccountState>,
    read: &ReadAccount,
) -> Option<String> {
    let name = &declared.name;
    if let Some(account) = &declared.on_behalf_of {
        let managing = read.managing_key.as_ref().is_some_and(|id| read.live.contains_key(id));
        let parent = declared.parent.as_ref().and_then(|parent| input.inventory.account(parent));
        let same = parent.is_some_and(|parent| !read.live.is_empty() && parent.live == read.live);
        if managing || same {
            return Some(format!(
                "account `{name}` answered with its parent's keys, so the request on behalf of `{account}` was not \
                 honoured"
            ));
        }
    }
    let state = state?;
    let owned = state.keys.len();
    let live = state.keys.values().filter(|key| read.live.contains_key(&key.id)).count();
    if owned >= 3 && live * 2 < owned {
        return Some(format!(
            "state owns {owned} keys in account `{name}`, and only {live} of them are live"
        ));
    }
    let other_key =
        !read.only_plans && state.managing_key.is_some() && state.managing_key != read.managing_key;
    (owned > 0 && live == 0 && other_key).then(|| {
        let keys = if owned == 1 { "its one key".to_string() } else { format!("its {owned} keys") };
        format!("the managing key of account `{name}` is another than last time, and of {keys} none is live")
    })
}

pub(crate) fn unreadable(account: &Name, unreadable: &Unreadable, gates: &mut Gates<'_>) {
    let help = match unreadable.reason {
        UnreadableReason::Credential => "see that the managing key can be found where the manifest says",
        UnreadableReason::Unauthorized => {
            "the managing key is not valid: give one that is, in the right region"
        }
        UnreadableReason::Forbidden => {
            "the managing key needs the scopes `api_keys.create`, `api_keys.read`, `api_keys.update` and \
             `api_keys.delete`"
        }
        UnreadableReason::DataResidency => "the account lives in another region: set `region`",
        UnreadableReason::Unavailable => "run again once SendGrid can be reached",
    };
    gates.raise(Finding {
        severity: Severity::BlocksAccount,
        account: Some(account.clone()),
        ..blocks(
            Code::AccountUnreadable,
            format!("account `{account}` could not be read: {}", unreadable.message),
            help,
        )
    });
}
