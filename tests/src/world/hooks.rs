//! What is told of deliveries.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::Name;
use gridkey_core::hook::{Delivered, HookCommandSettings, HookSettings};
use gridkey_engine::ports::{HookError, HookRunner};

use super::{Answer, DEADLINE, Effect, Flight, Process};

/// A hook of the world, which says in its command whose it is.
pub(super) fn hook(sink: Option<&Name>) -> HookSettings {
    let whose = sink.map(|sink| sink.to_string());
    HookSettings::Command(HookCommandSettings {
        run: std::iter::once("tell".to_string()).chain(whose).collect(),
        env: Vec::new(),
    })
}

#[async_trait]
impl HookRunner for Process {
    async fn run(&self, does: &HookSettings, delivered: &Delivered) -> Result<(), HookError> {
        self.world.no_secrets("what a hook is told", &serde_json::to_string(delivered).expect("plain data"));
        let HookSettings::Command(HookCommandSettings { run, env: _ }) = does else {
            unreachable!("the world has hooks that are commands")
        };
        let sink = run.get(1).map(|sink| Name::new(sink).expect("a name"));
        let key = &delivered.key;
        {
            let mut inner = self.live().await;
            let is_recorded = inner.states().any(|state| state.keys.values().any(|owned| owned.id == *key));
            if !is_recorded {
                inner.break_promise(format!("told of {key}, which no state owns"));
            }
        }
        let places = delivered.locations.iter().map(|location| location.place.clone());
        let told = places.map(|place| (sink.clone(), key.clone(), place)).collect();
        match self.effect(Effect::Hook, &format!("{does} about {key}"), Flight::Hook { told }).await {
            Answer::Done => Ok(()),
            Answer::Refused => Err(HookError::new("it said no")),
            Answer::Lost => Err(HookError::new("connection reset")),
        }
    }

    fn deadline(&self, _: &HookSettings) -> Duration {
        DEADLINE
    }
}
