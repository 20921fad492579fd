//! Scopes: sets, patterns and levels, over the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::access::{AccessKind, Scope};
use crate::catalogue::{Catalogue, ExpandError};
use crate::manifest::model::WantedScopes;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::manifest::resolve::unknown::unknown;
use crate::name::Name;

type Sets = BTreeMap<Name, At<Vec<At<String>>>>;

/// Deeper references than this help no reader, and cost stack.
const MAX_NESTING: usize = 32;

/// Resolves lists of scopes, each once however many keys share it.
pub(crate) struct ScopeResolver<'d> {
    sets: &'d Sets,
    catalogue: &'static Catalogue,
    known: BTreeMap<(Site, AccessKind), Option<Arc<WantedScopes>>>,
}

/// A list being resolved.
struct Resolving {
    kind: AccessKind,
    wanted: WantedScopes,
    visited: BTreeSet<Name>,
    /// How many sets lie between the list and what is being looked at.
    depth: usize,
    good: bool,
}

impl<'d> ScopeResolver<'d> {
    pub fn new(sets: &'d Sets) -> Self {
        Self { sets, catalogue: Catalogue::builtin(), known: BTreeMap::new() }
    }

    /// Reports what is wrong with the sets, whether or not a key uses them.
    pub fn check_sets(&self, problems: &mut Problems) {
        let mut done = BTreeSet::new();
        for (name, set) in self.sets {
            self.check_list(&set.value, problems);
            self.follow(&mut vec![name], &mut done, problems);
        }
    }

    /// Reports names and patterns in a list that stand for nothing.
    pub fn check_list(&self, items: &[At<String>], problems: &mut Problems) {
        items.iter().for_each(|item| self.check_item(item, problems));
        duplicates(items, problems);
    }

    fn check_item(&self, item: &At<String>, problems: &mut Problems) {
        if let Some(set) = item.strip_prefix("set:") {
            self.set(set, item.site, problems);
        } else if Catalogue::is_pattern(item) {
            self.expand(item, problems);
        } else if !self.catalogue.contains(&Scope::new(item.value.as_str())) {
            self.unknown(item, problems);
        }
    }

    /// Follows the references of a set, and reports those that lead back to where they came from.
    fn follow(&self, path: &mut Vec<&'d Name>, done: &mut BTreeSet<&'d Name>, problems: &mut Problems) {
        let Some(current) = path.last().copied().filter(|name| !done.contains(name)) else { return };
        for item in self.sets.get(current).map(|set| &set.value).into_iter().flatten() {
            let set = item.strip_prefix("set:").and_then(|name| self.sets.get_key_value(name));
            let Some((next, _)) = set else { continue };
            if let Some(from) = path.iter().position(|name| *name == next) {
                let circle: Vec<_> =
                    path[from..].iter().chain([&next]).map(|name| format!("`{name}`")).collect();
                let circle = circle.join(" → ");
                problems
                    .error(
                        "scope_set_cycle",
                        item.site,
                        format!("scope sets refer to each other in a circle: {circle}"),
                    )
                    .help("take one of these references out");
            } else if path.len() >= MAX_NESTING {
                problems
                    .error(
                        "scope_set_nesting",
                        item.site,
                        format!("scope sets refer to each other more than {MAX_NESTING} deep"),
                    )
                    .help("list the scopes nearer to where they are used");
            } else {
                path.push(next);
                self.follow(path, done, problems);
                path.pop();
            }
        }
        done.insert(current);
    }

    /// What a list of scopes comes to for a kind of access that has scopes.
    pub fn resolve(
        &mut self,
        scopes: &At<Vec<At<String>>>,
        kind: AccessKind,
        problems: &mut Problems,
    ) -> Option<Arc<WantedScopes>> {
        if let Some(known) = self.known.get(&(scopes.site, kind)) {
            return known.clone();
        }
        let mut resolving = Resolving {
            kind,
            wanted: WantedScopes::default(),
            visited: BTreeSet::new(),
            depth: 0,
            good: true,
        };
        duplicates(&scopes.value, problems);
        self.items(&scopes.value, &mut resolving, problems);
        let Resolving { wanted: WantedScopes { written, mut expanded, unknown }, good, .. } = resolving;
        expanded.retain(|scope, _| !written.contains(scope));
        let wanted = WantedScopes { written, expanded, unknown };
        let empty = wanted.written.is_empty() && wanted.expanded.is_empty() && wanted.unknown.is_empty();
        if empty && good {
            problems
                .error("no_scope_left", scopes.site, "no scope is left of these")
                .help("name at least one that SendGrid does not put on keys by itself");
        }
        let result = (good && !empty).then(|| Arc::new(wanted));
        self.known.insert((scopes.site, kind), result.clone());
        result
    }

    fn items(&self, items: &[At<String>], resolving: &mut Resolving, problems: &mut Problems) {
        for item in items {
            if let Some(set) = item.strip_prefix("set:") {
                match self.set(set, item.site, problems) {
                    // Sets that nest deeper are reported where they are defined.
                    Some((name, members)) => {
                        if resolving.visited.insert(name.clone()) && resolving.depth < MAX_NESTING {
                            resolving.depth += 1;
                            self.items(members, resolving, problems);
                            resolving.depth -= 1;
                        }
                    }
                    None => resolving.good = false,
                }
            } else if Catalogue::is_pattern(item) {
                match self.expand(item, problems) {
                    Some(scopes) if resolving.kind != AccessKind::Billing => {
                        let scopes = scopes.into_iter().map(|scope| (scope, item.value.clone()));
                        scopes.for_each(|(scope, pattern)| {
                            resolving.wanted.expanded.entry(scope).or_insert(pattern);
                        });
                    }
                    Some(_) => {
                        mixed(item, problems);
                        resolving.good = false;
                    }
                    None => resolving.good = false,
                }
            } else {
                self.literal(item, resolving, problems);
            }
        }
    }

    fn literal(&self, item: &At<String>, resolving: &mut Resolving, problems: &mut Problems) {
        let scope = Scope::new(item.value.as_str());
        if scope.is_automatic() {
            problems
                .warning("automatic_scope", item.site, format!("SendGrid puts `{scope}` on keys by itself"))
                .help("it is never sent and never compared; take it out");
        } else if scope.is_billing() != (resolving.kind == AccessKind::Billing) {
            mixed(item, problems);
            resolving.good = false;
        } else if self.catalogue.contains(&scope) {
            resolving.wanted.written.insert(scope);
        } else {
            let meant = self.unknown(item, problems);
            resolving.wanted.unknown.insert(scope, meant);
        }
    }

    /// The members of a set.
    fn set(&self, name: &str, site: Site, problems: &mut Problems) -> Option<(&'d Name, &'d [At<String>])> {
        match self.sets.get_key_value(name) {
            Some((name, set)) => Some((name, &set.value)),
            None => {
                unknown("scope set", name, site, self.sets.keys().map(Name::as_str), problems);
                None
            }
        }
    }

    fn expand(&self, item: &At<String>, problems: &mut Problems) -> Option<BTreeSet<Scope>> {
        let error = match self.catalogue.expand(item) {
            Ok(scopes) => return Some(scopes),
            Err(error) => error,
        };
        let (code, help) = match &error {
            ExpandError::Form(_) | ExpandError::Level { .. } => (
                "invalid_scope_pattern",
                "write `PREFIX.*`, `PREFIX:read`, `PREFIX:full`, `all:read`, `set:NAME` or a scope",
            ),
            ExpandError::Everything(_) => {
                ("invalid_scope_pattern", "list what the key needs, or write `access: full`")
            }
            ExpandError::Billing(_) => {
                ("billing_pattern", "write each of them out, on a key with `access: billing`")
            }
            ExpandError::Nothing { .. } => {
                ("empty_scope_pattern", "`gridkey scopes list` shows the scopes there are")
            }
        };
        problems.error(code, item.site, error.to_string()).help(help);
        None
    }

    fn unknown(&self, item: &At<String>, problems: &mut Problems) -> Option<Scope> {
        let meant = self.catalogue.suggest(item);
        let question = meant.as_ref().map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
        problems.unknown_scope(item.site, format!("unknown scope `{item}`{question}")).help(
            "`gridkey scopes list` shows those that are known; an account may have others, which \
                a plan finds out",
        );
        meant
    }
}

fn mixed(item: &At<String>, problems: &mut Problems) {
    let billing = item.starts_with("billing");
    let (message, help) = if billing {
        (
            format!("`{item}` is a billing scope, and the key does not have `access: billing`"),
            "a key holds billing scopes or others, never both: make it two keys",
        )
    } else {
        (
            format!("`{item}` is not a billing scope, and the key has `access: billing`"),
            "a billing key holds billing scopes alone, each written out: make it two keys",
        )
    };
    problems.error("billing_mixed", item.site, message).help(help);
}

fn duplicates(items: &[At<String>], problems: &mut Problems) {
    let mut seen: BTreeMap<&str, Site> = BTreeMap::new();
    for item in items {
        if let Some(first) = seen.insert(item.as_str(), item.site) {
            problems
                .warning("duplicate_scope", item.site, format!("`{item}` is listed twice"))
                .also(first, "first here");
        }
    }
}
