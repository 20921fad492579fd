//! Risks: what of a change somebody who reviews it should look at first.

use std::collections::BTreeSet;

use crate::access::{Access, Scope};
use crate::inventory::SinkContent;
use crate::key::KeyId;
use crate::plan::document::change::{Cause, Change, Plan};
use crate::plan::document::effect::Effect;
use crate::sink::SinkLocation;

/// Something about a change that is worth a second look; the gravest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// A key is revoked at once, without an overlap: whoever uses it fails.
    Revokes(BTreeSet<KeyId>),
    /// A key gets Full Access.
    FullAccess,
    /// A key gets scopes with which it can make or change keys itself.
    ManagesKeys(BTreeSet<Scope>),
    /// A key that exists may do more than before.
    Widened(BTreeSet<Scope>),
    /// A value that is not gridkey's is overwritten.
    Overwrites { location: SinkLocation, holder: Option<KeyId> },
}

impl Change {
    /// What to look at first.
    pub fn risks(&self) -> Vec<Risk> {
        if self.cause == Cause::InStep {
            return Vec::new();
        }
        let mut risks = Vec::new();
        let revoked: BTreeSet<KeyId> = self.effects().filter_map(Effect::revoked_in_use).cloned().collect();
        if self.is_gone() || !revoked.is_empty() {
            risks.push(Risk::Revokes(revoked));
        }
        let before = self.before.as_ref().map(|before| &before.access);
        let after = self.after.as_ref().map(|after| &after.access);
        if matches!(after, Some(Access::Full)) && !matches!(before, Some(Access::Full)) {
            risks.push(Risk::FullAccess);
        }
        let gained = self.gained();
        let managing: BTreeSet<Scope> = gained.iter().filter(|scope| scope.manages_keys()).cloned().collect();
        if !managing.is_empty() {
            risks.push(Risk::ManagesKeys(managing));
        }
        if before.is_some() && !gained.is_empty() {
            risks.push(Risk::Widened(gained));
        }
        risks.extend(self.effects().filter_map(overwrites));
        risks.sort();
        risks
    }

    /// Whether the address has no key afterwards.
    fn is_gone(&self) -> bool {
        let lets_go = || self.effects().any(|effect| matches!(effect, Effect::LetsGo(_)));
        let left_behind = self.cause == Cause::HandedOver || self.cause == Cause::Recovery;
        self.before.is_some() && self.after.is_none() && !left_behind && !lets_go()
    }

    /// The scopes that the key holds after the change and did not hold before.
    pub(crate) fn gained(&self) -> BTreeSet<Scope> {
        let before = self.before.as_ref().map(|before| &before.access);
        if matches!(before, Some(Access::Full)) {
            return BTreeSet::new();
        }
        let scopes = |access: Option<&Access>| {
            access.and_then(Access::scopes).map(|scopes| scopes.as_set().clone()).unwrap_or_default()
        };
        let after = scopes(self.after.as_ref().map(|after| &after.access));
        after.difference(&scopes(before)).cloned().collect()
    }
}

impl Risk {
    /// The gravest comes first.
    fn rank(&self) -> u8 {
        match self {
            Self::Revokes(_) => 0,
            Self::FullAccess => 1,
            Self::ManagesKeys(_) => 2,
            Self::Widened(_) => 3,
            Self::Overwrites { .. } => 4,
        }
    }
}

impl Plan {
    /// What of all changes to look at first, the gravest first.
    pub fn risks(&self) -> Vec<(Risk, &Change)> {
        let mut risks: Vec<_> = self
            .effective()
            .flat_map(|change| change.risks().into_iter().map(move |risk| (risk, change)))
            .collect();
        risks.sort_by(|(a, of_a), (b, of_b)| {
            (a.rank(), &of_a.account, &of_a.address).cmp(&(b.rank(), &of_b.account, &of_b.address))
        });
        risks
    }
}

/// A value that is not gridkey's and that an effect overwrites.
fn overwrites(effect: Effect<'_>) -> Option<Risk> {
    let put = effect.delivered()?;
    let holder = match put.overwrites()? {
        SinkContent::Key(id) => Some(id.clone()),
        SinkContent::Empty | SinkContent::Other => None,
    };
    Some(Risk::Overwrites { location: put.location.clone(), holder })
}
