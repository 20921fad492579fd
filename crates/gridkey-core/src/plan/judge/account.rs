//! Whether an account could be read, and is the one that state is about.

use crate::finding::{Code, Finding, Severity};
use crate::inventory::{AccountInventory, ReadAccount, Unreadable, UnreadableReason};
use crate::manifest;
use crate::name::Name;
use crate::plan::findings::Findings;
use crate::plan::input::PlanInput;
use crate::state::AccountState;

/// Whether an account was read, and can be the one that state is about.
pub(crate) fn is_right(input: &PlanInput<'_>, name: &Name, findings: &mut Findings<'_>) -> bool {
    let Some(declared) = input.manifest.accounts.get(name) else { return false };
    match input.inventory.accounts.get(name) {
        Some(AccountInventory::Read(read)) => {
            is_the_one_of_state(input, declared, input.states.get(name), read, findings)
        }
        Some(AccountInventory::Unreadable(why)) => {
            unreadable(input, declared, why, findings);
            false
        }
        None => false,
    }
}

/// Whether what answered can be the account that state is about.
fn is_the_one_of_state(
    input: &PlanInput<'_>,
    declared: &manifest::Account,
    state: Option<&AccountState>,
    read: &ReadAccount,
    findings: &mut Findings<'_>,
) -> bool {
    let name = &declared.name;
    let finding = |code, message: String, help: String| {
        let finding = Finding::blocks(code, message, help).with_severity(Severity::BlocksAccount);
        finding.in_account(name).at_position(Some(&declared.position))
    };
    if let Some(state) = state.filter(|state| state.identity != declared.identity()) {
        findings.raise(finding(
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
    findings.raise(finding(
        Code::AccountMismatch,
        doubt,
        format!(
            "look whether the managing key is the right one; if the account really is the right one, `--allow {}`",
            Code::AccountMismatch
        ),
    ));
    findings.is_allowed(Code::AccountMismatch, None)
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
    let is_live = |id| read.live.contains_key(id);
    // What an earlier run was about to revoke is gone as expected.
    let expected = state.keys.values().filter(|key| is_live(&key.id) || !state.leaving.contains_key(&key.id));
    let owned = expected.clone().count();
    let live = expected.filter(|key| is_live(&key.id)).count();
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

fn unreadable(
    input: &PlanInput<'_>,
    declared: &manifest::Account,
    unreadable: &Unreadable,
    findings: &mut Findings<'_>,
) {
    let account = &declared.name;
    let message = format!("account `{account}` could not be read: {}", unreadable.message);
    let finding = Finding::blocks(Code::AccountUnreadable, message, way_out(input, declared, unreadable));
    let finding = finding.with_severity(Severity::BlocksAccount).in_account(account);
    findings.raise(finding.at_position(Some(&declared.position)));
}

/// What puts an account right that could not be read.
fn way_out(input: &PlanInput<'_>, declared: &manifest::Account, unreadable: &Unreadable) -> String {
    let field = if unreadable.only_plans { "plan_api_key" } else { "api_key" };
    let refused = match unreadable.reason {
        UnreadableReason::Credential => {
            return format!("see that the key can be found where `{field}` of the manifest says");
        }
        UnreadableReason::AddressNotListed => {
            return "SendGrid lets requests in from listed addresses alone (IP Access Management): list this \
                    machine's, or run where one is listed; the key is not what is wrong"
                .to_string();
        }
        UnreadableReason::DataResidency => {
            return "the account lives in another region: set `region`".to_string();
        }
        UnreadableReason::Unavailable => return "run again once SendGrid can be reached".to_string(),
        UnreadableReason::Unauthorized => format!("the key of `{field}` is not valid: give one that is"),
        UnreadableReason::Forbidden if unreadable.only_plans => {
            "the key of `plan_api_key` needs the scope `api_keys.read`".to_string()
        }
        UnreadableReason::Forbidden => {
            "the managing key needs the scopes `api_keys.create`, `api_keys.read`, \
                                        `api_keys.update` and `api_keys.delete`"
                .to_string()
        }
    };
    let Some(child) = &declared.on_behalf_of else { return refused };
    let spelling = format!(
        "see that `{child}` is spelled as SendGrid has it (of a subuser the user name), belongs to the parent, and \
         lives in the region that the manifest says"
    );
    let parent = declared.parent.as_ref().and_then(|parent| input.inventory.account(parent));
    match parent {
        Some(_) => format!("the same key reads the parent, so {spelling}"),
        None => format!("{spelling}; or else {refused}"),
    }
}
