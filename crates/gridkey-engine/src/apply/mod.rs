//! Apply: carries out a checked plan. Every choice was made by the planner; what is left here is order,
//! certainty and care.

mod account;
mod commit;
mod hooks;
mod in_place;
mod lasting;
mod mint;
mod progress;
mod step;
mod unreachable_account;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use gridkey_core::hook::Hook;
use gridkey_core::plan::{Action, Change, CheckedPlan, Step};
use gridkey_core::{Address, KeyId, LocationId, Name, Scope, SinkLocation};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::concurrency::Concurrency;
use crate::event::{Event, Failure, Observer};
use crate::ports::{
    AccountWriter, HookError, HookRunner, Readiness, SinkError, SinkWriter, StateWriter, Timer,
};
use crate::session::Session;
use account::AccountRun;
use hooks::OneByOne;
use lasting::Lasting;
use unreachable_account::UnreachableAccount;

/// What a plan is carried out with.
pub struct Apply<'a> {
    pub plan: &'a CheckedPlan,
    pub session: Session,
    pub store: Arc<dyn StateWriter>,
    pub writers: BTreeMap<Name, Arc<dyn AccountWriter>>,
    pub sinks: Arc<dyn SinkWriter>,
    pub hooks: Arc<dyn HookRunner>,
    pub timer: Arc<dyn Timer>,
    pub events: Arc<dyn Observer>,
    pub cancel: Cancel,
    pub options: ApplyOptions,
}

/// How to carry a plan out.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// How long SendGrid's reads may trail its writes.
    pub read_lag: Duration,
    /// Who is at work: the pipeline's run, or user and host. State keeps it with each key.
    pub by: String,
    pub concurrency: Concurrency,
}

/// Tells a run to start nothing new.
#[derive(Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// A switch, and what a run looks at.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// For runs that cannot be interrupted.
    pub fn never() -> Self {
        Self::new().1
    }

    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Comes back once it is set.
    pub async fn set(&self) {
        if self.0.clone().wait_for(|set| *set).await.is_err() {
            // Nobody can set it any more.
            std::future::pending().await
        }
    }

    /// For whoever waits elsewhere on behalf of the run.
    pub fn receiver(&self) -> watch::Receiver<bool> {
        self.0.clone()
    }
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Changes that were carried out whole.
    pub done: Vec<(Name, Address, Action)>,
    pub failed: Vec<Failure>,
    /// Changes that were not started, as the run was interrupted or its account stopped.
    pub not_started: Vec<(Name, Address, Action)>,
    /// Keys that were to get Full Access, and got less.
    pub less_than_full: Vec<LessThanFull>,
    pub interrupted: bool,
    /// Whether anything came about that stays, also of changes that failed.
    pub lasting: bool,
}

/// A key that was to get Full Access, and did not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LessThanFull {
    pub account: Name,
    pub address: Address,
    pub id: KeyId,
    /// What it got instead, without automatic scopes.
    pub scopes: BTreeSet<Scope>,
}

/// A thread that panicked while it held the list leaves nothing half done.
fn unlocked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run that did not begin: nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Sinks that new keys should go to cannot be written.
    #[error("a sink is not ready, so no key was made")]
    SinksNotReady(Vec<(SinkLocation, SinkError)>),
    /// What is to be done after deliveries of new keys cannot be done.
    #[error("what follows a delivery cannot be done, so no key was made")]
    HooksNotReady(Vec<(Hook, HookError)>),
}

/// Carries out a plan.
///
/// *Guarantees*: one key's failure does not stop the others; whatever happens, state and the markers at
/// SendGrid tell the next run what to put right.
///
/// # Errors
/// [`ApplyError`], before anything was changed.
pub async fn apply(apply: Apply<'_>) -> Result<Outcome, ApplyError> {
    let Apply { plan, session, store, writers, sinks, hooks, timer, events, cancel, options } = apply;
    let events = Arc::new(Lasting::over(events));
    let by_account = plan.by_account();
    for unproven in check_sinks(&by_account, sinks.as_ref(), options.concurrency).await? {
        events.event(unproven);
    }
    check_hooks(&by_account, hooks.as_ref()).await?;
    let hooks = Arc::new(OneByOne::over(hooks));
    let no_room = Arc::new(AtomicBool::new(false));
    let mut runs = Vec::new();
    let mut locks = Vec::new();
    for (name, locked) in session.accounts {
        let Some(changes) = by_account.get(&name) else {
            locks.push(locked.lock);
            continue;
        };
        // An account that the manifest no longer has is let go of without being talked to.
        let writer = writers.get(&name).cloned().unwrap_or_else(|| Arc::new(UnreachableAccount));
        let planned = plan.plan().accounts.get(&name);
        let order = planned.map(|account| account.order).unwrap_or_default();
        let observed = planned.and_then(|account| account.observed_at);
        let run = AccountRun::new(account::Parts {
            account: name,
            locked,
            store: Arc::clone(&store),
            writer,
            sinks: Arc::clone(&sinks),
            hooks: Arc::clone(&hooks),
            project: plan.plan().project.clone(),
            timer: Arc::clone(&timer),
            events: Arc::clone(&events) as Arc<dyn Observer>,
            cancel: cancel.clone(),
            options: options.clone(),
            no_room: Arc::clone(&no_room),
            order,
            observed: observed.unwrap_or(Timestamp::UNIX_EPOCH),
        });
        runs.push((run, changes.clone()));
    }
    let outcomes: Vec<Outcome> = stream::iter(runs)
        .map(|(run, changes)| async move { run.carry_out(&changes).await })
        .buffer_unordered(options.concurrency.accounts.get())
        .collect()
        .await;
    for lock in locks {
        // A lock that cannot be given back ends with its lease, and the error says nothing of the keys.
        if let Err(error) = lock.release().await {
            tracing::warn!(%error, "a lock could not be given back");
        }
    }
    let mut all = Outcome { interrupted: cancel.is_set(), lasting: events.is_any(), ..Outcome::default() };
    for outcome in outcomes {
        all.done.extend(outcome.done);
        all.failed.extend(outcome.failed);
        all.not_started.extend(outcome.not_started);
        all.less_than_full.extend(outcome.less_than_full);
    }
    all.done.sort();
    all.not_started.sort();
    all.less_than_full.sort();
    all.failed.sort_by(|a, b| (&a.account, &a.address).cmp(&(&b.account, &b.address)));
    Ok(all)
}

/// Every hook of a new key is checked before the first key of the run is made.
async fn check_hooks(
    by_account: &BTreeMap<&Name, Vec<&Change>>,
    runner: &dyn HookRunner,
) -> Result<(), ApplyError> {
    if runner.is_sandboxed() {
        return Ok(());
    }
    let makes = |change: &&&Change| change.steps.iter().any(|step| matches!(step, Step::Mint(_)));
    let steps = by_account.values().flatten().filter(makes).flat_map(|change| &change.steps);
    let hooks: BTreeSet<&Hook> = steps
        .filter_map(|step| {
            let Step::RunHooks { hooks, begun: _, due: _ } = step else { return None };
            Some(hooks)
        })
        .flatten()
        .collect();
    let mut failed = Vec::new();
    for hook in hooks {
        if let Err(error) = runner.check(&hook.does).await {
            failed.push((hook.clone(), error));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(ApplyError::HooksNotReady(failed)) }
}

/// Every sink of a new key is checked before the first key of the run is made. Returns what is to be said of those of which
/// nothing proves that they can be written: of each once.
async fn check_sinks(
    by_account: &BTreeMap<&Name, Vec<&Change>>,
    sinks: &dyn SinkWriter,
    concurrency: Concurrency,
) -> Result<Vec<Event>, ApplyError> {
    let steps = by_account.values().flatten().flat_map(|change| &change.steps);
    let locations: BTreeMap<LocationId, &SinkLocation> = steps
        .filter_map(|step| {
            let Step::Mint(mint) = step else { return None };
            Some(&mint.puts)
        })
        .flatten()
        .map(|put| (put.location.id(), &put.location))
        .collect();
    let mut checked: Vec<_> = stream::iter(locations.into_values())
        .map(|location| async move { (location.clone(), sinks.check(location).await) })
        .buffer_unordered(concurrency.checks.get())
        .collect()
        .await;
    checked.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut failed = Vec::new();
    let mut unproven: BTreeMap<Name, Vec<(SinkLocation, String)>> = BTreeMap::new();
    for (location, checked) in checked {
        match checked {
            Ok(Readiness::Proven) => {}
            Ok(Readiness::Plausible(why)) => {
                unproven.entry(location.sink.clone()).or_default().push((location, why));
            }
            Err(error) => failed.push((location, error)),
        }
    }
    if !failed.is_empty() {
        return Err(ApplyError::SinksNotReady(failed));
    }
    let told = unproven.into_values().filter_map(|of_sink| {
        let others = of_sink.len() - 1;
        let (location, why) = of_sink.into_iter().next()?;
        Some(Event::Unproven { location, why, others })
    });
    Ok(told.collect())
}
