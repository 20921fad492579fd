//! `apply` and `destroy`: plan under the lock, ask, carry out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::finding::Severity;
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::{
    Approval, ApprovedPlan, CheckedPlan, Due, Plan, PlanInput, Requests, Seed, Selection, plan_approved,
    with_moves,
};
use gridkey_core::state::AccountState;
use gridkey_core::{Address, AddressPattern, Name};
use gridkey_engine::apply::ApplyError;
use gridkey_engine::ports::{LockError, LockHolder};
use gridkey_engine::session::{OpenSession, Session, SessionError};
use gridkey_engine::{Apply, ApplyOptions, Cancel, Depth, Outcome, Refresh, Settle, refresh};
use jiff::Timestamp;
use tokio::runtime::Handle;

use crate::args::{
    ApplyArguments, Confirmation, ENVIRONMENTS, Global, KeyFilter, Length, RunArguments, is_set_to_nothing,
};
use crate::choice::{Among, KeyChoice, guess};
use crate::command::approve;
use crate::command::plan::{blocked, check_only, check_wanted, progress, say_passed_over, text};
use crate::environments::{EnvironmentChoice, Gone};
use crate::exit::{CommandError, Exit};
use crate::interrupt::Signals;
use crate::print;
use crate::project::{Project, Writers, environments_of, read_manifest};
use crate::timer::SystemTimer;
use crate::view;
use crate::view::progress::Progress;

/// What should be there in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// What the manifest says.
    Manifest,
    /// New keys in place of those that were named.
    Rotation,
    /// Older keys as they were decided about.
    Retirement,
    /// State that owns what is live.
    Adoption,
    /// Nothing of what is selected.
    Nothing,
}

impl Aim {
    fn question(self, about: About) -> &'static str {
        match self {
            Self::Nothing if about == About::Everything => {
                "No `--env` was given, so these are the keys of every environment. Revoke them all? This cannot be undone."
            }
            Self::Manifest => "Apply these changes?",
            Self::Rotation => "Replace these keys?",
            Self::Retirement => "Carry this out?",
            Self::Adoption => "Adopt these keys?",
            Self::Nothing => "Revoke these keys? This cannot be undone.",
        }
    }

    /// Which keys a pattern stands for.
    fn among(self) -> Among {
        match self {
            Self::Rotation => Among::Replaceable,
            Self::Retirement => Among::WithOlder,
            Self::Manifest | Self::Adoption | Self::Nothing => Among::All,
        }
    }

    /// The command, as the holder of a lock is named.
    fn command(self) -> &'static str {
        match self {
            Self::Manifest => "gridkey apply",
            Self::Rotation => "gridkey rotate",
            Self::Retirement => "gridkey retire",
            Self::Adoption => "gridkey import",
            Self::Nothing => "gridkey destroy",
        }
    }
}

/// Why a command that has to ask does not begin.
pub const NOT_INTERACTIVE: &str =
    "stdin is not a terminal, so gridkey cannot ask for confirmation: pass `--yes`";

/// A run that has its locks and its plan.
struct Ready {
    session: Session,
    writers: Writers,
    planned: ApprovedPlan,
}

/// What is asked of a run.
pub struct Asked<'a> {
    pub aim: Aim,
    pub keys: &'a KeyChoice,
    pub confirm: &'a Confirmation,
    pub due: Due,
    /// How much of the plan is shown.
    pub length: Length,
    pub approval: Option<Approval>,
    /// Keys that are to be replaced besides.
    pub rotate: &'a [AddressPattern],
    /// What is asked of the keys that were chosen.
    pub requests: &'a dyn Fn(&[Address]) -> Requests,
}

/// How much the arguments leave in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Nothing narrows the run.
    Everything,
    Part,
}

fn about(global: &Global, keys: &KeyChoice) -> About {
    match global.environments.is_empty() && keys.is_everything() {
        true => About::Everything,
        false => About::Part,
    }
}

/// What is asked for, of which keys.
struct Wish {
    selection: Selection,
    requests: Requests,
}

pub async fn apply(global: &Global, arguments: &ApplyArguments) -> Result<Exit, CommandError> {
    let approval = approve::approval(arguments)?;
    if let Some(policy) = approval.as_ref().and_then(Approval::policy).filter(|_| global.policy.is_none()) {
        let message =
            format!("the plan file was made under the rules of `{}`, and this run has none", policy.file);
        return Err(CommandError::usage(message)
            .help(format!("pass `--policy {}`, so that they hold for what is applied", policy.file)));
    }
    let mut global = global.clone();
    if let Some(approval) = approval.as_ref().filter(|_| global.environments.is_empty()) {
        let (loaded, _) = read_manifest(&global.manifest, &[])?;
        let names = approve::environments(approval, &loaded.manifest)?;
        global.environments = names.into_iter().map(EnvironmentChoice::Name).collect();
    }
    let asked = Asked {
        aim: Aim::Manifest,
        keys: &arguments.run.keys(),
        confirm: &arguments.run.confirmation(),
        due: arguments.due.into(),
        length: Length::of(arguments.summary),
        approval,
        rotate: &arguments.rotate,
        requests: &|_| Requests::default(),
    };
    run(&global, &asked).await
}

pub async fn destroy(global: &Global, arguments: &RunArguments) -> Result<Exit, CommandError> {
    let is_everything = about(global, &arguments.keys()) == About::Everything;
    let is_empty = is_set_to_nothing(ENVIRONMENTS.as_ref());
    if arguments.yes && is_everything && is_empty {
        let message = format!(
            "`{ENVIRONMENTS}` is set to nothing and no `--env` is given, so this would revoke the keys of every environment"
        );
        return Err(CommandError::usage(message).help(format!(
            "name the environment with `--env`; where all of them are meant, unset `{ENVIRONMENTS}`, or leave `--yes` out"
        )));
    }
    let asked = Asked {
        aim: Aim::Nothing,
        keys: &arguments.keys(),
        confirm: &arguments.confirmation(),
        due: Due::Include,
        length: Length::Whole,
        approval: None,
        rotate: &[],
        requests: &|_| Requests::default(),
    };
    run(global, &asked).await
}

/// Plans under the lock, asks, and carries out.
pub async fn run(global: &Global, asked: &Asked<'_>) -> Result<Exit, CommandError> {
    let Asked { aim, confirm, .. } = *asked;
    let about = about(global, asked.keys);
    let signals = Signals::listen()?;
    let (switch, cancel) = Cancel::new();
    let gone = if aim == Aim::Nothing { Gone::Allowed } else { Gone::Refused };
    let project = Project::open_with(global, gone, cancel).await?;
    let wish = wish(global, &project, asked).await?;
    let selection = &wish.selection;
    let progress = progress(global);
    let timer = Arc::new(SystemTimer::default());
    let by = who();
    let preparing = prepare(&project, asked, &wish, &progress, &timer, &by);
    // Until something is changed, an interruption simply ends the run; the locks end with the process.
    let (ready, mut signals) = interruptible(preparing, signals).await?;
    let Ready { session, writers, planned } = ready?;
    let stopped = !planned.not_approved.is_empty() && !asked.approval.as_ref().is_some_and(Approval::is_only);
    if let Some(approval) = asked.approval.as_ref().filter(|_| stopped) {
        progress.finish();
        close(session).await;
        print::out(&view::approval::difference(approval, &planned.not_approved, print::style()));
        return Err(not_approved(planned.not_approved.len()));
    }
    let notes = view::approval::notes(&planned, print::style());
    let plan = planned.plan;
    progress.suspend(|| print::text(&format!("{notes}{}", text(&plan, asked.length))));
    if print::lost().is_some() {
        progress.finish();
        close(session).await;
        return Err(CommandError::new("what would be done could not be shown, so nothing was changed"));
    }
    if wish.requests.from_sinks {
        say_not_found(project.manifest(), selection, &plan);
    }
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
    if !confirm.yes && !print::is_interactive() {
        progress.finish();
        close(session).await;
        return Err(CommandError::usage(NOT_INTERACTIVE)
            .help("a pipeline passes `--yes` after its plan was reviewed"));
    }
    let answer = if confirm.yes { Some(true) } else { ask(aim.question(about), &mut signals, &progress) };
    if answer != Some(true) {
        progress.finish();
        close(session).await;
        if answer.is_none() {
            // The cursor still stands behind the question.
            print::say("");
            return Err(interrupted());
        }
        print::say("declined; nothing was changed");
        return Ok(Exit::Blocked);
    }
    let listening = signals.cancel(switch);
    let outcome = carry_out(&project, &checked, session, writers, &progress, timer, by).await;
    listening.abort();
    progress.finish();
    let outcome = outcome.map_err(|error| match project.stop.is_set() {
        // The sinks were perhaps just slow.
        true => interrupted(),
        false => not_ready(&error),
    })?;
    print::text(&view::outcome::text(&outcome, print::style()));
    if project.is_emulated() && matches!(aim, Aim::Manifest | Aim::Rotation) {
        say_paths(&project, selection);
    }
    Ok(exit(&outcome, checked.plan(), partly_blocked))
}

/// Holds what the command line names against what there is.
async fn wish(global: &Global, project: &Project, asked: &Asked<'_>) -> Result<Wish, CommandError> {
    let Asked { aim, keys, .. } = *asked;
    let states = project.states().await?;
    if aim == Aim::Nothing {
        say_empty(&global.environments, &environments_of(&states));
    }
    let all = project.selection(None, false);
    let (manifest, takes_all) =
        (project.manifest(), asked.due == Due::Only || !matches!(aim, Aim::Rotation | Aim::Retirement));
    let only = match takes_all {
        true => keys.narrowed(manifest, &states, &all, aim.among())?,
        false => Some(keys.resolve(&[manifest], &states, &all, aim.among())?),
    };
    let rotate = KeyChoice::new(asked.rotate, &KeyFilter::default());
    let rotate = rotate.narrowed(manifest, &states, &all, Among::Replaceable)?.unwrap_or_default();
    say_passed_over(only.iter().chain([&rotate]));
    let named = only.map(|only| only.addresses);
    let chosen = project.selection(named.as_deref(), aim == Aim::Nothing);
    if let Some(approval) = &asked.approval {
        approve::check_filters(&global.environments, &keys.patterns, manifest, &chosen, approval)?;
    }
    let selection = approve::selection(chosen, asked.approval.as_ref());
    let mut named = named.unwrap_or_default();
    let mut requests = (asked.requests)(&named);
    named.extend(rotate.addresses.iter().cloned());
    check_only(project.manifest(), &states, &selection, &named)?;
    requests.rotate.extend(rotate.addresses.into_iter().map(|address| {
        // Of which key: once it is another, what was asked for and approved is done.
        let approved = asked.approval.as_ref().and_then(|approval| approve::rotation_of(approval, &address));
        (address, approved)
    }));
    check_wanted(project.manifest(), requests.rotate.keys().chain(requests.retire.keys()))?;
    Ok(Wish { selection, requests })
}

/// An environment without keys has probably ended already; or its name is misspelt, and another one was meant.
fn say_empty(named: &[EnvironmentChoice], owned: &BTreeSet<Name>) {
    let owned: BTreeSet<&str> = owned.iter().map(Name::as_str).collect();
    let named = named.iter().filter_map(EnvironmentChoice::name);
    for name in named.filter(|name| !owned.contains(name.as_str())) {
        let near = guess(name.as_str(), &owned, "state has keys of no environment");
        print::say(&format!("state has no keys of environment `{name}`; {near}"));
    }
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
        () = signals.next() => Err(interrupted()),
    }
}

/// Asks, as long as no signal comes; `None` where one does. The bar is away meanwhile.
fn ask(question: &'static str, signals: &mut Signals, progress: &Progress) -> Option<bool> {
    let asking = print::ask_until(question, signals.next());
    progress.suspend(|| tokio::task::block_in_place(|| Handle::current().block_on(asking)))
}

fn interrupted() -> CommandError {
    CommandError { exit: Exit::Interrupted, ..CommandError::new("interrupted before anything was changed") }
}

/// Takes the locks, observes, and plans.
async fn prepare(
    project: &Project,
    asked: &Asked<'_>,
    wish: &Wish,
    progress: &Arc<Progress>,
    timer: &Arc<SystemTimer>,
    by: &str,
) -> Result<Ready, CommandError> {
    let Wish { selection, requests } = wish;
    let mut options = project.options(&asked.confirm.allow).await?;
    options.due = asked.due;
    options.requests = requests.clone();
    options.approved_allow = asked.approval.as_ref().map(Approval::allowed).unwrap_or_default();
    let mut states = project.states().await?;
    project.check_external_targets(&states)?;
    let names =
        selection.accounts(project.manifest(), &with_moves(project.manifest(), selection, &states).states);
    let seed = Seed(rand::random());
    let mut session =
        open_session(project, &names, asked.confirm.lock_timeout, asked.aim.command(), timer, &seed, by)
            .await?;
    // What was read before the locks were held may have changed since.
    states.extend(session.states());
    check_requests(requests, &states)?;
    if let Some(approval) = &asked.approval {
        approve::refuse(approval, project.manifest(), &states)?;
        approve::say_not_asked_for(approval, requests, &states);
    }
    let writers = project.writers(&names, progress).await;
    let inventory = refresh(&Refresh {
        manifest: project.manifest(),
        selection,
        states: &states,
        requests: &options.requests,
        readers: &writers.readers(),
        sinks: Some(project.sinks.as_ref()),
        events: progress.as_ref(),
        settle: Some(Settle { timer: timer.as_ref(), read_lag: project.read_lag }),
        depth: Depth::Plan,
        concurrency: project.concurrency,
    })
    .await;
    session.observed(&inventory);
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
    Ok(Ready { session, writers, planned: plan_approved(&input, asked.approval.as_ref()) })
}

/// Rotations and retirements are of keys that there are.
fn check_requests(requests: &Requests, states: &BTreeMap<Name, AccountState>) -> Result<(), CommandError> {
    let owned = |address: &Address| states.values().find_map(|state| state.keys.get(address));
    let by_hand = requests.rotate.iter().filter(|(_, id)| id.is_none()).map(|(address, _)| address);
    for address in by_hand.chain(requests.retire.keys()) {
        if owned(address).is_none() {
            return Err(CommandError::usage(format!("state has no key at `{address}`"))
                .help("`gridkey state list` shows those there are; `gridkey apply` makes what is missing"));
        }
    }
    for (address, id) in &requests.import {
        if let Some(key) = owned(address).filter(|key| key.id != *id) {
            return Err(CommandError::usage(format!("`{address}` has a key already, {}", key.id)).help(
                format!(
                    "let go of it first with `gridkey state forget {address}`, or choose another address"
                ),
            ));
        }
    }
    // Of two accounts that have a key of the address, one has the older.
    let has_older = |address: &&Address| {
        let mut keys = states.values().filter_map(|state| state.keys.get(*address));
        keys.clone().count() > 1 || keys.any(|key| !key.retiring.is_empty())
    };
    // Where a run broke off, some of its keys are done: the same command does what is left.
    let (waiting, done): (Vec<&Address>, Vec<&Address>) = requests.retire.keys().partition(has_older);
    for address in done {
        if !waiting.is_empty() {
            print::say(&format!("no older key of `{address}` waits to be revoked any more"));
        } else {
            return Err(CommandError::usage(format!("no older key of `{address}` waits to be revoked"))
                .help(format!("`gridkey rotate {address}` makes a new one and retires the one it has")));
        }
    }
    Ok(())
}

/// Takes the locks of accounts.
pub async fn open_session(
    project: &Project,
    names: &BTreeSet<Name>,
    timeout: Duration,
    what: &str,
    timer: &Arc<SystemTimer>,
    seed: &Seed,
    by: &str,
) -> Result<Session, CommandError> {
    let holder = LockHolder {
        run: format!("{:016x}", rand::random::<u64>()),
        who: by.to_string(),
        process: std::process::id(),
        since: Timestamp::now(),
        what: what.to_string(),
    };
    let open = OpenSession {
        store: Arc::clone(&project.store),
        timer: timer.as_ref(),
        manifest: project.manifest(),
        seed,
        holder,
        timeout,
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

async fn carry_out(
    project: &Project,
    checked: &CheckedPlan,
    session: Session,
    writers: Writers,
    progress: &Arc<Progress>,
    timer: Arc<SystemTimer>,
    by: String,
) -> Result<Outcome, ApplyError> {
    progress.expect(checked.by_account().values().map(Vec::len).sum());
    gridkey_engine::apply(Apply {
        plan: checked,
        session,
        store: Arc::clone(&project.store),
        writers: writers.into_ports(),
        sinks: Arc::clone(&project.sinks) as _,
        hooks: Arc::clone(&project.hooks) as _,
        timer,
        events: Arc::clone(progress) as _,
        cancel: project.stop.clone(),
        options: ApplyOptions { read_lag: project.read_lag, by, concurrency: project.concurrency },
    })
    .await
}

/// Gives the locks back.
pub async fn close(session: Session) {
    if let Err(error) = session.close().await {
        print::say(&format!("a lock could not be given back: {error}"));
    }
}

fn not_ready(error: &ApplyError) -> CommandError {
    let mut causes: Vec<String> = match error {
        ApplyError::SinksNotReady(sinks) => sinks
            .iter()
            .map(|(location, error)| format!("{location}: {}", error.clone().with_help()))
            .collect(),
        ApplyError::HooksNotReady(hooks) => hooks
            .iter()
            .map(|(hook, error)| format!("{}: {}", hook.whose(), error.clone().with_help()))
            .collect(),
    };
    // The same program is run for many keys.
    causes.dedup();
    CommandError {
        causes,
        ..CommandError::new(error.to_string()).help("put that right and run again; nothing was changed")
    }
}

/// How many keys are still without one, where the sinks were asked what they hold.
fn say_not_found(manifest: &Manifest, selection: &Selection, plan: &Plan) {
    // Of what was found and cannot be adopted a finding says why.
    let told = plan.findings.iter().filter(|finding| finding.severity == Severity::Blocks);
    let told = told.filter_map(|finding| finding.address.as_ref());
    let known: BTreeSet<&Address> = plan.changes.iter().map(|change| &change.address).chain(told).collect();
    let wanted = manifest.keys.keys().filter(|address| selection.has(manifest, address));
    let missing: Vec<&Address> = wanted.filter(|address| !known.contains(address)).collect();
    if missing.is_empty() {
        return;
    }
    let named: Vec<String> = missing.iter().take(10).map(|address| format!("`{address}`")).collect();
    let more = if missing.len() > 10 { ", …" } else { "" };
    print::say(&format!(
        "{} not found in any sink that can be read: {}{more}; `gridkey plan` says what becomes of them",
        view::words::count(missing.len(), "key"),
        named.join(", ")
    ));
}

/// Where the emulator put the secrets.
fn say_paths(project: &Project, selection: &Selection) {
    let paths = project.secret_paths(selection);
    if paths.is_empty() {
        return;
    }
    print::note("the secrets are in");
    for path in paths {
        print::note(&format!("  {}", path.display()));
    }
}

fn exit(outcome: &Outcome, plan: &Plan, partly_blocked: bool) -> Exit {
    let waits = plan.effective().any(|change| change.steps.is_empty());
    let undone = !outcome.failed.is_empty() || !outcome.not_started.is_empty() || waits;
    // The change is done, and no plan shows it again: a pipeline has to notice now that the key got less.
    let left = undone || !outcome.less_than_full.is_empty();
    match (outcome.interrupted, left, outcome.done.is_empty() && !outcome.lasting) {
        (true, _, _) => Exit::Interrupted,
        (false, true, true) if !outcome.failed.is_empty() => Exit::Error,
        (false, true, _) => Exit::Partly,
        (false, false, _) if partly_blocked => Exit::Blocked,
        (false, false, _) => Exit::Done,
    }
}

/// Who is at work: the pipeline's run, or user and host.
pub fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let runs: BTreeMap<&str, &str> =
        BTreeMap::from([("GITHUB_RUN_ID", "GitHub Actions run"), ("CI_PIPELINE_ID", "GitLab pipeline")]);
    for (name, words) in runs {
        if let Some(run) = variable(name) {
            return format!("{words} {run}");
        }
    }
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown user".to_string());
    let host = variable("HOSTNAME")
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map_or_else(|| "this machine".to_string(), |host| host.trim().to_string());
    format!("{user} on {host}")
}
