//! Plan files: read, and held against the manifest and state at hand before anything is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gridkey_core::Name;
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::{Approval, Plan, Selection};
use gridkey_core::state::AccountState;

use crate::args::ApplyArguments;
use crate::exit::{CommandError, Exit};

/// No plan comes near this; a file that is larger is something else.
const MAX_BYTES: u64 = 256 << 20;

/// Reads a saved plan.
pub fn read_plan(path: &Path) -> Result<Plan, CommandError> {
    let unreadable = || CommandError::new(format!("the plan {} cannot be read", path.display()));
    let failed = |error: std::io::Error| unreadable().because(&error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(unreadable().help(format!("it has {size} bytes, and no plan has that many")));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
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
        ..CommandError::new(
            "an approved plan is about something else than what is at hand; nothing was changed",
        )
        .help("see that manifest, state and plan belong together, or make a new plan and have it approved")
    })
}

/// What a run is about: what the command line says, or else what the files are about.
pub fn selection(chosen: Selection, approval: Option<&Approval>) -> Selection {
    let Some(approval) = approval else { return chosen };
    let of_files = approval.selection();
    Selection {
        environments: chosen.environments.or(of_files.environments),
        only: chosen.only.or(of_files.only),
        destroy: chosen.destroy,
    }
}
