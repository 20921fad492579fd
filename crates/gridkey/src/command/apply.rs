//! `apply` and `destroy`: plan under the lock, ask, carry out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gridkey_core::plan::{
    Approval, ApprovedPlan, CheckedPlan, Due, Plan, PlanInput, Seed, Selection, plan_approved,
};
use gridkey_engine::apply::ApplyError;
use gridkey_engine::ports::{LockError, LockHolder, SinkError};
use gridkey_engine::session::{OpenSession, Session, SessionError};
use gridkey_engine::{Apply, ApplyOptions, Cancel, Outcome, Refresh, Settle, refresh};
use jiff::Timestamp;

use crate::args::{ApplyArguments, Global, RunArguments};
use crate::command::approve;
use crate::command::plan::{blocked, check_only, progress};
use crate::exit::{CommandError, Exit};
use crate::interrupt::Signals;
use crate::print;
use crate::project::{Accounts, Project, Rights, selection};
use crate::timer::SystemTimer;
use crate::view;
use crate::view::progress::Progress;

/// What should be there in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// What the manifest says.
    Manifest,
    /// Nothing of what is selected.
    Nothing,
}

/// A run that has its locks and its plan.
struct Ready {
    session: Session,
    accounts: Accounts,
    planned: ApprovedPlan,
}

/// What is asked of a run.
struct Asked<'a> {
    arguments: &'a RunArguments,
    aim: Aim,
    due: Due,
    approval: Option<Approval>,
}

pub async fn apply(global: &Global, arguments: &ApplyArguments) -> Result<Exit, CommandError> {
    let approval = approve::approval(arguments)?;
    let mut global = global.clone();
    if let Some(approval) = approval.as_ref().filter(|_| global.environments.is_empty()) {
        // A plan of an environment that comes from a pattern is applied without naming it again.
        global.environments = approval.selection().environments.into_iter().flatten().collect();
    }
    let asked = Asked { arguments: &arguments.run, aim: Aim::Manifest, due: arguments.due.into(), approval };
    run(&global, &asked).await
}

pub async fn destroy(global: &Global, arguments: &RunArguments) -> Result<Exit, CommandError> {
    run(global, &Asked { arguments, aim: Aim::Nothing, due: Due::Include, approval: None }).await
}

async fn run(global: &Global, asked: &Asked<'_>) -> Result<Exit, CommandError> {
    let Asked { arguments, aim, .. } = *asked;
    if !arguments.yes && !print::is_interactive() {
        return Err(CommandError::usage("nobody is there to be asked")
            .help("`--yes` applies without asking, as a pipeline does after a reviewed plan"));
    }
    let signals = Signals::listen()?;
    let project = Project::open(global).await?;
    let chosen = selection(global, &arguments.narrowing.only, aim == Aim::Nothing);
    let selection = approve::selection(chosen, asked.approval.as_ref());
    check_only(project.manifest(), &arguments.narrowing.only)?;
    let progress = progress(global);
    let timer = Arc::new(SystemTimer::default());
    let by = who();
    let preparing = prepare(&project, asked, &selection, &progress, &timer, &by);
    // Until something is changed, an interruption simply ends the run; the locks end with the process.
    let (ready, signals) = interruptible(preparing, signals).await?;
    let Ready { session, accounts, planned } = ready?;
    let stopped = !planned.not_approved.is_empty() && !asked.approval.as_ref().is_some_and(Approval::is_only);
    if let Some(approval) = asked.approval.as_ref().filter(|_| stopped) {
        progress.finish();
        close(session).await;
        print::out(&view::approval::difference(approval, &planned.not_approved, print::style()));
        return Err(not_approved(planned.not_approved.len()));
    }
    let notes = view::approval::notes(&planned, print::style());
    let plan = planned.plan;
    progress.suspend(|| print::out(&format!("{notes}{}", view::plan::text(&plan, print::style()))));
    let partly_blocked = blocked(&plan);
    let nothing = plan.is_empty();
    let checked = match plan.check() {
        Ok(checked) if !nothing => checked,
        checked => {
            progress.finish();
            close(session).await;
            return Ok(if checked.is_err() || partly_blocked { Exit::Blocked } else { Exit::Done });
        }
    };
    let question = match aim {
        Aim::Manifest => "Apply these changes?",
        Aim::Nothing => "Revoke these keys? This cannot be undone.",
    };
    if !arguments.yes && !progress.suspend(|| print::ask(question)) {
        progress.finish();
        close(session).await;
        print::say("declined; nothing was changed");
        return Ok(Exit::Blocked);
    }
    let outcome = carry_out(&project, &checked, session, accounts, signals, &progress, timer, by).await;
    progress.finish();
    let outcome = outcome.map_err(|error| sinks_not_ready(&error))?;
    print::out(&view::outcome::text(&outcome, print::style()));
    if project.is_emulated() && aim == Aim::Manifest {
        say_paths(&project, &selection);
    }
    Ok(exit(&outcome, checked.plan(), partly_blocked))
}

fn not_approved(count: usize) -> CommandError {
    let (changes, are) = if count == 1 { ("1 change", "is") } else { (&*format!("{count} changes"), "are") };
    CommandError {
        exit: Exit::Blocked,
        ..CommandError::new(format!("{changes} {are} wanted and not approved; nothing was changed")).help(
            "plan again and have that approved, or leave what is not approved alone with `--approved-only`",
        )
    }
}

/// Waits for work that an interruption may simply end.
async fn interruptible<T>(
    work: impl Future<Output = T>,
    mut signals: Signals,
) -> Result<(T, Signals), CommandError> {
    tokio::select! {
        done = work => Ok((done, signals)),
        () = signals.next() => {
            Err(CommandError { exit: Exit::Interrupted, ..CommandError::new("interrupted before anything was changed") })
        }
    }
}

/// Takes the locks, observes, and plans.
async fn prepare(
    project: &Project,
    asked: &Asked<'_>,
    selection: &Selection,
    progress: &Arc<Progress>,
    timer: &Arc<SystemTimer>,
    by: &str,
) -> Result<Ready, CommandError> {
    let arguments = asked.arguments;
    let mut options = project.options(&arguments.narrowing.allow).await?;
    options.due = asked.due;
    options.approved_allow = asked.approval.as_ref().map(Approval::allowed).unwrap_or_default();
    let mut states = project.states().await?;
    project.within_reach(&states)?;
    let names = selection.accounts(project.manifest(), &states);
    let seed = Seed(rand::random());
    let session = open_session(project, &names, arguments, timer, &seed, by).await?;
    // What was read before the locks were held may have changed since.
    states.extend(session.states());
    if let Some(approval) = &asked.approval {
        approve::refuse(approval, project.manifest(), &states)?;
    }
    let accounts = project.accounts(&names, Rights::Write, progress).await;
    let inventory = refresh(&Refresh {
        manifest: project.manifest(),
        selection,
        states: &states,
        readers: &accounts.readers,
        sinks: Some(project.sinks.as_ref()),
        events: progress.as_ref(),
        settle: Some(Settle { timer: timer.as_ref(), read_lag: project.read_lag }),
    })
    .await;
    let input = PlanInput {
        manifest: project.manifest(),
        selection,
        states: &states,
        inventory: &inventory,
        policy: project.policy.as_ref(),
        now: Timestamp::now(),
        seed: &seed,
        options: &options,
    };
    Ok(Ready { session, accounts, planned: plan_approved(&input, asked.approval.as_ref()) })
}

async fn open_session(
    project: &Project,
    names: &BTreeSet<gridkey_core::Name>,
    arguments: &RunArguments,
    timer: &Arc<SystemTimer>,
    seed: &Seed,
    by: &str,
) -> Result<Session, CommandError> {
    let holder = LockHolder {
        run: format!("{:016x}", rand::random::<u64>()),
        who: by.to_string(),
        process: std::process::id(),
        since: Timestamp::now(),
        what: "gridkey apply".to_string(),
    };
    let open = OpenSession {
        store: Arc::clone(&project.store),
        timer: timer.as_ref(),
        manifest: project.manifest(),
        seed,
        holder,
        timeout: arguments.lock_timeout,
    };
    Session::open(open, names).await.map_err(|error| match &error {
        SessionError::Lock(LockError::Held { account, holder }) => CommandError::new(format!(
            "the state of account `{account}` is locked by {}, process {}, since {}, for `{}`",
            holder.who,
            holder.process,
            view::words::time(holder.since),
            holder.what,
        ))
        .help(format!(
            "wait for it with `--lock-timeout 5m`; if that process is dead, `gridkey state unlock {account}`"
        )),
        SessionError::Lock(LockError::Store(_)) | SessionError::Store(_) | SessionError::TakeOver { .. } => {
            CommandError::new("the state cannot be used").because(&error)
        }
    })
}

#[expect(clippy::too_many_arguments, reason = "everything a run is made of comes together here, once")]
async fn carry_out(
    project: &Project,
    checked: &CheckedPlan,
    session: Session,
    accounts: Accounts,
    signals: Signals,
    progress: &Arc<Progress>,
    timer: Arc<SystemTimer>,
    by: String,
) -> Result<Outcome, ApplyError> {
    progress.expect(checked.by_account().values().map(Vec::len).sum());
    let (switch, cancel) = Cancel::new();
    let listening = signals.cancel(switch);
    let outcome = gridkey_engine::apply(Apply {
        plan: checked,
        session,
        store: Arc::clone(&project.store),
        writers: accounts.writers,
        sinks: Arc::clone(&project.sinks) as _,
        timer,
        events: Arc::clone(progress) as _,
        cancel,
        options: ApplyOptions { read_lag: project.read_lag, by },
    })
    .await;
    listening.abort();
    outcome
}

async fn close(session: Session) {
    if let Err(error) = session.close().await {
        print::say(&format!("a lock could not be given back: {error}"));
    }
}

fn sinks_not_ready(error: &ApplyError) -> CommandError {
    let ApplyError::SinksNotReady(sinks) = error;
    let causes = sinks.iter().map(|(location, error)| {
        let (SinkError::Failed(reason) | SinkError::Unsupported(reason)) = error;
        format!("{location}: {reason}")
    });
    CommandError {
        causes: causes.collect(),
        ..CommandError::new(error.to_string()).help("put that right and run again; nothing was changed")
    }
}

/// Where the emulator put the secrets.
fn say_paths(project: &Project, selection: &Selection) {
    let paths = project.secret_paths(selection);
    if paths.is_empty() {
        return;
    }
    print::say("the secrets are in");
    for path in paths {
        print::say(&format!("  {}", path.display()));
    }
}

fn exit(outcome: &Outcome, plan: &Plan, partly_blocked: bool) -> Exit {
    let waits = plan.effective().any(|change| change.steps.is_empty());
    let left = !outcome.failed.is_empty() || !outcome.not_started.is_empty() || waits;
    match (outcome.interrupted, left, outcome.done.is_empty()) {
        (true, _, _) => Exit::Interrupted,
        (false, true, true) if !outcome.failed.is_empty() => Exit::Error,
        (false, true, _) => Exit::Partly,
        (false, false, _) if partly_blocked => Exit::Blocked,
        (false, false, _) => Exit::Done,
    }
}

/// Who is at work: the pipeline's run, or user and host.
fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let runs: BTreeMap<&str, &str> =
        BTreeMap::from([("GITHUB_RUN_ID", "GitHub Actions run"), ("CI_PIPELINE_ID", "GitLab pipeline")]);
    for (name, words) in runs {
        if let Some(run) = variable(name) {
            return format!("{words} {run}");
        }
    }
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "somebody".to_string());
    let host = variable("HOSTNAME")
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map_or_else(|| "this machine".to_string(), |host| host.trim().to_string());
    format!("{user} on {host}")
}
