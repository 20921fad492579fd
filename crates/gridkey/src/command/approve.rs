//! Plan files: read, and held against the manifest and state at hand before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gridkey_core::manifest::Manifest;
use gridkey_core::plan::{Approval, Plan, Requests, Selection, matches_pattern};
use gridkey_core::state::AccountState;
use gridkey_core::{Address, KeyId, Name};

use crate::args::ApplyArguments;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::read_bounded;

/// No plan comes near this; a file that is larger is something else.
const MAX_BYTES: u64 = 256 << 20;

/// Reads a saved plan.
pub fn read_plan(path: &Path) -> Result<Plan, CommandError> {
    let unreadable = || CommandError::new(format!("the plan {} cannot be read", path.display()));
    let failed = |error: std::io::Error| {
        let failed = unreadable().because(&error);
        match path.to_str().and_then(|text| text.parse::<Address>().ok()) {
            Some(address) if error.kind() == std::io::ErrorKind::NotFound => failed.help(format!(
                "a plan file comes from `gridkey plan --out FILE`; one key is named as in `--only {address}`"
            )),
            None if error.kind() == std::io::ErrorKind::NotFound => {
                failed.help("`gridkey plan --out FILE` makes a plan file; nothing was changed")
            }
            Some(_) | None => failed,
        }
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(unreadable().help(format!("it has {size} bytes, and no plan has that many")));
    }
    let bytes = read_bounded(path, MAX_BYTES).map_err(failed)?;
    Plan::from_json(&bytes).map_err(|error| {
        unreadable()
            .because(&error)
            .help("make a new one with `gridkey plan --out FILE`; nothing was changed")
    })
}

/// The plan files of an apply; `None` where it is given none.
pub fn approval(arguments: &ApplyArguments) -> Result<Option<Approval>, CommandError> {
    if arguments.plans.is_empty() {
        return Ok(None);
    }
    let files = arguments.plans.iter().map(|path: &PathBuf| read_plan(path));
    let approval = Approval::new(files.collect::<Result<_, _>>()?, arguments.approved_only);
    let approval = approval.map_err(|error| {
        CommandError::new("a file cannot be applied")
            .because(&error)
            .help("save one with `gridkey plan --out FILE`")
    })?;
    Ok(Some(approval))
}

/// Refuses files that are about another project, account or state.
pub fn refuse(
    approval: &Approval,
    manifest: &Manifest,
    states: &BTreeMap<Name, AccountState>,
) -> Result<(), CommandError> {
    let refusals = approval.refusals(manifest, |account| states.get(account).cloned());
    if refusals.is_empty() {
        return Ok(());
    }
    Err(CommandError {
        exit: Exit::Blocked,
        causes: refusals.iter().map(ToString::to_string).collect(),
        ..CommandError::new("the plan file does not match this manifest and state; nothing was changed").help(
            "see that manifest, state and plan belong together, or make a new plan and have it approved",
        )
    })
}

/// The environments of the files that need not be named again: those that the manifest names itself.
///
/// # Errors
/// A usage error where one comes from a pattern: a file alone never makes an environment.
pub fn environments(approval: &Approval, manifest: &Manifest) -> Result<BTreeSet<Name>, CommandError> {
    let names = approval.selection().environments.unwrap_or_default();
    let from_pattern = |name: &&Name| {
        !manifest.environments.contains_key(*name)
            && manifest.patterns.keys().any(|pattern| matches_pattern(pattern, name.as_str()))
    };
    let unnamed: Vec<&Name> = names.iter().filter(from_pattern).collect();
    let Some(first) = unnamed.first() else { return Ok(names) };
    let flags: Vec<String> = unnamed.iter().map(|name| format!("--env {name}")).collect();
    Err(CommandError::usage(format!(
        "the plan file is about environment `{first}`, which comes from a pattern of the manifest and was not named"
    ))
    .help(format!("name what to apply: `{}`", flags.join(" "))))
}

/// The key that the files approve to rotate at an address.
pub fn rotation_of(approval: &Approval, address: &Address) -> Option<KeyId> {
    approval.approved_rotations().find(|(known, _)| *known == address).map(|(_, id)| id.clone())
}

/// Tells of rotations that were asked for when the files were made, and not of this run: a file alone makes nothing
/// happen.
pub fn say_not_asked_for(approval: &Approval, requests: &Requests, states: &BTreeMap<Name, AccountState>) {
    let asked = approval.approved_rotations();
    for (address, id) in asked.filter(|(address, _)| !requests.rotate.contains_key(*address)) {
        let mut current = states.values().filter_map(|state| state.keys.get(address));
        if current.any(|key| key.id == *id) {
            print::say(&format!(
                "`{address}`: the plan file approves a rotation that this run was not asked for: add `--rotate {address}`"
            ));
        }
    }
}

/// What a run is about: what the command line says, or else what the files are about.
pub fn selection(chosen: Selection, approval: Option<&Approval>) -> Selection {
    let Some(approval) = approval else { return chosen };
    let of_files = approval.selection();
    let mut selection = chosen;
    selection.environments = selection.environments.or(of_files.environments);
    selection.only = selection.only.or(of_files.only);
    selection
}

/// Refuses files of which nothing is part of the run.
pub fn check_environments(chosen: &Selection, approval: &Approval) -> Result<(), CommandError> {
    let (Some(chosen), Some(of_files)) = (&chosen.environments, approval.selection().environments) else {
        return Ok(());
    };
    let listed =
        |names: &BTreeSet<Name>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if of_files.is_empty() || !chosen.is_disjoint(&of_files) {
        return Ok(());
    }
    Err(CommandError::usage(format!(
        "the plan file is about {}, and `--env` names {}",
        listed(&of_files),
        listed(chosen)
    ))
    .help("name the environment of the plan, or apply the plan of the other one"))
}
