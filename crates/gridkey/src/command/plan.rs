//! `plan`: shows what would change, and changes nothing: no writer is made.

use std::io::IsTerminal;
use std::sync::Arc;

use gridkey_core::plan::{Plan, PlanInput, Seed, Severity, plan};
use gridkey_engine::{Refresh, refresh};
use jiff::Timestamp;

use crate::args::{Format, Global, LogFormat, PlanArguments};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Project, Rights, selection};
use crate::view;
use crate::view::progress::{Form, Progress};

pub async fn run(global: &Global, arguments: &PlanArguments) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let selection = selection(global, &arguments.narrowing, false);
    check_only(&project, &arguments.narrowing.only)?;
    let options = project.options(&arguments.narrowing).await?;
    let states = project.states().await?;
    let progress = progress(global);
    let names = selection.accounts(project.manifest(), &states);
    let accounts = project.accounts(&names, Rights::Read, &progress).await;
    let inventory = refresh(&Refresh {
        manifest: project.manifest(),
        selection: &selection,
        states: &states,
        readers: &accounts.readers,
        sinks: project.sinks.as_ref(),
        events: progress.as_ref(),
        settle: None,
    })
    .await;
    progress.finish();
    let plan = plan(&PlanInput {
        manifest: project.manifest(),
        selection: &selection,
        states: &states,
        inventory: &inventory,
        now: Timestamp::now(),
        // A plan's markers are never used: apply plans again, with a seed of its own.
        seed: &Seed([0; 32]),
        options: &options,
    });
    match arguments.format {
        Format::Text => print::out(&view::plan::text(&plan, print::style())),
        Format::Json => print::out(&plan.to_json()),
    }
    let changes = arguments.detailed_exitcode && !plan.is_empty();
    Ok(match blocked(&plan) {
        true => Exit::Blocked,
        false if changes => Exit::Changes,
        false => Exit::Done,
    })
}

/// Whether some part of a plan would not be carried out.
pub fn blocked(plan: &Plan) -> bool {
    plan.findings.iter().any(|finding| match finding.severity {
        Severity::Blocks | Severity::BlocksAccount => true,
        Severity::Allowed | Severity::Warns => false,
    })
}

/// How events are shown.
pub fn progress(global: &Global) -> Arc<Progress> {
    let form = match global.log_format {
        LogFormat::Json => Form::Json,
        LogFormat::Text if std::io::stderr().is_terminal() => Form::Terminal,
        LogFormat::Text => Form::Lines,
    };
    Arc::new(Progress::new(form))
}

/// An address that is neither wanted nor owned is a slip of the pen, and would plan nothing.
pub fn check_only(project: &Project, only: &[gridkey_core::Address]) -> Result<(), CommandError> {
    let known = project.manifest().keys.keys();
    for address in only {
        if !project.manifest().keys.contains_key(address) {
            let all: Vec<String> = known.clone().map(ToString::to_string).take(10).collect();
            return Err(CommandError::usage(format!("the manifest has no key at `{address}`"))
                .help(format!("it has {}", all.join(", "))));
        }
    }
    Ok(())
}
