//! Hooks: what is done about deliveries, once they are recorded.
//!
//! State says what is due before a hook can be run, and forgets it only after the hook has ended well. So each delivery is told
//! of at least once, whenever a run breaks off. A hook that fails undoes nothing.

use std::sync::Arc;

use gridkey_core::hook::{Delivered, DeliveredTo, DueHook, Hook};
use gridkey_core::plan::Put;
use gridkey_core::state::OwnedKey;
use gridkey_core::{Address, SinkLocation};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use super::account::{AccountRun, StepError};
use crate::event::Event;
use crate::ports::{HookError, HookRunner};

/// Runs hooks one at a time, whatever account they are about: what restarts programs seldom expects to be run twice at once.
pub(crate) struct OneByOne {
    runner: Arc<dyn HookRunner>,
    running: Mutex<()>,
}

impl OneByOne {
    pub fn over(runner: Arc<dyn HookRunner>) -> Self {
        Self { runner, running: Mutex::default() }
    }

    async fn turn(&self) -> (MutexGuard<'_, ()>, &dyn HookRunner) {
        (self.running.lock().await, self.runner.as_ref())
    }
}

/// What a hook can be told of by now: a delivery that is not recorded yet is found, or made again, first.
fn recorded(due: &DueHook, owned: &OwnedKey) -> DueHook {
    let locations = due.locations.iter().filter(|location| owned.is_delivered_to(location)).cloned();
    DueHook { hook: due.hook.clone(), locations: locations.collect() }
}

impl AccountRun {
    /// Writes down what is to be done about a delivery that is about to be made.
    pub(crate) async fn announcing(
        &self,
        address: &Address,
        hooks: &[Hook],
        to: &[Put],
    ) -> Result<(), StepError> {
        if hooks.is_empty() {
            return Ok(());
        }
        let (address, hooks) = (address.clone(), hooks.to_vec());
        let locations: Vec<SinkLocation> = to.iter().map(|put| put.location.clone()).collect();
        self.commit(move |state, _| state.announcing(&address, hooks, &locations)).await
    }

    /// Runs what of these hooks state says is due. All of them are tried.
    pub(crate) async fn run_hooks(&self, address: &Address, hooks: &[Hook]) -> Result<(), StepError> {
        let (_turn, runner) = self.hooks.turn().await;
        // Looked at in turn, as another change of the address may have run them meanwhile.
        let Some(owned) = self.committer.owned(address).await else { return Ok(()) };
        let mut failed = Vec::new();
        let mut help = None;
        let due = owned.hooks_due.iter().map(|due| recorded(due, &owned));
        for due in due.filter(|due| !due.locations.is_empty()) {
            let Some(hook) = hooks.iter().find(|hook| hook.sink == due.hook.sink) else { continue };
            if self.cancel.is_set() {
                let message = format!("interrupted before {} was run", hook.whose());
                return Err(StepError::interrupted(message));
            }
            self.may_start(runner.deadline(&hook.does)).await?;
            if let Err(error) = self.run_hook(runner, address, hook, &owned, &due).await {
                failed.push(format!("{} ({}) failed: {}", hook.whose(), hook.does, error.message));
                help = help.or(error.help);
                continue;
            }
            let (key, id, done) = (address.clone(), owned.id.clone(), due);
            self.commit(move |state, _| state.hook_done(&key, &id, &done)).await?;
        }
        if failed.is_empty() {
            return Ok(());
        }
        let next = match owned.retiring.is_empty() {
            true => "the next run does this again",
            false => "the next run does this again, and no older key is revoked before",
        };
        let help = help.map_or(next.to_string(), |help| format!("{help}; {next}"));
        Err(StepError::with_help(format!("the key is delivered, and {}", failed.join("; ")), help))
    }

    async fn run_hook(
        &self,
        runner: &dyn HookRunner,
        address: &Address,
        hook: &Hook,
        owned: &OwnedKey,
        due: &DueHook,
    ) -> Result<(), HookError> {
        let about = || (self.account.clone(), address.clone(), hook.clone());
        let (account, key, told) = about();
        if runner.is_sandboxed() {
            self.events.event(Event::HookLeftOut { account, address: key, hook: told });
            return Ok(());
        }
        self.events.event(Event::HookStarted { account, address: key, hook: told });
        runner.run(&hook.does, &self.delivered(address, owned, due)).await?;
        let (account, address, hook) = about();
        self.events.event(Event::HookEnded { account, address, hook });
        Ok(())
    }

    fn delivered(&self, address: &Address, owned: &OwnedKey, due: &DueHook) -> Delivered {
        let deliveries =
            owned.sinks.iter().filter(|delivery| due.locations.contains(&delivery.location.id()));
        let at: Timestamp =
            deliveries.clone().map(|delivery| delivery.at).max().unwrap_or_else(|| owned.delivered());
        let locations = deliveries.map(|delivery| DeliveredTo {
            sink: delivery.location.sink.clone(),
            kind: delivery.location.at.kind().as_str(),
            place: delivery.location.at.place(),
        });
        let whose = due.hook.sink.as_ref().map_or(String::new(), |sink| format!(".{sink}"));
        Delivered {
            format_version: Delivered::FORMAT_VERSION,
            id: format!("{}{whose}.{}", owned.id, at.as_second()),
            event: Delivered::EVENT,
            project: self.project.clone(),
            account: self.account.clone(),
            address: address.clone(),
            key: owned.id.clone(),
            locations: locations.collect(),
            at,
        }
    }
}
