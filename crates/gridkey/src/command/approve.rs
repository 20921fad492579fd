//! Plan files: read, and held against the manifest and state at hand before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gridkey_core::manifest::Manifest;
use gridkey_core::plan::{Approval, Plan, Requests, Selection, matches_pattern};
use gridkey_core::state::AccountState;
use gridkey_core::{Address, AddressPattern, KeyId, Name};

use crate::args::ApplyArguments;
use crate::environments::EnvironmentChoice;
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
    let mut files = Vec::new();
    for path in &arguments.plans {
        let file = read_plan(path)?;
        check_alone(path, &file, arguments.plans.len())?;
        files.push(file);
    }
    let approval = Approval::new(files, arguments.approved_only);
    let approval = approval.map_err(|error| {
        CommandError::new("a file cannot be applied")
            .because(&error)
            .help("save one with `gridkey plan --out FILE`")
    })?;
    Ok(Some(approval))
}

/// What one file was allowed is not allowed to another: a file that was blocked when it was made is not one of several.
fn check_alone(path: &Path, file: &Plan, files: usize) -> Result<(), CommandError> {
    let Some(finding) = file.findings.iter().find(|finding| finding.is_blocking() && files > 1) else {
        return Ok(());
    };
    let message =
        format!("the plan {} was made with a finding that blocks it, `{}`", path.display(), finding.code);
    Err(CommandError { exit: Exit::Blocked, ..CommandError::new(message) }.help(
        "settle it, or have it allowed by a plan of its own (`gridkey plan --allow`); what another file allows does not count \
         for it",
    ))
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

/// Refuses what a run names beside files that are not about it: it would be left out without a word.
pub fn check_filters(
    named: &[EnvironmentChoice],
    patterns: &[AddressPattern],
    manifest: &Manifest,
    chosen: &Selection,
    approval: &Approval,
) -> Result<(), CommandError> {
    let is_outside = |name: &Name| !approval.is_about_environment(manifest, name);
    let environments = chosen.environments.as_ref();
    // Of what a pattern matches, the files may be about a part.
    let none_of_them = environments.is_some_and(|all| !all.is_empty() && all.iter().all(is_outside));
    let first = environments.and_then(|all| all.first()).filter(|_| none_of_them).cloned();
    let outside = named.iter().filter_map(EnvironmentChoice::name).find(is_outside).or(first);
    if let Some(outside) = outside {
        let of_files = approval.selection().environments.unwrap_or_default();
        let about = match of_files.is_empty() {
            true => "is about the environments that the manifest names".to_string(),
            false => {
                let listed: Vec<String> = of_files.iter().map(|name| format!("`{name}`")).collect();
                format!("is about {}", listed.join(", "))
            }
        };
        return Err(CommandError::usage(format!("the plan file {about}, and `--env` names `{outside}`"))
            .help("leave `--env` out, or add a plan of that environment"));
    }
    let is_outside = |address: &Address| !approval.is_about(manifest, address);
    let none_of_them = chosen.only.as_ref().filter(|all| !all.is_empty() && all.iter().all(is_outside));
    let first = none_of_them.and_then(BTreeSet::first).cloned();
    let outside = patterns.iter().filter_map(AddressPattern::exact).find(is_outside).or(first);
    match outside {
        None => Ok(()),
        Some(address) => {
            Err(CommandError::usage(format!("the plan file is not about `{address}`, which was asked for"))
                .help("leave the filter out, or plan with the same one"))
        }
    }
}
