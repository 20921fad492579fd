//! Which keys a command is about: addresses, patterns of them, accounts and owners, held against the keys there are.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::manifest::Manifest;
use gridkey_core::plan::Selection;
use gridkey_core::state::{AccountState, OwnedKey};
use gridkey_core::text::suggest::closest;
use gridkey_core::{Address, AddressPattern, Name};

use crate::args::KeyFilter;
use crate::environments::EnvironmentChoice;
use crate::exit::CommandError;

/// The keys that the arguments of a command stand for.
#[derive(Clone, Debug, Default)]
pub struct KeyChoice {
    /// None stands for every key that the filter lets pass.
    pub patterns: Vec<AddressPattern>,
    pub filter: KeyFilter,
}

/// Which of the keys that a pattern matches are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Wanted or owned.
    All,
    /// Those that can be replaced: owned, and wanted.
    Replaceable,
    /// Those of them that have an older key.
    WithOlder,
}

/// What stands against a key of an environment that comes from a pattern.
const OUTSIDE: &str = "is in an environment that has to be named with `--env`";

/// What the arguments came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    pub addresses: Vec<Address>,
    /// Keys that a pattern matches and that are not meant, with what is wrong with them.
    pub passed_over: Vec<(Address, &'static str)>,
}

/// What is known of an address.
#[derive(Default)]
struct Known<'a> {
    accounts: BTreeSet<&'a Name>,
    owners: BTreeSet<&'a str>,
    wanted: bool,
    owned: Vec<&'a OwnedKey>,
}

impl KeyChoice {
    pub fn new(patterns: &[AddressPattern], filter: &KeyFilter) -> Self {
        Self { patterns: patterns.to_vec(), filter: filter.clone() }
    }

    /// One address, and nothing else.
    pub fn exactly(address: Address) -> Self {
        Self { patterns: vec![address.into()], filter: KeyFilter::default() }
    }

    /// Whether the arguments say nothing, so that every key is meant.
    pub fn is_everything(&self) -> bool {
        self.patterns.is_empty() && self.filter.is_empty()
    }

    /// The environments that the patterns name, where each of them names one.
    pub fn environments(&self) -> Option<Vec<EnvironmentChoice>> {
        let named = |pattern: &AddressPattern| {
            let (environment, _) = pattern.as_str().split_once('/')?;
            let choice = environment.parse().ok()?;
            (environment != "*").then_some(choice)
        };
        let all: Option<Vec<_>> = self.patterns.iter().map(named).collect();
        all.filter(|all| !all.is_empty())
    }

    /// The addresses, of those in the manifests and in state.
    ///
    /// An address without `*` is taken as it is: whoever uses it says what is wrong with it.
    ///
    /// # Errors
    /// A pattern, account or owner that no key goes by.
    pub fn resolve(
        &self,
        manifests: &[&Manifest],
        states: &BTreeMap<Name, AccountState>,
        selection: &Selection,
        among: Among,
    ) -> Result<Resolved, CommandError> {
        let known = known(manifests, states);
        self.check_filter(manifests, &known)?;
        let mut resolved = Resolved::default();
        let everything = ["*".parse().expect("`*` is a pattern")];
        let patterns = if self.patterns.is_empty() { &everything[..] } else { &self.patterns };
        for pattern in patterns {
            if let Some(address) = pattern.exact() {
                self.take_exact(address, &known, &mut resolved)?;
                continue;
            }
            let is_about = |address: &Address| {
                manifests
                    .iter()
                    .any(|manifest| selection.has_environment(manifest, address.environment.as_ref()))
            };
            let matching: Vec<_> = known
                .iter()
                .filter(|(address, of)| pattern.matches(address) && is_about(address) && self.passes(of))
                .collect();
            // What is there and matches, in an environment that has to be named, is not left out in silence.
            let outside = known.iter().filter(|(address, of)| {
                selection.environments.is_none()
                    && pattern.matches(address)
                    && !is_about(address)
                    && self.passes(of)
                    && !of.owned.is_empty()
            });
            resolved.passed_over.extend(outside.map(|(address, _)| ((*address).clone(), OUTSIDE)));
            let before = resolved.addresses.len();
            for (address, of) in matching {
                match of.stands_against(among) {
                    None => resolved.addresses.push((*address).clone()),
                    Some(reason) => resolved.passed_over.push(((*address).clone(), reason)),
                }
            }
            if resolved.addresses.len() == before {
                return Err(self.nothing(pattern, among, &resolved, &known));
            }
        }
        resolved.addresses.sort();
        resolved.addresses.dedup();
        resolved.passed_over.sort();
        resolved.passed_over.dedup();
        Ok(resolved)
    }

    /// The same where the arguments narrow a run at all; `None` where they say nothing.
    pub fn narrowed(
        &self,
        manifest: &Manifest,
        states: &BTreeMap<Name, AccountState>,
        selection: &Selection,
        among: Among,
    ) -> Result<Option<Resolved>, CommandError> {
        match self.is_everything() {
            true => Ok(None),
            false => self.resolve(&[manifest], states, selection, among).map(Some),
        }
    }

    fn take_exact(
        &self,
        address: Address,
        known: &BTreeMap<&Address, Known<'_>>,
        resolved: &mut Resolved,
    ) -> Result<(), CommandError> {
        if known.get(&address).is_some_and(|of| !self.passes(of)) {
            let message = format!("`{address}` is not {}", self.filter.words());
            return Err(
                CommandError::usage(message).help("leave `--account` and `--owner` out, or name another")
            );
        }
        resolved.addresses.push(address);
        Ok(())
    }

    fn passes(&self, of: &Known<'_>) -> bool {
        let KeyFilter { accounts, owners } = &self.filter;
        (accounts.is_empty() || accounts.iter().any(|account| of.accounts.contains(account)))
            && (owners.is_empty() || owners.iter().any(|owner| of.owners.contains(owner.as_str())))
    }

    /// An account or an owner that no key has is a slip of the pen.
    fn check_filter(
        &self,
        manifests: &[&Manifest],
        known: &BTreeMap<&Address, Known<'_>>,
    ) -> Result<(), CommandError> {
        let mut accounts: BTreeSet<&str> =
            known.values().flat_map(|of| &of.accounts).map(|name| name.as_str()).collect();
        accounts.extend(manifests.iter().flat_map(|manifest| manifest.accounts.keys()).map(Name::as_str));
        if let Some(account) = self.filter.accounts.iter().find(|name| !accounts.contains(name.as_str())) {
            return Err(CommandError::usage(format!("there is no account `{account}`")).help(guess(
                account.as_str(),
                &accounts,
                "the manifest has no accounts",
            )));
        }
        let owners: BTreeSet<&str> = known.values().flat_map(|of| of.owners.iter().copied()).collect();
        if let Some(owner) = self.filter.owners.iter().find(|owner| !owners.contains(owner.as_str())) {
            return Err(CommandError::usage(format!("no key has the owner `{owner}`")).help(guess(
                owner,
                &owners,
                "no key has an `owner`",
            )));
        }
        Ok(())
    }

    fn nothing(
        &self,
        pattern: &AddressPattern,
        among: Among,
        resolved: &Resolved,
        known: &BTreeMap<&Address, Known<'_>>,
    ) -> CommandError {
        let mut what = match self.patterns.is_empty() {
            true => "no key of this run is".to_string(),
            false if self.filter.is_empty() => format!("no key of this run matches `{pattern}`"),
            false => format!("no key of this run matches `{pattern}` and is"),
        };
        if !self.filter.is_empty() {
            what = format!("{what} {}", self.filter.words());
        }
        let reasons: Vec<String> = resolved
            .passed_over
            .iter()
            .filter(|(address, _)| pattern.matches(address))
            .map(|(address, reason)| format!("`{address}` {reason}"))
            .collect();
        if !reasons.is_empty() {
            let verb = match among {
                Among::All => "part of this run",
                Among::Replaceable => "replaced",
                Among::WithOlder => "retired",
            };
            let message = match self.filter.is_empty() && !self.patterns.is_empty() {
                true => format!("no key that `{pattern}` matches can be {verb}"),
                false => format!("no key that was asked for can be {verb}"),
            };
            return CommandError { causes: reasons, ..CommandError::usage(message) };
        }
        let outside = known
            .keys()
            .find(|address| pattern.matches(address))
            .and_then(|address| address.environment.clone());
        let help = match outside.filter(|_| self.filter.is_empty()) {
            Some(environment) => format!("environment `{environment}` has such keys: `--env {environment}`"),
            None => {
                "`gridkey state list` shows the keys that state owns, and the manifest those that are wanted"
                    .to_string()
            }
        };
        CommandError::usage(what).help(help)
    }
}

impl Known<'_> {
    /// Why a key is not meant.
    fn stands_against(&self, among: Among) -> Option<&'static str> {
        match among {
            Among::All => None,
            Among::Replaceable | Among::WithOlder if self.owned.is_empty() => Some("has no key yet"),
            Among::Replaceable | Among::WithOlder if !self.wanted => Some("is no longer in the manifest"),
            Among::WithOlder
                if self.owned.len() == 1 && self.owned.iter().all(|key| key.retiring.is_empty()) =>
            {
                Some("has no older key that waits to be revoked")
            }
            Among::Replaceable | Among::WithOlder => None,
        }
    }
}

fn known<'a>(
    manifests: &[&'a Manifest],
    states: &'a BTreeMap<Name, AccountState>,
) -> BTreeMap<&'a Address, Known<'a>> {
    let mut known: BTreeMap<&Address, Known<'_>> = BTreeMap::new();
    for (address, key) in manifests.iter().flat_map(|manifest| &manifest.keys) {
        let of = known.entry(address).or_default();
        of.wanted = true;
        of.accounts.insert(&key.account);
        of.owners.extend(key.owner.as_deref());
    }
    for (account, state) in states {
        for (address, key) in &state.keys {
            let of = known.entry(address).or_default();
            of.accounts.insert(account);
            of.owners.extend(key.owner.as_deref());
            of.owned.push(key);
        }
        // What broke off before it was a key is settled like one.
        for pending in state.pending.values() {
            known.entry(&pending.address).or_default().accounts.insert(account);
        }
    }
    known
}

/// What was probably meant by a name that is not among those there are.
pub fn guess(text: &str, known: &BTreeSet<&str>, none: &str) -> String {
    match closest(text, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => none.to_string(),
        None => {
            let all: Vec<String> = known.iter().take(10).map(|name| format!("`{name}`")).collect();
            let more = if known.len() > 10 { ", …" } else { "" };
            format!("there are {}{more}", all.join(", "))
        }
    }
}
