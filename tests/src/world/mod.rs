//! A world for the engine: accounts at SendGrid, sinks, a store and time, all in memory, which fail where a
//! schedule says so.
//!
//! It shares nothing with the adapters: what it does to the engine is the worst that the ports allow.

mod account;
mod hooks;
mod manifest;
mod run;
mod sinks;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::state::AccountState;
use gridkey_core::{Access, KeyId, LocationId, Name, Scope};
use gridkey_engine::ports::Timer;
use jiff::Timestamp;
use strum::VariantArray;

pub use manifest::{Wanted, WorldManifest, location};
pub use run::{Ended, RunOptions};

/// How long it may take in this world until a read shows what a request asked for.
pub const READ_LAG: Duration = Duration::from_secs(30);

/// The half of it that the effect may take to come about; the other half is for replicas to hear of it.
const LATE: Duration = Duration::from_secs(15);

/// How long a sink's reads may trail its writes.
pub const SINK_LAG: Duration = Duration::from_secs(5);

/// How long an older key must go on working.
pub const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that one request can be under way.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The number of what plans and changes nothing, with a key that only reads.
pub const PLANS: u64 = 0;

/// How long a lease lasts.
pub const LEASE: Duration = Duration::from_secs(60);

/// Something that changes the world outside of the runner's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum Effect {
    Create,
    Rename,
    Update,
    Delete,
    Put,
    Remove,
    Hook,
    StateWrite,
}

impl Effect {
    /// Whether it can belong to the step of a change that another one was in the middle of.
    fn may_follow(self, at: Self) -> bool {
        match at {
            Self::Create | Self::Put | Self::StateWrite => {
                matches!(self, Self::Put | Self::Rename | Self::StateWrite)
            }
            Self::Rename | Self::Update => self == Self::StateWrite,
            Self::Delete => matches!(self, Self::Delete | Self::Remove | Self::StateWrite),
            Self::Remove => matches!(self, Self::Remove | Self::StateWrite),
            Self::Hook => self == Self::StateWrite,
        }
    }
}

/// The ways in which an effect can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An answer that says no; nothing happened.
    Refused,
    /// No answer; nothing happened.
    LostBefore,
    /// No answer; it happened.
    AnswerLost,
    /// No answer; it happens a while later.
    Late,
    /// No answer; it happens long after anybody watches for it.
    VeryLate,
    /// The process is killed; nothing happened.
    KilledBefore,
    /// The process is killed; it happened.
    KilledAfter,
    /// The process is killed, and what it asked for happens a while later.
    KilledLate,
    /// It happens, and the answer is heard only after the runner stood still so long that its lock was
    /// lifted and another run did the work.
    Stalled,
    /// It happens, and the answer takes so long that the lease has less left than a further request may take.
    Slow,
    /// It happens, and the run is told to stop meanwhile.
    Interrupted,
}

impl Fault {
    /// The five ways of failing that every effect is put through, with both sides of a kill.
    pub const EVERYWHERE: [Self; 6] = [
        Self::Refused,
        Self::LostBefore,
        Self::AnswerLost,
        Self::Late,
        Self::KilledBefore,
        Self::KilledAfter,
    ];

    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::LostBefore,
        Self::AnswerLost,
        Self::Late,
        Self::VeryLate,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::KilledLate,
    ];
}

/// A key at SendGrid.
#[derive(Clone, Debug)]
pub struct Key {
    pub account: Name,
    pub name: String,
    pub access: Access,
    /// `SG.<id>.<secret>`; here for the checks, never shown.
    pub secret: String,
    pub foreign: bool,
    /// Whether gridkey was told of it: the secret of the others is lost.
    pub born: Duration,
    pub revoked: Option<Duration>,
}

/// What a hook was told: by the sink whose hook it is, the key and where it was delivered.
pub type Told = BTreeSet<(Option<Name>, KeyId, String)>;

/// A request that is still on its way.
#[derive(Clone, Debug)]
enum Flight {
    Create { account: Name, name: String, access: Access },
    Rename { id: KeyId, name: String },
    Update { id: KeyId, name: String, access: Access },
    Delete { id: KeyId },
    Put { location: LocationId, secret: String, expected: Option<KeyId> },
    Remove { location: LocationId },
    Hook { told: Told },
    StateWrite { state: Box<AccountState>, expected: Option<u64> },
}

impl Flight {
    fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Rename { .. } => "rename",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
            Self::Put { .. } => "put",
            Self::Remove { .. } => "remove",
            Self::Hook { .. } => "hook",
            Self::StateWrite { .. } => "state write",
        }
    }
}

/// Everything there is, besides the runner.
#[derive(Clone, Debug, Default)]
pub struct Inner {
    pub now: Duration,
    pub keys: BTreeMap<KeyId, Key>,
    pub locations: BTreeMap<LocationId, Option<String>>,
    /// How often each location was written to: the service's own version of what it holds.
    versions: BTreeMap<LocationId, u64>,
    /// Since when a location has held what it holds, and what it held before.
    changed: BTreeMap<LocationId, (Duration, Option<String>)>,
    /// Which key gridkey gave to which location.
    pub given: BTreeSet<(LocationId, KeyId)>,
    /// What was told of deliveries.
    pub told: Told,
    /// When each key was last served by a location that somebody reads.
    served: BTreeMap<(KeyId, LocationId), Duration>,
    /// The documents, each with its version.
    states: BTreeMap<Name, (u64, AccountState)>,
    /// How many keys each account holds.
    pub limit: usize,
    /// How many characters of a name are kept; `None` where all are, and no answer says so.
    pub name_length: Option<usize>,
    /// What a key with Full Access gets instead, where the managing key cannot give more.
    pub instead_of_full: Option<BTreeSet<Scope>>,
    /// Locations that a consumer reads now.
    pub read_by_consumers: Vec<LocationId>,
    flights: Vec<(Duration, Flight)>,
    /// How many effects there have been, in all runs.
    pub effects: Vec<Effect>,
    /// What fails, by the number of the effect.
    pub schedule: BTreeMap<usize, Fault>,
    /// Whether what fails goes on failing: at every further effect of its kind, until the run ends.
    pub lasting: bool,
    failing: Option<(u64, Effect, Fault)>,
    /// What each run asked for, in order.
    pub asked: Vec<(u64, Effect)>,
    /// At which effect each run was told to stop.
    told_to_stop: BTreeMap<u64, Effect>,
    /// How many reads there have been, of accounts and of locations.
    pub reads: usize,
    /// Reads that get no answer, by their number.
    pub unanswered: BTreeSet<usize>,
    /// Locations that are found not to be ready.
    pub not_ready: BTreeSet<LocationId>,
    /// Whether every sink says that it has no room for a secret.
    pub no_room: bool,
    /// Until when each run may count on each lock.
    leases: BTreeMap<(u64, Name), Duration>,
    /// Whether reads are as stale as they may be.
    pub stale: bool,
    /// Reads of sinks that fail, counted down.
    pub unreadable: u32,
    /// Whether SendGrid answers every revocation that it knows no such key, and does nothing.
    pub denies: bool,
    locks: BTreeMap<Name, LockEntry>,
    /// Keys that a person gave up at once: nobody promised that they go on working.
    pub given_up: BTreeSet<KeyId>,
    /// What the plans that were carried out had: actions, and kinds of steps.
    pub carried_out: BTreeSet<String>,
    /// Promises that were broken while something ran.
    pub broken: Vec<String>,
    /// Everything that happened, where `traced`: for people who look at a broken promise.
    pub trace: Vec<String>,
    pub traced: bool,
    made: u64,
}

#[derive(Clone, Debug)]
struct LockEntry {
    run: u64,
    until: Duration,
}

/// The world, shared by everything that acts in it.
#[derive(Clone)]
pub struct World(Arc<Mutex<Inner>>);

/// What one run sees of the world; it ends with the run's process.
#[derive(Clone)]
pub struct Process {
    world: World,
    pub run: u64,
    dead: Arc<AtomicBool>,
    stalled: Arc<AtomicBool>,
    /// What stands still, to be woken when it goes on.
    asleep: Arc<Mutex<Vec<Waker>>>,
    /// Tells the run to stop.
    interrupt: Arc<dyn Fn() + Send + Sync>,
}

/// What the runner hears of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Refused,
    /// No answer that tells.
    Lost,
}

impl World {
    /// Empty accounts that hold up to `limit` keys each.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner { limit, ..Inner::default() })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy that goes its own way.
    pub fn fork(&self) -> Self {
        let copy = self.lock().clone();
        Self(Arc::new(Mutex::new(copy)))
    }

    pub fn pass(&self, time: Duration) {
        self.lock().pass(time);
    }
}

impl Process {
    pub fn new(world: &World, run: u64, interrupt: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            interrupt: Arc::new(interrupt),
            world: world.clone(),
            run,
            dead: Arc::default(),
            stalled: Arc::default(),
            asleep: Arc::default(),
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// The world, for a process that lives; one that was killed waits here for ever.
    async fn live(&self) -> MutexGuard<'_, Inner> {
        if self.is_dead() {
            futures::future::pending::<()>().await;
        }
        self.world.lock()
    }

    /// Lets the runner go on that stood still.
    pub fn resume(&self) {
        self.stalled.store(false, Ordering::Relaxed);
        let asleep = std::mem::take(&mut *self.asleep.lock().unwrap_or_else(PoisonError::into_inner));
        asleep.into_iter().for_each(Waker::wake);
    }

    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Brings an effect about, or fails in the way that the schedule has for it. A kill never returns.
    async fn effect(&self, effect: Effect, what: &str, flight: Flight) -> Answer {
        let fate = self.live().await.effect(self.run, effect, what, flight);
        match fate {
            Fate::Answers(answer) => answer,
            Fate::Interrupts => {
                (self.interrupt)();
                Answer::Done
            }
            Fate::Dies => {
                self.dead.store(true, Ordering::Relaxed);
                futures::future::pending().await
            }
            Fate::Stalls => {
                self.stalled.store(true, Ordering::Relaxed);
                futures::future::poll_fn(|context| {
                    if !self.is_stalled() {
                        return Poll::Ready(Answer::Done);
                    }
                    let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
                    asleep.push(context.waker().clone());
                    Poll::Pending
                })
                .await
            }
        }
    }
}

/// What becomes of the runner that asked for an effect.
enum Fate {
    Answers(Answer),
    Interrupts,
    Dies,
    Stalls,
}

impl Inner {
    fn effect(&mut self, run: u64, effect: Effect, what: &str, flight: Flight) -> Fate {
        let number = self.effects.len();
        self.effects.push(effect);
        self.asked.push((run, effect));
        self.may_be_begun(run, effect, &flight);
        let lasts = self.failing.filter(|(failing, what, _)| (*failing, *what) == (run, effect));
        let fault = self.schedule.remove(&number).or(lasts.map(|(_, _, fault)| fault));
        if let (Some(fault), true) = (fault, self.lasting) {
            self.failing = Some((run, effect, fault));
        }
        match fault {
            Some(fault) => self.log(|| format!("r{run} #{number} {what}: {fault:?}")),
            None => self.log(|| format!("r{run} #{number} {what}")),
        }
        // What a sink was asked for comes about within the sink's own lag.
        let is_sink = matches!(flight, Flight::Put { .. } | Flight::Remove { .. });
        let late = if is_sink { SINK_LAG / 2 } else { LATE };
        let very_late = if is_sink { SINK_LAG } else { READ_LAG * 3 };
        match fault {
            None => {
                self.land(flight);
                Fate::Answers(Answer::Done)
            }
            Some(Fault::Refused) => Fate::Answers(Answer::Refused),
            Some(Fault::LostBefore) => Fate::Answers(Answer::Lost),
            Some(Fault::AnswerLost) => {
                self.land(flight);
                Fate::Answers(Answer::Lost)
            }
            Some(Fault::Late) => {
                self.later(late, flight);
                Fate::Answers(Answer::Lost)
            }
            Some(Fault::VeryLate) => {
                self.later(very_late, flight);
                Fate::Answers(Answer::Lost)
            }
            Some(Fault::KilledBefore) => Fate::Dies,
            Some(Fault::KilledAfter) => {
                self.land(flight);
                Fate::Dies
            }
            Some(Fault::KilledLate) => {
                self.later(late, flight);
                Fate::Dies
            }
            Some(Fault::Stalled) => {
                self.land(flight);
                Fate::Stalls
            }
            Some(Fault::Slow) => {
                self.land(flight);
                let until = self.leases.iter().filter(|((of, _), _)| *of == run).map(|(_, until)| *until);
                let late = until.min().unwrap_or_default().saturating_sub(DEADLINE / 2);
                self.pass(late.saturating_sub(self.now));
                Fate::Answers(Answer::Done)
            }
            Some(Fault::Interrupted) => {
                self.land(flight);
                self.told_to_stop.insert(run, effect);
                Fate::Interrupts
            }
        }
    }

    /// Breaks a promise where an effect must not be begun now: with a lease that may end before it, or as a new step of
    /// a run that was told to stop.
    fn may_be_begun(&mut self, run: u64, effect: Effect, flight: &Flight) {
        let account = match flight {
            Flight::Create { account, .. } => Some(account),
            Flight::Rename { id, .. } | Flight::Update { id, .. } | Flight::Delete { id } => {
                self.keys.get(id).map(|key| &key.account)
            }
            Flight::Put { .. } | Flight::Remove { .. } | Flight::Hook { .. } | Flight::StateWrite { .. } => {
                None
            }
        };
        let leases = self
            .leases
            .iter()
            .filter(|((of, lock), _)| *of == run && account.is_none_or(|account| account == lock));
        let until = leases.map(|(_, until)| *until).max().unwrap_or_default();
        // A late write of state is refused by its epoch and version.
        if effect != Effect::StateWrite && until <= self.now + DEADLINE {
            self.break_promise(format!(
                "fencing: r{run} began {effect:?}, and its lease may end before that"
            ));
        }
        // A key that makes room is noted as such and revoked in one step.
        let makes_room = |id: &KeyId| {
            let mut owned = self.states().flat_map(|state| state.keys.values());
            owned.any(|key| key.makes_room && key.id == *id)
        };
        let goes_on = matches!(flight, Flight::Delete { id } if makes_room(id));
        if let Some(at) =
            self.told_to_stop.get(&run).copied().filter(|at| !goes_on && !effect.may_follow(*at))
        {
            self.break_promise(format!("interruption: r{run} began {effect:?}, told to stop at {at:?}"));
        }
    }
}

impl Inner {
    pub fn log(&mut self, line: impl FnOnce() -> String) {
        if self.traced {
            let at = self.now.as_secs();
            let line = line();
            self.trace.push(format!("t{at} {line}"));
        }
    }

    pub fn break_promise(&mut self, promise: String) {
        self.log(|| format!("!! {promise}"));
        self.broken.push(promise);
    }

    /// Time passes, and what was on its way arrives.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.flights.iter().enumerate().min_by_key(|(_, (due, _))| *due);
            let Some((at, due)) = due.map(|(at, (due, _))| (at, *due)).filter(|(_, due)| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            let (_, flight) = self.flights.remove(at);
            self.log(|| format!("late: {}", flight.name()));
            self.land(flight);
        }
        self.now = end;
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Create { account, name, access } => {
                if self.live_count(&account) < self.limit {
                    self.make(&account, name, access, false);
                }
            }
            Flight::Rename { id, name } => {
                let name = self.kept(&name);
                if let Some(key) = self.keys.get_mut(&id) {
                    key.name = name;
                }
            }
            Flight::Update { id, name, access } => {
                let name = self.kept(&name);
                if let Some(key) = self.keys.get_mut(&id) {
                    key.name = name;
                    key.access = access;
                }
            }
            Flight::Delete { id } => self.revoke(&id),
            Flight::Put { location, secret, expected } => {
                let id = KeyId::of_secret(&secret);
                let held = self.held(&location);
                self.write_location(&location, Some(secret), expected);
                let given =
                    id.filter(|id| held.as_ref() != Some(id) && self.held(&location).as_ref() == Some(id));
                self.given.extend(given.map(|id| (location, id)));
            }
            Flight::Remove { location } => self.write_location(&location, None, None),
            Flight::Hook { told } => self.told.extend(told),
            Flight::StateWrite { state, expected } => {
                self.write_state(*state, expected);
            }
        }
    }

    fn later(&mut self, after: Duration, flight: Flight) {
        self.flights.push((self.now + after, flight));
    }

    /// What is kept of a name.
    fn kept(&self, name: &str) -> String {
        name.chars().take(self.name_length.unwrap_or(usize::MAX)).collect()
    }

    /// The scopes of an access, as SendGrid shows them: with one that it adds by itself.
    fn shown(&self, access: &Access) -> BTreeSet<Scope> {
        let full = || {
            let all = (0..120).map(|number| Scope::new(format!("some.{number}.read")));
            all.chain([Scope::new("mail.send"), Scope::new("api_keys.create")]).collect()
        };
        let mut scopes = match access.scopes() {
            Some(scopes) => scopes.as_set().clone(),
            None => self.instead_of_full.clone().unwrap_or_else(full),
        };
        scopes.insert(Scope::new("2fa_required"));
        scopes
    }

    pub fn timestamp(&self) -> Timestamp {
        let seconds = 1_790_000_000 + i64::try_from(self.now.as_secs()).expect("a test lasts less than that");
        Timestamp::new(seconds, i32::try_from(self.now.subsec_nanos()).expect("below a billion"))
            .expect("a date in this century")
    }

    /// Counts a read; `false` where it gets no answer.
    fn is_answered(&mut self, what: impl FnOnce() -> String) -> bool {
        let number = self.reads;
        self.reads += 1;
        let answered = !self.unanswered.remove(&number);
        if !answered {
            self.log(|| format!("no answer to {}", what()));
        }
        answered
    }

    pub fn live_count(&self, account: &Name) -> usize {
        self.keys.values().filter(|key| key.account == *account && key.revoked.is_none()).count()
    }

    /// The document of an account.
    pub fn state(&self, account: &Name) -> Option<&AccountState> {
        self.states.get(account).map(|(_, state)| state)
    }

    pub fn states(&self) -> impl Iterator<Item = &AccountState> {
        self.states.values().map(|(_, state)| state)
    }

    fn is_read(&self, location: &LocationId) -> bool {
        self.read_by_consumers.contains(location)
    }
}

#[async_trait]
impl Timer for Process {
    fn elapsed(&self) -> Duration {
        self.world.lock().now
    }

    async fn sleep(&self, duration: Duration) {
        self.live().await.pass(duration);
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// The account that keys live in where nothing else is said.
pub fn acme() -> Name {
    name("acme")
}

/// An account that keys move to.
pub fn branch() -> Name {
    name("branch")
}
