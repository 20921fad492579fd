//! `drift`: what differs between state and what is live. Nothing is changed, and no writer is made.

use gridkey_core::plan::{Due, as_applied, drift};

use crate::args::{DriftArguments, Global};
use crate::command::plan::{Look, blocked, progress, show};
use crate::exit::{CommandError, Exit};
use crate::project::Project;

pub async fn run(global: &Global, arguments: &DriftArguments) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    project.within_reach(&states)?;
    let owned = |address| states.values().any(|state| state.keys.contains_key(address));
    if let Some(address) = arguments.only.iter().find(|address| !owned(address)) {
        return Err(CommandError::usage(format!("state has no key at `{address}`"))
            .help("`gridkey state list` shows those there are"));
    }
    let selection = project.selection(&arguments.only, false);
    let mut options = project.options(&[]).await?;
    // What is due is no drift, and state that is not there yet has none.
    options.due = Due::Exclude;
    options.ephemeral_state = false;
    options.sinks = !arguments.no_sinks;
    let manifest = as_applied(project.manifest(), &states);
    let look = Look { manifest: &manifest, selection: &selection, states: &states, options: &options };
    let inventory = look.observe(&project, &progress(global)).await;
    let plan = drift(&look.input(&project, &inventory));
    show(&plan, &arguments.form);
    Ok(match blocked(&plan) {
        true => Exit::Blocked,
        false if plan.has_drifted() => Exit::Changes,
        false => Exit::Done,
    })
}
