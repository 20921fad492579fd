//! What is said about a key at every level, nearest first: exceptions, the key, its environment, defaults.

use crate::access::AccessKind;
use crate::manifest::document::{Document, ExceptionTarget, KeyBlock, Settings};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::manifest::resolve::place::Place;
use crate::name::Name;

/// A list of scopes as it is written.
type ScopeList = At<Vec<At<String>>>;

/// The blocks that speak about one key in one place.
pub(crate) struct Layers<'d> {
    /// Exceptions and the key itself, nearest first.
    keys: Vec<&'d KeyBlock>,
    /// The same, then the environment and the defaults.
    settings: Vec<&'d Settings>,
    pub enabled: bool,
}

impl<'d> Layers<'d> {
    pub fn new(
        document: &'d Document,
        place: &Place<'d>,
        account: Option<&Name>,
        name: &Name,
        key: &'d KeyBlock,
    ) -> Self {
        let near = ExceptionTarget { account: account.cloned(), key: name.clone() };
        let far = ExceptionTarget { account: None, key: name.clone() };
        let targets = if near == far { vec![far] } else { vec![near, far] };
        let exceptions: Vec<_> = place
            .block
            .into_iter()
            .flat_map(|block| targets.iter().filter_map(|target| block.exceptions.get(target)))
            .collect();
        let enabled = exceptions.iter().find_map(|exception| exception.enabled).unwrap_or(true);
        let keys: Vec<_> = exceptions.iter().map(|exception| &exception.key).chain([key]).collect();
        let outer = place.block.map(|block| &block.settings).into_iter().chain([&document.defaults]);
        let settings = keys.iter().map(|key| &key.settings).chain(outer).collect();
        Self { keys, settings, enabled }
    }

    /// The nearest value of a setting.
    pub fn nearest<T>(&self, value: impl Fn(&'d Settings) -> Option<T>) -> Option<T> {
        self.settings.iter().find_map(|settings| value(settings))
    }

    /// Whether sinks are said somewhere in a way that could not be read.
    pub fn sinks_unclear(&self) -> bool {
        self.settings.iter().any(|settings| settings.sinks_unclear)
    }

    /// The nearest value of a field that only keys and exceptions have.
    pub fn of_key<T>(&self, value: impl Fn(&'d KeyBlock) -> Option<T>) -> Option<T> {
        self.keys.iter().find_map(|key| value(key))
    }

    /// The account that an exception or the key itself names.
    pub fn own_account(&self) -> Option<&'d At<Name>> {
        self.of_key(|key| key.settings.account.as_ref())
    }

    /// The kind of access, and the scopes that go with it. `None` where that was said to be wrong.
    ///
    /// `access` and `scopes` are one value: a nearer kind does not take the scopes of another kind.
    pub fn access(
        &self,
        name: &Name,
        site: Site,
        problems: &mut Problems,
    ) -> Option<(AccessKind, Option<&'d ScopeList>)> {
        if self.keys.iter().any(|key| key.access_unclear) {
            return None;
        }
        let kind_from = |from: usize| {
            let kind = self.keys[from..].iter().find_map(|key| key.access.as_ref());
            kind.map_or(AccessKind::Restricted, |kind| kind.value)
        };
        let kind = kind_from(0);
        let said_at = self.keys.iter().position(|key| key.access.is_some()).unwrap_or(self.keys.len());
        let scopes_at = self.keys.iter().position(|key| key.scopes.is_some());
        let scopes = scopes_at.and_then(|at| self.keys[at].scopes.as_ref());
        match (kind, scopes_at, scopes) {
            (AccessKind::Full, Some(at), Some(scopes)) if at < said_at => {
                problems
                    .error(
                        "access_conflict",
                        scopes.site,
                        format!("key `{name}` has `access: full`, and `scopes` here"),
                    )
                    .help("add `access: restricted` beside the scopes");
                None
            }
            // That the two stand in one block is said where the block is read.
            (AccessKind::Full, Some(at), _) if at == said_at => None,
            (AccessKind::Full, _, _) => Some((kind, None)),
            (_, Some(at), Some(scopes)) if at <= said_at || kind_from(at) == kind => {
                Some((kind, Some(scopes)))
            }
            _ => {
                let site =
                    self.keys.get(said_at).and_then(|key| key.access.as_ref()).map_or(site, |said| said.site);
                problems.error("missing_scopes", site, format!("key `{name}` has no `scopes`")).help(
                    "list what it may do (`scopes: [mail.send]`); everything there is has to be \
                        asked for with `access: full`",
                );
                None
            }
        }
    }
}
