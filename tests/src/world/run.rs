//! One run of the engine in the world, as the command line does it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, poll_fn, select};
use gridkey_core::inventory::Inventory;
use gridkey_core::plan::{
    Approval, ApprovedPlan, Change, Options, Plan, PlanInput, Seed, Selection, plan_approved,
};
use gridkey_core::state::AccountState;
use gridkey_core::{LocationId, Name};
use gridkey_engine::ports::{AccountReader, AccountWriter, LockHolder, SinkReader, StateWriter};
use gridkey_engine::session::{OpenSession, Session};
use gridkey_engine::{
    Apply, ApplyOptions, Cancel, Concurrency, Depth, Event, Observer, Outcome, Readers, Refresh, Settle,
    apply, refresh,
};

use super::account::AccountPort;
use super::{LEASE, PLANS, Process, READ_LAG, World, WorldManifest};

/// What others do between the plan and the run.
pub type Meanwhile = Rc<dyn Fn(&World)>;

/// How a run goes about it.
#[derive(Clone, Default)]
pub struct RunOptions {
    pub options: Options,
    pub selection: Selection,
    /// The plan that was approved; the run does no more than that.
    pub approval: Option<Approval>,
    /// The locations that somebody reads, where that is not just what the manifest has.
    pub readers: Option<Vec<LocationId>>,
    /// What becomes of the plan before it is carried out: for plans that the planner does not make.
    pub edit: Option<fn(&mut Plan)>,
    /// How long a person thinks about the plan.
    pub thinks: Duration,
    pub meanwhile: Option<Meanwhile>,
    pub concurrency: Concurrency,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    Applied(Outcome),
    /// Findings stood against it.
    Blocked(Box<Plan>),
    /// So many changes were wanted and not approved.
    NotApproved(Vec<Change>),
    /// It could not begin, or gave up before anything was done.
    GaveUp(String),
    Killed,
}

/// A port for each account of the manifest.
fn ports<T>(
    process: &Arc<Process>,
    manifest: &WorldManifest,
    port: impl Fn(AccountPort) -> T,
) -> BTreeMap<Name, T> {
    let accounts = manifest.accounts().into_iter();
    accounts
        .map(|account| {
            let process = process.as_ref().clone();
            (account.clone(), port(AccountPort { process, account }))
        })
        .collect()
}

async fn observed(
    process: &Arc<Process>,
    manifest: &WorldManifest,
    options: &RunOptions,
    states: &BTreeMap<Name, AccountState>,
    sinks: Option<&dyn SinkReader>,
    events: &dyn Observer,
    settle: Option<Settle<'_>>,
) -> Inventory {
    let readers: Readers = ports(process, manifest, |port| Ok(Arc::new(port) as Arc<dyn AccountReader>));
    refresh(&Refresh {
        manifest: &manifest.manifest,
        selection: &options.selection,
        states,
        requests: &options.options.requests,
        readers: &readers,
        sinks: sinks.or(Some(process.as_ref())),
        events,
        settle,
        depth: Depth::Plan,
        concurrency: Concurrency::default(),
    })
    .await
}

/// Keeps every event in words, so that secrets can be looked for.
#[derive(Default)]
pub struct Events(Mutex<Vec<String>>);

impl Observer for Events {
    fn event(&self, event: Event) {
        let line = serde_json::to_string(&event).expect("events are plain data");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl World {
    /// Applies the manifest. A schedule may kill the run, or make it stand still while another does the work.
    pub async fn run(&self, number: u64, manifest: &WorldManifest, options: &RunOptions) -> Ended {
        let (stop, cancel) = Cancel::new();
        let process = Process::new(self, number, move || {
            stop.send_replace(true);
        });
        self.lock().read_by_consumers = options.readers.clone().unwrap_or_else(|| manifest.locations());
        self.lock().log(|| format!("== run {number}"));
        let mut applying = Box::pin(self.apply(process.clone(), manifest, options, cancel));
        loop {
            let watched = poll_fn(|_| match process.is_dead() || process.is_stalled() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            match select(applying, watched).await {
                Either::Left((ended, _)) => return ended,
                Either::Right(((), rest)) => {
                    if process.is_dead() {
                        self.lock().log(|| format!("== run {number} was killed"));
                        return Ended::Killed;
                    }
                    self.lock().log(|| format!("== run {number} stands still"));
                    self.pass(LEASE / 2);
                    self.run(number + 100, manifest, options).boxed_local().await;
                    self.lock().log(|| format!("== run {number} goes on"));
                    process.resume();
                    applying = rest;
                }
            }
        }
    }

    async fn apply(
        &self,
        process: Process,
        manifest: &WorldManifest,
        options: &RunOptions,
        cancel: Cancel,
    ) -> Ended {
        let process = Arc::new(process);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&process.run.to_be_bytes());
        let seed = Seed(bytes);
        let store: Arc<dyn StateWriter> = Arc::clone(&process) as _;
        let open = OpenSession {
            store: Arc::clone(&store),
            timer: process.as_ref(),
            manifest: &manifest.manifest,
            seed: &seed,
            holder: LockHolder {
                run: process.run.to_string(),
                who: "test".to_string(),
                process: 1,
                since: self.lock().timestamp(),
                what: "apply".to_string(),
            },
            timeout: Duration::ZERO,
        };
        let mut session = match Session::open(open, &manifest.accounts()).await {
            Ok(session) => session,
            Err(error) => return Ended::GaveUp(error.to_string()),
        };
        let states = session.states();
        let events = Arc::new(Events::default());
        let settle = Settle { timer: process.as_ref(), read_lag: READ_LAG };
        let inventory =
            observed(&process, manifest, options, &states, None, events.as_ref(), Some(settle)).await;
        session.observed(&inventory);
        let mut planned = self.plan_of(manifest, options, &states, &inventory, &seed);
        if let Some(edit) = options.edit {
            edit(&mut planned.plan);
        }
        if !planned.not_approved.is_empty() {
            let _ = session.close().await;
            return Ended::NotApproved(planned.not_approved);
        }
        let checked = match planned.plan.check() {
            Ok(checked) => checked,
            Err(plan) => {
                let _ = session.close().await;
                return Ended::Blocked(plan);
            }
        };
        self.no_secrets("the plan", &checked.plan().to_json());
        self.note(checked.plan());
        self.pass(options.thinks);
        if let Some(meanwhile) = &options.meanwhile {
            meanwhile(self);
        }
        let outcome = apply(Apply {
            plan: &checked,
            session,
            store,
            writers: ports(&process, manifest, |port| Arc::new(port) as Arc<dyn AccountWriter>),
            sinks: Arc::clone(&process) as _,
            hooks: Arc::clone(&process) as _,
            timer: Arc::clone(&process) as _,
            events: Arc::clone(&events) as _,
            cancel,
            options: ApplyOptions {
                read_lag: READ_LAG,
                by: format!("run-{}", process.run),
                concurrency: options.concurrency,
            },
        })
        .await;
        for line in events.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.no_secrets("an event", line);
        }
        match outcome {
            Ok(outcome) => {
                self.no_secrets("the outcome", &format!("{outcome:?}"));
                self.lock().log(|| format!("== run {} applied: {:?}", process.run, outcome.failed));
                Ended::Applied(outcome)
            }
            Err(error) => Ended::GaveUp(error.to_string()),
        }
    }

    /// Remembers what a plan has, so that a test can tell what was never put to the test.
    fn note(&self, plan: &Plan) {
        let mut inner = self.lock();
        for change in plan.effective() {
            inner.carried_out.insert(format!("action {}", change.action));
            for step in &change.steps {
                let step = serde_json::to_value(step).expect("steps are plain data");
                let kind = step.as_object().and_then(|object| object.keys().next()).cloned();
                inner.carried_out.insert(format!("step {}", kind.unwrap_or_default()));
            }
        }
    }

    /// What a plan would say now, without waiting for anything.
    pub async fn plan(&self, manifest: &WorldManifest, options: &RunOptions) -> Plan {
        let states = self.states_now();
        let inventory = self.observe(manifest, options).await;
        self.plan_of(manifest, options, &states, &inventory, &Seed([0; 32])).plan
    }

    /// What a plan looks at.
    pub async fn observe(&self, manifest: &WorldManifest, options: &RunOptions) -> Inventory {
        let process = Arc::new(Process::new(self, PLANS, || ()));
        observed(&process, manifest, options, &self.states_now(), None, &Events::default(), None).await
    }

    /// The same, with sinks of a test's own.
    pub async fn observe_sinks(&self, manifest: &WorldManifest, sinks: &dyn SinkReader) -> Inventory {
        let process = Arc::new(Process::new(self, PLANS, || ()));
        let (options, events) = (RunOptions::default(), Events::default());
        observed(&process, manifest, &options, &self.states_now(), Some(sinks), &events, None).await
    }

    fn states_now(&self) -> BTreeMap<Name, AccountState> {
        self.lock().states.iter().map(|(name, (_, state))| (name.clone(), state.clone())).collect()
    }

    fn plan_of(
        &self,
        manifest: &WorldManifest,
        options: &RunOptions,
        states: &BTreeMap<Name, AccountState>,
        inventory: &Inventory,
        seed: &Seed,
    ) -> ApprovedPlan {
        let input = PlanInput {
            manifest: &manifest.manifest,
            selection: &options.selection,
            states,
            inventory,
            policy: None,
            now: self.lock().timestamp(),
            seed,
            options: &options.options,
        };
        plan_approved(&input, options.approval.as_ref())
    }

    /// No secret that was ever made stands in a text.
    pub fn no_secrets(&self, what: &str, text: &str) {
        let mut inner = self.lock();
        let found = inner.keys.iter().find(|(_, key)| text.contains(&key.secret)).map(|(id, _)| id.clone());
        if let Some(id) = found {
            inner.break_promise(format!("leak: the secret of {id} is in {what}"));
        }
    }
}
