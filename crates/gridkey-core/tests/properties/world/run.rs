//! What a run is asked for, what policies say, and what makes a world one that can be.

use std::collections::BTreeSet;

use gridkey_core::inventory::AccountInventory;
use gridkey_core::manifest::{
    Allowance, ForbiddenScope, ImportKey, Policy, RemovedWhat, RequiredRotation, RequiredSink, Rule, Share,
    Vanished, Verdict,
};
use gridkey_core::plan::{Allow, Code, Due, RetireRequest, RevokeOld};
use gridkey_core::{Address, LocationId, Name};
use jiff::SignedDuration;

use super::build::{DAY, is_from_pattern, name, policy_file, position};
use super::{Random, World};

const ALLOWABLE: [Code; 8] = [
    Code::ForbiddenScope,
    Code::FullAccess,
    Code::MissingOwner,
    Code::MissingRotation,
    Code::MissingSink,
    Code::NamePattern,
    Code::ForeignValue,
    Code::UncertainKey,
];

impl World {
    pub fn rule(&mut self, random: &mut Random) {
        let place = self.place(random);
        let said = rule(&mut self.manifest.policy, &place, random);
        self.tell(format!("policy of the manifest: {said} at {place:?}"));
    }

    pub fn file_rule(&mut self, random: &mut Random) {
        let place = self.place(random);
        let said = rule(&mut self.policy.get_or_insert_with(policy_file).policy, &place, random);
        self.tell(format!("policy of the file: {said} at {place:?}"));
    }

    pub fn allow(&mut self, random: &mut Random) {
        let address = self.some_wanted(random).filter(|_| random.chance(70));
        let code = random.one_of(ALLOWABLE);
        self.tell(format!("--allow {code}, {address:?}"));
        self.options.allow.push(Allow { code, address });
    }

    pub fn environments(&mut self, random: &mut Random) {
        let all: [&[&str]; 6] =
            [&["prod"], &["stage"], &["prod", "stage"], &["pr-1"], &["tenants"], &["prod", "pr-1"]];
        let chosen: BTreeSet<Name> = random.one_of(all).iter().map(|text| name(text)).collect();
        self.tell(format!("--env {chosen:?}"));
        self.selection.environments = Some(chosen);
    }

    pub fn only(&mut self, random: &mut Random) {
        let address = match random.chance(80) {
            true => self.some_wanted(random),
            false => self.some_owned(random).map(|(_, address)| address),
        };
        let Some(address) = address else { return };
        self.tell(format!("--only {address}"));
        self.selection.only.get_or_insert_default().insert(address);
    }

    /// Environments are destroyed, and never everything.
    pub fn destroy(&mut self, _: &mut Random) {
        if self.selection.environments.is_some() {
            self.tell("destroy".to_string());
            self.selection.destroy = true;
        }
    }

    pub fn due_exclude(&mut self, _: &mut Random) {
        self.tell("--due exclude".to_string());
        self.options.due = Due::Exclude;
    }

    pub fn due_only(&mut self, _: &mut Random) {
        self.tell("--due only".to_string());
        self.options.due = Due::Only;
    }

    pub fn request_rotation(&mut self, random: &mut Random) {
        let Some(address) = self.some_wanted(random) else { return };
        let old = random.one_of([RevokeOld::AfterOverlap, RevokeOld::Now, RevokeOld::Hold]);
        self.tell(format!("--rotate {address}, {old:?}"));
        self.options.requests.rotate.insert(address, None);
        self.options.requests.revoke_old = old;
    }

    pub fn request_retirement(&mut self, random: &mut Random) {
        let Some((_, address)) = self.some_owned(random) else { return };
        let request = random.one_of([RetireRequest::Now, RetireRequest::Hold(DAY * 2)]);
        self.tell(format!("retire {address}, {request:?}"));
        self.options.requests.retire.insert(address, request);
    }

    pub fn no_sinks(&mut self, random: &mut Random) {
        if random.chance(30) {
            self.tell("--no-sinks".to_string());
            self.options.sinks = false;
        }
    }

    pub fn look_in_sinks(&mut self, random: &mut Random) {
        if random.chance(30) {
            self.tell("import --from-sinks".to_string());
            self.options.requests.from_sinks = true;
        }
    }

    /// Where a rule holds: everywhere, or for an address, an environment or an account.
    fn place(&self, random: &mut Random) -> Option<String> {
        match random.below(5) {
            0 => self.some_wanted(random).map(|address| address.to_string()),
            1 => Some(random.one_of(["prod", "stage", "pr-1"]).to_string()),
            2 => Some(random.one_of(["acme", "beta"]).to_string()),
            _ => None,
        }
    }

    pub fn allowance(&mut self, random: &mut Random) {
        let address = self.some_wanted(random).filter(|_| random.chance(70));
        let until = random.chance(40).then(|| random.one_of(["2026-01-31", "2027-01-31"]).parse().unwrap());
        let code = random.one_of(ALLOWABLE).as_str().to_string();
        let of_file = random.chance(40);
        self.tell(format!(
            "allowance of the {}: {code}, {address:?}, {until:?}",
            if of_file { "file" } else { "manifest" }
        ));
        let allowance =
            Allowance { code, address, reason: "agreed".to_string(), until, position: position() };
        match of_file {
            true => self.policy.get_or_insert_with(policy_file).policy.allow.push(allowance),
            false => self.manifest.policy.allow.push(allowance),
        }
    }

    pub fn time_passes(&mut self, random: &mut Random) {
        let hours = random.one_of([1, 25, 24 * 8, 24 * 40]);
        let span = SignedDuration::from_hours(hours);
        self.now += span;
        for account in self.inventory.accounts.values_mut() {
            if let AccountInventory::Read(read) = account {
                read.at += span;
            }
        }
        self.tell(format!("{hours} h pass"));
    }

    /// Takes out what the parser would not have let through, and environments that are not asked for.
    pub(super) fn settle(&mut self) {
        let environments = self.selection.environments.clone();
        let made = |environment: Option<&Name>| {
            !is_from_pattern(environment)
                || environment.is_some_and(|name| environments.as_ref().is_some_and(|all| all.contains(name)))
        };
        let accounts = self.manifest.accounts.clone();
        self.manifest
            .keys
            .retain(|address, key| made(address.environment.as_ref()) && accounts.contains_key(&key.account));
        self.manifest.environments.retain(|name, _| made(Some(name)));
        let ttls = self.manifest.environments.clone();
        for (address, key) in &mut self.manifest.keys {
            let environment = address.environment.as_ref().and_then(|name| ttls.get(name));
            key.ttl = environment.and_then(|environment| environment.ttl);
        }
        let flat = self.manifest.patterns.is_empty();
        self.manifest.keys.retain(|address, _| address.environment.is_none() == flat);
        let mut used: BTreeSet<LocationId> = BTreeSet::new();
        for key in self.manifest.keys.values_mut() {
            key.sinks.retain(|location| used.insert(location.id()));
        }
        let keys = &self.manifest.keys;
        let (mut targets, mut sources) = (BTreeSet::new(), BTreeSet::new());
        self.manifest.import.retain(|import| {
            let source = match &import.key {
                ImportKey::Id(id) => id.to_string(),
                ImportKey::Name(name) => name.clone(),
            };
            keys.contains_key(&import.to) && targets.insert(import.to.clone()) && sources.insert(source)
        });
        self.manifest.removed.retain(|removed| match &removed.what {
            RemovedWhat::Account(account) => keys.values().all(|key| key.account != *account),
            RemovedWhat::Address(pattern) => {
                keys.keys().all(|address| !might_cover(pattern.as_str(), address))
            }
        });
        self.limit();
    }

    /// No account holds more than SendGrid lets it.
    fn limit(&mut self) {
        for (name, account) in &mut self.manifest.accounts {
            let Some(AccountInventory::Read(read)) = self.inventory.accounts.get(name) else { continue };
            let live = u32::try_from(read.live.len()).unwrap();
            if let Some(free) = self.tight {
                account.key_limit = live + free;
            }
        }
    }
}

/// Whether a pattern covers an address, or more than it does.
fn might_cover(pattern: &str, address: &Address) -> bool {
    let text = address.to_string();
    match pattern.split_once('*') {
        Some((before, after)) => text.starts_with(before) && text.ends_with(after),
        None => pattern == text,
    }
}

fn set<T>(rule: &mut Rule<T>, place: &Option<String>, value: T) {
    match place {
        Some(place) => drop(rule.exceptions.insert(place.clone(), value)),
        None => rule.default = Some(value),
    }
}

/// Adds a rule, and says which.
fn rule(policy: &mut Policy, place: &Option<String>, random: &mut Random) -> String {
    match random.below(12) {
        0..3 => {
            let text = random.one_of(["api_keys.*", "stats.read", "templates:full", "mail.send"]);
            let forbidden =
                if random.chance(85) { vec![ForbiddenScope(text.to_string())] } else { Vec::new() };
            let said = format!("forbid_scopes {forbidden:?}");
            set(&mut policy.forbid_scopes, place, forbidden);
            said
        }
        3..6 => {
            let verdict = random.one_of([Verdict::Deny, Verdict::Deny, Verdict::Warn, Verdict::Allow]);
            set(&mut policy.full_access, place, verdict);
            format!("full_access {verdict:?}")
        }
        6 => {
            let required = random.chance(85);
            set(&mut policy.require_owner, place, required);
            format!("require_owner {required}")
        }
        7 => {
            let required = random.one_of([
                RequiredRotation::Every(DAY * 30),
                RequiredRotation::Every(DAY * 90),
                RequiredRotation::NotRequired,
            ]);
            set(&mut policy.require_rotation, place, required);
            format!("require_rotation {required:?}")
        }
        8 => {
            let sink = name(random.one_of(["local", "vault"]));
            let said = format!("require_sink {sink}");
            set(&mut policy.require_sink, place, [RequiredSink::Name(sink)].into());
            said
        }
        9 => {
            let pattern = random.one_of(["prod-*", "*-a", "app-*"]);
            set(&mut policy.name_pattern, place, pattern.to_string());
            format!("name_pattern {pattern}")
        }
        10 => {
            let vanished = random.one_of([Vanished::Block, Vanished::Recreate]);
            set(&mut policy.vanished, place, vanished);
            format!("vanished {vanished:?}")
        }
        _ => {
            let share = Share { percent: 10, at_least: u32::try_from(random.below(3)).unwrap() };
            let by_account = place.clone().filter(|place| place == "acme" || place == "beta");
            let rule = match random.below(3) {
                0 => &mut policy.max_deletions,
                1 => &mut policy.max_rotations,
                _ => &mut policy.max_recreations,
            };
            set(rule, &by_account, share);
            format!("at most {share:?}")
        }
    }
}
