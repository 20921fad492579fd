//! Whether a run left anything behind: a change can fail after a part of it came about.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gridkey_core::{Address, KeyId};

use super::unlocked;
use crate::event::{Event, Observer};

/// Passes events on, and notes whether any of them tells of something that stays.
pub(super) struct Lasting {
    events: Arc<dyn Observer>,
    stays: AtomicBool,
    /// Keys that were made and are live.
    made: Mutex<BTreeSet<KeyId>>,
    /// Addresses whose key may have been made without an answer: it is revoked where it turns up.
    unanswered: Mutex<BTreeSet<Address>>,
}

impl Lasting {
    pub fn over(events: Arc<dyn Observer>) -> Self {
        Self { events, stays: AtomicBool::new(false), made: Mutex::default(), unanswered: Mutex::default() }
    }

    pub fn is_any(&self) -> bool {
        self.stays.load(Ordering::Relaxed) || !unlocked(&self.made).is_empty()
    }

    fn stays(&self, event: &Event) -> bool {
        match event {
            Event::Created { id, .. } => {
                unlocked(&self.made).insert(id.clone());
                false
            }
            Event::Watching { address, .. } => {
                unlocked(&self.unanswered).insert(address.clone());
                false
            }
            Event::Revoked { address, id, .. } => {
                !unlocked(&self.made).remove(id) && !unlocked(&self.unanswered).contains(address)
            }
            Event::Delivered { .. }
            | Event::Recorded { .. }
            | Event::Renamed { .. }
            | Event::Updated { .. }
            | Event::Adopted { .. }
            | Event::Forgotten { .. }
            | Event::Moved { .. }
            | Event::Cleared { .. }
            // What it brought about before it failed, nobody knows.
            | Event::HookStarted { .. } => true,
            Event::WaitingForLock { .. }
            | Event::Observing { .. }
            | Event::Settling { .. }
            | Event::Unproven { .. }
            | Event::Started { .. }
            | Event::NameNotHeld { .. }
            | Event::LessThanFull(_)
            | Event::LeftForSuccessor { .. }
            | Event::NotCleared { .. }
            | Event::HookEnded { .. }
            | Event::HookLeftOut { .. }
            | Event::Done { .. }
            | Event::Failed(_)
            | Event::AccountStopped { .. }
            | Event::Interrupted => false,
        }
    }
}

impl Observer for Lasting {
    fn event(&self, event: Event) {
        if self.stays(&event) {
            self.stays.store(true, Ordering::Relaxed);
        }
        self.events.event(event);
    }
}

#[cfg(test)]
mod tests {
    use gridkey_core::Name;

    use super::*;
    use crate::event::Unobserved;

    fn leaves(events: &[fn(Name, Address) -> Event]) -> bool {
        let lasting = Lasting::over(Arc::new(Unobserved));
        for event in events {
            let account = Name::new("acme").expect("a name");
            lasting.event(event(account, "prod/mailer".parse().expect("an address")));
        }
        lasting.is_any()
    }

    #[test]
    fn a_key_that_was_made_and_revoked_leaves_nothing() {
        let created: fn(Name, Address) -> Event =
            |account, address| Event::Created { account, address, id: KeyId::new("new") };
        let revoked: fn(Name, Address) -> Event =
            |account, address| Event::Revoked { account, address, id: KeyId::new("new") };
        let older: fn(Name, Address) -> Event =
            |account, address| Event::Revoked { account, address, id: KeyId::new("older") };
        let watching: fn(Name, Address) -> Event =
            |account, address| Event::Watching { account, address, remaining: std::time::Duration::ZERO };
        assert!(!leaves(&[]));
        assert!(leaves(&[created]), "it is live");
        assert!(!leaves(&[created, revoked]));
        assert!(!leaves(&[watching, revoked]));
        assert!(leaves(&[older]));
        assert!(leaves(&[created, revoked, older]));
    }
}
