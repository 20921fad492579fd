//! `drift`: what differs between state and what is live. Nothing is changed, and no writer is made.

use gridkey_core::plan::{Code, Due, Plan, as_applied, drift};
use gridkey_engine::Depth;

use crate::args::{DriftArguments, Global};
use crate::choice::{Among, KeyChoice};
use crate::command::plan::{ReadOnlyRun, blocked, progress, show};
use crate::exit::{CommandError, Exit};
use crate::project::Project;

pub async fn run(global: &Global, arguments: &DriftArguments) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    project.check_external_targets(&states)?;
    let manifest = as_applied(project.manifest(), &states);
    let keys = KeyChoice::new(&arguments.only, &arguments.filter);
    let all = project.selection(None, false);
    let only = keys.narrowed(&manifest, &states, &all, Among::All)?.map(|only| only.addresses);
    let owned = |address| states.values().any(|state| state.keys.contains_key(address));
    if let Some(address) = only.iter().flatten().find(|address| !owned(address)) {
        return Err(CommandError::usage(format!("state has no key at `{address}`"))
            .help("`gridkey state list` shows those there are"));
    }
    let selection = project.selection(only.as_deref(), false);
    let mut options = project.options(&[]).await?;
    // What is due is no drift, and state that is not there yet has none.
    options.due = Due::Exclude;
    options.ephemeral_state = false;
    options.sinks = !arguments.no_sinks;
    let look = ReadOnlyRun {
        manifest: &manifest,
        selection: &selection,
        states: &states,
        options: &options,
        depth: Depth::Drift,
    };
    let inventory = look.observe(&project, &progress(global)).await;
    let plan = drift(&look.input(&project, &inventory));
    show(&plan, &arguments.form);
    Ok(exit(&plan))
}

fn exit(plan: &Plan) -> Exit {
    // What could not be looked at is not as it should be.
    let unread = plan.findings.iter().any(|finding| finding.code == Code::SinkUnreadable);
    match blocked(plan) || unread {
        true => Exit::Blocked,
        false if plan.has_drifted() => Exit::Changes,
        false => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gridkey_core::Name;
    use gridkey_core::plan::{ComputedFrom, FORMAT_VERSION, Finding, PlanKind, Severity};

    use super::*;

    fn with(codes: &[Code]) -> Plan {
        let finding = |code: &Code| Finding {
            severity: Severity::Warns,
            code: *code,
            account: None,
            address: None,
            message: "local:.env#MAILER cannot be read".to_string(),
            help: None,
            position: None,
        };
        Plan {
            format_version: FORMAT_VERSION,
            kind: PlanKind::Drift,
            project: Name::new("mailing").expect("a name"),
            computed_from: ComputedFrom::default(),
            allowed: Vec::new(),
            accounts: BTreeMap::new(),
            changes: Vec::new(),
            findings: codes.iter().map(finding).collect(),
        }
    }

    #[test]
    fn a_sink_that_could_not_be_read_is_no_clean_report() {
        assert_eq!(exit(&with(&[])), Exit::Done);
        assert_eq!(exit(&with(&[Code::NotChecked])), Exit::Done);
        assert_eq!(exit(&with(&[Code::SinkUnreadable])), Exit::Blocked);
    }
}
