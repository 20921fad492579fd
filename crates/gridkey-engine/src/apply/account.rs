//! One account's run: its changes in the order of their phases, and what every step needs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use gridkey_core::inventory::SinkObservation;
use gridkey_core::plan::{Change, Effect, Order, Phase, Step};
use gridkey_core::state::AccountState;
use gridkey_core::state::transition::Receipts;
use gridkey_core::{Address, KeyId, Known, Name, Receipt, SinkLocation};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as AsyncMutex;

use super::commit::{CommitError, Committer};
use super::hooks::OneByOne;
use super::progress::{Ledger, Progress};
use super::{ApplyOptions, Cancel, LessThanFull, Outcome, unlocked};
use crate::event::{Event, Failure, Observer};
use crate::ports::{AccountWriter, Deleted, Lock, SinkWriter, StateWriter, Timer, WriteError};
use crate::refresh::remaining;
use crate::session::LockedAccount;

/// How often a revocation is tried whose outcome is unclear.
const REVOKE_ATTEMPTS: u32 = 3;

/// How long to wait before a further try of something that may be repeated.
const PAUSE: Duration = Duration::from_secs(1);

/// What an account's run is made of.
pub(crate) struct Parts {
    pub account: Name,
    pub locked: LockedAccount,
    pub store: Arc<dyn StateWriter>,
    pub writer: Arc<dyn AccountWriter>,
    pub sinks: Arc<dyn SinkWriter>,
    pub hooks: Arc<OneByOne>,
    pub project: Name,
    pub timer: Arc<dyn Timer>,
    pub events: Arc<dyn Observer>,
    pub cancel: Cancel,
    pub options: ApplyOptions,
    /// Set once a sink of any account has no room for a secret.
    pub no_room: Arc<AtomicBool>,
    /// Whether keys are made before others are revoked.
    pub order: Order,
    /// SendGrid's clock when the account was observed.
    pub observed: Timestamp,
}

/// One account's run.
pub(crate) struct AccountRun {
    pub account: Name,
    lock: Box<dyn Lock>,
    pub committer: Committer,
    pub writer: Arc<dyn AccountWriter>,
    pub sinks: Arc<dyn SinkWriter>,
    pub hooks: Arc<OneByOne>,
    pub project: Name,
    pub timer: Arc<dyn Timer>,
    pub events: Arc<dyn Observer>,
    pub cancel: Cancel,
    pub options: ApplyOptions,
    pub no_room: Arc<AtomicBool>,
    order: Order,
    observed: Timestamp,
    started: Duration,
    /// Creations are asked for one after another.
    pub posting: AsyncMutex<()>,
    /// Set once nothing more may be done in this account.
    stopped: AtomicBool,
    /// Set once SendGrid says that the account is full.
    pub full: AtomicBool,
    /// Keys that were to get Full Access, and got less.
    pub less_than_full: Mutex<Vec<LessThanFull>>,
    /// What services gave for what this run wrote, and state does not know of yet.
    receipts: Mutex<Receipts>,
}

/// A step that was not carried out to its end.
#[derive(Debug)]
pub(crate) struct StepError {
    pub message: String,
    pub help: Option<String>,
}

impl StepError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub fn with_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }

    /// What was left, as the run is to stop.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::with_help(message, "run again: it goes on from there")
    }
}

impl From<CommitError> for StepError {
    fn from(error: CommitError) -> Self {
        let help = match error {
            CommitError::TakenOver(_) => "this run stops here; run again once the other has ended",
            CommitError::Failed { .. } => {
                "make the store writable and run again: it puts right what was begun"
            }
        };
        Self::with_help(error.to_string(), help)
    }
}

impl AccountRun {
    pub fn new(parts: Parts) -> Self {
        let Parts {
            account,
            locked,
            store,
            writer,
            sinks,
            hooks,
            project,
            timer,
            events,
            cancel,
            options,
            no_room,
            order,
            observed,
        } = parts;
        let LockedAccount { lock, mut state, version } = locked;
        state.managing_key = writer.managing_key().or(state.managing_key);
        let committer = Committer::new(account.clone(), store, Arc::clone(&timer), state, version);
        let started = timer.elapsed();
        Self {
            account,
            lock,
            committer,
            writer,
            sinks,
            hooks,
            project,
            timer,
            events,
            cancel,
            options,
            no_room,
            order,
            observed,
            started,
            posting: AsyncMutex::new(()),
            stopped: AtomicBool::new(false),
            full: AtomicBool::new(false),
            less_than_full: Mutex::default(),
            receipts: Mutex::default(),
        }
    }

    /// Carries the changes out, phase by phase, and gives the lock back.
    pub async fn carry_out(self, changes: &[&Change]) -> Outcome {
        let mut ledger = Ledger::new(changes);
        for (index, error) in self.move_all(changes).await {
            self.fail(changes[index], &error);
            ledger.note(index, Phase::StateOnly, Progress::Failed(error));
        }
        for phase in self.order.phases() {
            match phase {
                Phase::Replace => self.one_by_one(&mut ledger, phase).await,
                Phase::StateOnly
                | Phase::Recover
                | Phase::Retire
                | Phase::Delete
                | Phase::Update
                | Phase::Deliver
                | Phase::Create
                | Phase::Announce
                | Phase::Revoke => self.side_by_side(&mut ledger, phase).await,
            }
        }
        self.outcome(ledger).await
    }

    /// A phase whose changes do not mind each other.
    async fn side_by_side(&self, ledger: &mut Ledger<'_>, phase: Phase) {
        let mut due = Vec::new();
        for (index, change) in ledger.concerned(phase) {
            match self.may_go_on(ledger, change, phase) {
                true => due.push((index, change)),
                false => ledger.note(index, phase, Progress::NotStarted),
            }
        }
        if let Err(error) = self.announce(&due, phase).await {
            // The account is stopped, so that none of it is begun.
            tracing::debug!(message = error.message, "what is about to be revoked could not be recorded");
        }
        let mut results = stream::iter(due)
            .map(|(index, change)| async move { (index, self.phase_of(change, phase).await) })
            .buffer_unordered(self.options.concurrency.keys.get());
        while let Some((index, result)) = results.next().await {
            ledger.note(index, phase, result);
        }
    }

    /// Records which keys a phase is about to revoke, in one write: where the run breaks off, the next one knows who did it.
    async fn announce(&self, due: &[(usize, &Change)], phase: Phase) -> Result<(), StepError> {
        let steps = due.iter().flat_map(|(_, change)| &change.steps).filter(|step| step.phase() == phase);
        let effects = steps.filter(|step| !matches!(step, Step::Mint(_))).flat_map(Step::effects);
        let ids: Vec<KeyId> = effects
            .filter_map(|effect| match effect {
                Effect::Revokes { id, when: _ } => Some(id.clone()),
                Effect::Makes { .. }
                | Effect::Finishes(_)
                | Effect::Renames(_)
                | Effect::Rescopes(_)
                | Effect::Delivers(_)
                | Effect::Clears(_)
                | Effect::Moves(_)
                | Effect::Adopts(_)
                | Effect::LetsGo(_)
                | Effect::Runs { .. } => None,
            })
            .collect();
        if ids.is_empty() || self.cancel.is_set() || self.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.commit(move |state, at| state.leaving(ids, at)).await
    }

    /// A phase that revokes a key before its successor is there: one at a time, and none after a failure, so that no
    /// more than one key is missing.
    async fn one_by_one(&self, ledger: &mut Ledger<'_>, phase: Phase) {
        for (index, change) in ledger.concerned(phase) {
            let result = match ledger.may_replace() && self.may_go_on(ledger, change, phase) {
                true => self.phase_of(change, phase).await,
                false => Progress::NotStarted,
            };
            ledger.note(index, phase, result);
        }
    }

    /// Whether nothing that was left undone before stands against a phase of a change.
    fn may_go_on(&self, ledger: &Ledger<'_>, change: &Change, phase: Phase) -> bool {
        if ledger.is_broken(&change.address) {
            return false;
        }
        match ledger.missing_successor(change).filter(|_| phase == Phase::Delete) {
            Some(successor) => {
                let (account, address) = (self.account.clone(), change.address.clone());
                self.events.event(Event::LeftForSuccessor { account, address, successor });
                false
            }
            None => true,
        }
    }

    /// All moves in one write, so that addresses may change places; says which changes are held up.
    async fn move_all(&self, changes: &[&Change]) -> Vec<(usize, StepError)> {
        let moves: Vec<(usize, (Address, Address))> = changes
            .iter()
            .enumerate()
            .flat_map(|(index, change)| {
                let moved = change.effects().filter_map(Effect::moved_from);
                moved.map(move |from| (index, (from.clone(), change.address.clone())))
            })
            .collect();
        if moves.is_empty() || self.cancel.is_set() {
            return Vec::new();
        }
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (pairs, found): (Vec<_>, _) =
            (moves.iter().map(|(_, pair)| pair.clone()).collect(), Arc::clone(&taken));
        let committed = self
            .commit(move |state, _| {
                let stayed = state.moved(&pairs);
                *unlocked(&found) = stayed;
            })
            .await;
        if let Err(StepError { message, help }) = committed {
            let error = || StepError { message: message.clone(), help: help.clone() };
            return moves.into_iter().map(|(index, _)| (index, error())).collect();
        }
        let taken = unlocked(&taken).clone();
        let mut held_up = Vec::new();
        for (index, (from, address)) in moves {
            if taken.contains(&address) {
                let message = format!("`{from}` stays where it is, as `{address}` still has a key");
                held_up.push((index, StepError::with_help(message, "move or remove that one first")));
            } else {
                let account = self.account.clone();
                self.events.event(Event::Moved { account, from, address });
            }
        }
        held_up
    }

    async fn outcome(self, mut ledger: Ledger<'_>) -> Outcome {
        let less_than_full = std::mem::take(&mut *unlocked(&self.less_than_full));
        let mut outcome = Outcome { less_than_full, ..Outcome::default() };
        for (index, change) in ledger.changes.iter().enumerate() {
            let entry = (self.account.clone(), change.address.clone(), change.action);
            match ledger.take(index) {
                Some(Progress::Done) => outcome.done.push(entry),
                Some(Progress::Failed(error)) => outcome.failed.push(self.failure(change, &error)),
                // A change without steps waits for something; the plan says for what.
                None if change.steps.is_empty() => {}
                Some(Progress::NotStarted) | None => outcome.not_started.push(entry),
            }
        }
        if let Err(error) = self.lock.release().await {
            tracing::warn!(%error, account = %self.account, "the lock could not be given back");
        }
        outcome
    }

    /// One change's steps of one phase.
    async fn phase_of(&self, change: &Change, phase: Phase) -> Progress {
        match self.steps_of(change, phase).await {
            Ok(true) => {
                let last = self.phases_of(change).next_back();
                if last == Some(phase) {
                    let (account, address, action) =
                        (self.account.clone(), change.address.clone(), change.action);
                    self.events.event(Event::Done { account, address, action });
                }
                Progress::Done
            }
            Ok(false) => Progress::NotStarted,
            Err(error) => {
                self.fail(change, &error);
                Progress::Failed(error)
            }
        }
    }

    /// The phases in which a change has something to do, in order.
    fn phases_of(&self, change: &Change) -> impl DoubleEndedIterator<Item = Phase> {
        let phases = self.order.phases().into_iter();
        phases.filter(|phase| change.steps.iter().any(|step| step.phase() == *phase))
    }

    /// `false` where the run was told to stop before the steps were done, or where a new key could not be delivered.
    async fn steps_of(&self, change: &Change, phase: Phase) -> Result<bool, StepError> {
        let mut steps = change.steps.iter().filter(|step| step.phase() == phase);
        if self.no_room.load(Ordering::Relaxed) && steps.any(|step| matches!(step, Step::Mint(_))) {
            return Ok(false);
        }
        // It is said once that a change is begun: in the first of its phases.
        let mut first = self.phases_of(change).next() == Some(phase);
        for step in change.steps.iter().filter(|step| step.phase() == phase) {
            if self.cancel.is_set() || self.stopped.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if first {
                first = false;
                let (account, address, action) =
                    (self.account.clone(), change.address.clone(), change.action);
                self.events.event(Event::Started { account, address, action });
            }
            self.step(change, step).await?;
        }
        Ok(true)
    }

    fn failure(&self, change: &Change, error: &StepError) -> Failure {
        Failure {
            account: self.account.clone(),
            address: change.address.clone(),
            action: change.action,
            message: error.message.clone(),
            help: error.help.clone(),
        }
    }

    fn fail(&self, change: &Change, error: &StepError) {
        self.events.event(Event::Failed(self.failure(change, error)));
    }

    /// Nothing more is started in this account.
    pub fn stop(&self, reason: impl Into<String>) {
        if !self.stopped.swap(true, Ordering::Relaxed) {
            self.events.event(Event::AccountStopped { account: self.account.clone(), reason: reason.into() });
        }
    }

    /// SendGrid's clock now. Of an account that is not talked to: when it was planned, and what has passed since.
    pub fn now(&self) -> Timestamp {
        if let Some(now) = self.writer.now() {
            return now;
        }
        let passed = self.timer.elapsed().saturating_sub(self.started);
        SignedDuration::try_from(passed)
            .ok()
            .and_then(|passed| self.observed.checked_add(passed).ok())
            .unwrap_or(self.observed)
    }

    /// A location took a key.
    pub fn received(&self, location: &SinkLocation, id: &KeyId, receipt: Option<Receipt>) {
        let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        match receipt {
            Some(receipt) => receipts.insert(location.id(), Known { id: id.clone(), receipt }),
            // What was known of it before is over.
            None => receipts.remove(&location.id()),
        };
    }

    /// What services gave for what this run wrote.
    pub fn receipts(&self) -> Receipts {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was written to a location last: by this run, or by what state says.
    pub async fn known(&self, location: &SinkLocation) -> Option<Known> {
        let id = location.id();
        let mine = self.receipts.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if mine.is_some() { mine } else { self.committer.known(&id).await }
    }

    /// What a location holds.
    pub async fn observe(&self, location: &SinkLocation) -> SinkObservation {
        let known = self.known(location).await;
        self.sinks.observe(location, known.as_ref()).await
    }

    /// Waits; `false` where the run is told to stop meanwhile.
    pub async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.cancel.set() => false,
            () = self.timer.sleep(duration) => true,
        }
    }

    /// How long reads may still trail something that happened then.
    pub fn lag_left(&self, since: Timestamp) -> Option<Duration> {
        remaining(since, self.now(), self.options.read_lag)
    }

    /// Whether an effect that can be under way for this long may be started: only while the lease has more
    /// left than that.
    pub async fn may_start(&self, deadline: Duration) -> Result<(), StepError> {
        let enough = |left: Option<Duration>| left.is_none_or(|left| left > deadline);
        if enough(self.lock.remaining()) {
            return Ok(());
        }
        let renewed = self.lock.renew().await;
        if renewed.is_ok() && enough(self.lock.remaining()) {
            return Ok(());
        }
        self.stop("the lock was lost");
        let message = format!("the lock of account `{}` was lost", self.account);
        Err(StepError::with_help(message, "run again: it puts right what was begun"))
    }

    /// Changes state durably; a state that cannot be written stops the account.
    pub async fn commit(
        &self,
        change: impl FnOnce(&mut AccountState, Timestamp) + Send + 'static,
    ) -> Result<(), StepError> {
        let at = self.now();
        let committed = self
            .committer
            .commit(move |state| {
                change(state, at);
                state.prune(at);
            })
            .await;
        if let Err(error) = &committed {
            self.stop(error.to_string());
        }
        Ok(committed?)
    }

    /// Revokes a key. A 404 counts once reads are sure to know the key, as until then a replica may not have heard of
    /// it, and where no read shows the key, or an earlier request of this run explains it.
    pub async fn revoke(&self, address: &Address, id: &KeyId, born: Timestamp) -> Result<(), StepError> {
        let mut last = String::new();
        let mut may_be_done = false;
        let mut waited = false;
        for attempt in 0..REVOKE_ATTEMPTS {
            if attempt > 0 && !self.pause(PAUSE).await {
                break;
            }
            self.may_start(self.writer.deadline()).await?;
            match self.writer.delete(id).await {
                Ok(Deleted::NotFound) if self.lag_left(born).is_some() => {
                    last = "SendGrid knows no such key, and did a while ago".to_string();
                    if !self.pause(self.lag_left(born).unwrap_or_default()).await {
                        break;
                    }
                }
                Ok(Deleted::NotFound) if !may_be_done && self.is_shown(id).await? => {
                    last = "SendGrid says that it knows no such key, and still shows it".to_string();
                    // Reads may trail the revocation by somebody else, for so long.
                    if std::mem::replace(&mut waited, true) || !self.pause(self.options.read_lag).await {
                        break;
                    }
                }
                Ok(Deleted::Revoked | Deleted::NotFound) => {
                    let (account, address) = (self.account.clone(), address.clone());
                    self.events.event(Event::Revoked { account, address, id: id.clone() });
                    return Ok(());
                }
                Err(WriteError::Unclear(reason)) => {
                    may_be_done = true;
                    last = reason;
                }
                Err(
                    error @ (WriteError::Unauthorized(_)
                    | WriteError::Forbidden(_)
                    | WriteError::Refused(_)
                    | WriteError::NotSent(_)
                    | WriteError::NotFound),
                ) => {
                    let message = format!("key {id} could not be revoked: {error}");
                    return Err(StepError::with_help(message, error.help()));
                }
            }
        }
        Err(StepError::with_help(
            format!("key {id} could not be revoked: {last}"),
            "the next run tries again",
        ))
    }

    /// Whether a read of SendGrid shows a key: a look at it, or the list. A gateway may know the one path and not the other.
    async fn is_shown(&self, id: &KeyId) -> Result<bool, StepError> {
        let unread = |error| {
            let message = format!("whether key {id} is gone could not be looked at: {error}");
            StepError::with_help(message, "the next run looks again")
        };
        if self.writer.held(id).await.map_err(unread)?.is_some() {
            return Ok(true);
        }
        let listing = self.writer.list().await.map_err(unread)?;
        Ok(listing.keys.contains_key(id))
    }
}
