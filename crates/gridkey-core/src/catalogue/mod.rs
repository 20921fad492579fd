//! The catalogue: the scopes that SendGrid is known to have, and what patterns of scopes stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::access::Scope;

/// The scopes that SendGrid is known to have. What an account can grant is for the account to say
/// (`GET /v3/scopes`); an account can know scopes that the catalogue does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// The day the catalogue was put together.
    version: String,
    entries: BTreeMap<Scope, Entry>,
}

/// A scope of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub scope: Scope,
    pub kind: ScopeKind,
    pub level: Level,
    /// The part of SendGrid that it is about.
    pub group: String,
    /// Where SendGrid's own page for API keys shows it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// Which keys may hold a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// Any key that is not for billing.
    Restricted,
    /// Billing keys, and they hold nothing else.
    Billing,
    /// Put on keys by SendGrid itself; never sent.
    Automatic,
    /// Seen on accounts and on other kinds of keys. It can be written out, and no pattern covers it.
    Unassignable,
}

/// What a scope allows: SendGrid's page offers "Read Access" and "Full Access" for each category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Read,
    Write,
    /// Neither: it marks an account.
    Flag,
}

/// Why a pattern stands for no scopes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    #[error("`{0}` is not a pattern of scopes")]
    Form(String),
    #[error("unknown level `{level}` in `{pattern}`")]
    Level { pattern: String, level: String },
    #[error("`{0}` would match every scope, and a key with every scope has `access: full`")]
    Everything(String),
    #[error("`{0}` matches billing scopes, which have to be written out")]
    Billing(String),
    #[error("`{pattern}` matches no scope{}", question(.meant.as_deref()))]
    Nothing { pattern: String, meant: Option<String> },
}

fn question(meant: Option<&str>) -> String {
    meant.map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default()
}

/// The committed file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    scopes: Vec<Entry>,
}

impl Catalogue {
    /// The catalogue that this build carries.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalogue> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            let File { version, scopes } = serde_json::from_str(include_str!("scopes.json"))
                .expect("the committed catalogue is of its own form");
            let entries = scopes.into_iter().map(|entry| (entry.scope.clone(), entry)).collect();
            Self { version, entries }
        })
    }

    /// The day the catalogue was put together.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All scopes, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn get(&self, scope: &str) -> Option<&Entry> {
        self.entries.get(scope)
    }

    pub fn contains(&self, scope: &Scope) -> bool {
        self.entries.contains_key(scope)
    }

    pub fn kind(&self, scope: &Scope) -> Option<ScopeKind> {
        self.entries.get(scope).map(|entry| entry.kind)
    }

    /// Whether a text of a manifest's `scopes` is a pattern rather than a scope or `set:NAME`.
    pub fn is_pattern(text: &str) -> bool {
        text.contains(['*', ':']) && !text.starts_with("set:")
    }

    /// The scopes that a pattern stands for, never for billing, automatic or unassignable ones.
    ///
    /// | pattern | stands for |
    /// |---|---|
    /// | `PREFIX.*` | all scopes that start with `PREFIX.` |
    /// | `PREFIX:full` | the same: "Full Access" to what is under the prefix |
    /// | `PREFIX:read` | those of them that only read: "Read Access" |
    /// | `all:read` | all that only read |
    ///
    /// # Errors
    /// [`ExpandError`], where it stands for nothing.
    pub fn expand(&self, pattern: &str) -> Result<BTreeSet<Scope>, ExpandError> {
        let form = || ExpandError::Form(pattern.to_string());
        let (prefix, reads_only) = match pattern.rsplit_once(':') {
            Some((prefix, "read")) => (prefix, true),
            Some((prefix, "full")) => (prefix, false),
            Some((_, level)) => {
                return Err(ExpandError::Level { pattern: pattern.to_string(), level: level.to_string() });
            }
            None => (pattern.strip_suffix(".*").ok_or_else(form)?, false),
        };
        if prefix.contains(['*', ':']) || prefix.is_empty() {
            return Err(form());
        }
        if prefix == "all" && !reads_only {
            return Err(ExpandError::Everything(pattern.to_string()));
        }
        let under = |scope: &Scope| {
            let rest = scope.as_str().strip_prefix(prefix);
            prefix == "all" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let scopes: BTreeSet<Scope> = self
            .entries()
            .filter(|entry| entry.kind == ScopeKind::Restricted && under(&entry.scope))
            .filter(|entry| !reads_only || entry.level == Level::Read)
            .map(|entry| entry.scope.clone())
            .collect();
        if !scopes.is_empty() {
            return Ok(scopes);
        }
        if self.entries().any(|entry| entry.kind == ScopeKind::Billing && under(&entry.scope)) {
            return Err(ExpandError::Billing(pattern.to_string()));
        }
        let meant = self.closest_prefix(prefix).map(|meant| format!("{meant}{}", &pattern[prefix.len()..]));
        Err(ExpandError::Nothing { pattern: pattern.to_string(), meant })
    }

    fn closest_prefix(&self, prefix: &str) -> Option<String> {
        let restricted = self.entries().filter(|entry| entry.kind == ScopeKind::Restricted);
        let prefixes = restricted.flat_map(|entry| {
            let scope = entry.scope.as_str();
            scope.match_indices('.').map(|(at, _)| &scope[..at])
        });
        let prefixes: BTreeSet<_> = prefixes.collect();
        crate::text::suggest::closest(prefix, prefixes)
    }

    /// The scopes that SendGrid's own page for API keys shows under a name, such as `Mail Send`, `Stats / Global Stats` or `Template Engine:
    /// Read Access`, and the name in full, which is
    /// empty where the page does not show it; or one scope that is spelled in another way, such as `mail//send`.
    pub fn under_name(&self, text: &str) -> Option<(String, BTreeSet<Scope>)> {
        let (asked, reads_only) = level_of(&words_of(text));
        let is_asked = |name: &str| words_of(name) == asked;
        let last = |category: &str| category.rsplit('/').next().is_some_and(&is_asked);
        let first = |category: &str| category.split('/').next().is_some_and(&is_asked);
        // The name in full comes before a part of it: there is `Mail Send / Mail Send`.
        let fits: [&dyn Fn(&str) -> bool; 3] = [&|category| is_asked(category), &last, &first];
        let by_category = fits.iter().find_map(|fits| {
            let entries: Vec<&Entry> =
                self.entries().filter(|entry| entry.category.as_deref().is_some_and(fits)).collect();
            let names: BTreeSet<&str> =
                entries.iter().filter_map(|entry| entry.category.as_deref()).collect();
            let scopes: BTreeSet<Scope> = entries
                .iter()
                .filter(|entry| !reads_only || entry.level == Level::Read)
                .map(|entry| entry.scope.clone())
                .collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            (!scopes.is_empty()).then_some((names, scopes))
        });
        by_category.or_else(|| {
            let entry = self.entries().find(|entry| is_asked(entry.scope.as_str()))?;
            Some((entry.category.clone().unwrap_or_default(), [entry.scope.clone()].into()))
        })
    }

    /// The scope, or the name on SendGrid's page, that an unknown text most probably meant.
    pub fn suggest_name(&self, text: &str) -> Option<String> {
        let categories: BTreeSet<&str> =
            self.entries().filter_map(|entry| entry.category.as_deref()).collect();
        let parts =
            categories.iter().flat_map(|category| category.split('/').map(str::trim).chain([*category]));
        // Where a scope and a name have the same words, a text of such words is rather the name.
        let names = self.entries().map(|entry| entry.scope.as_str()).chain(parts);
        let by_words: BTreeMap<String, &str> = names.map(|name| (words_of(name), name)).collect();
        let meant = crate::text::suggest::closest(&level_of(&words_of(text)).0, by_words.keys())?;
        by_words.get(&meant).map(ToString::to_string)
    }

    /// The pattern that stands for just these scopes, if one does.
    pub fn pattern_of(&self, scopes: &BTreeSet<Scope>) -> Option<String> {
        let first = scopes.first()?.as_str();
        let prefixes = first.match_indices('.').map(|(at, _)| &first[..at]);
        let patterns = prefixes.flat_map(|prefix| [format!("{prefix}.*"), format!("{prefix}:read")]);
        patterns.into_iter().find(|pattern| self.expand(pattern).is_ok_and(|expanded| expanded == *scopes))
    }

    /// The scope that an unknown text most probably meant.
    pub fn suggest(&self, text: &str) -> Option<Scope> {
        let known = self.entries().filter(|entry| entry.kind != ScopeKind::Automatic);
        crate::text::suggest::closest(text, known.map(|entry| entry.scope.as_str())).map(Scope::new)
    }
}

/// The words of a name, whatever stands between them: `Mail Send`, `mail.send` and `mail//send` have the same.
fn words_of(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// A name without the level that SendGrid's page offers beside it, and whether that is the one that only reads.
fn level_of(words: &str) -> (String, bool) {
    let read = words.strip_suffix(" read access").or_else(|| words.strip_suffix(" read only"));
    match (read, words.strip_suffix(" full access")) {
        (Some(name), _) => (name.to_string(), true),
        (None, Some(name)) => (name.to_string(), false),
        (None, None) => (words.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(pattern: &str) -> Vec<String> {
        let scopes = Catalogue::builtin().expand(pattern);
        scopes.map(|scopes| scopes.iter().map(Scope::to_string).collect()).unwrap_or_default()
    }

    #[test]
    fn kinds_agree_with_what_a_scope_says_of_itself() {
        let catalogue = Catalogue::builtin();
        assert!(catalogue.entries().count() > 250);
        for entry in catalogue.entries() {
            assert_eq!(entry.kind == ScopeKind::Billing, entry.scope.is_billing(), "{}", entry.scope);
            assert_eq!(entry.kind == ScopeKind::Automatic, entry.scope.is_automatic(), "{}", entry.scope);
        }
    }

    #[test]
    fn levels_expand_as_the_page_groups_them() {
        assert_eq!(
            expand("templates:read"),
            ["templates.read", "templates.versions.activate.read", "templates.versions.read"]
        );
        assert_eq!(expand("mail.batch.*").len(), 4);
        assert_eq!(expand("templates:full"), expand("templates.*"));
        assert_eq!(expand("mail.send:full"), ["mail.send"]);
    }

    #[test]
    fn no_pattern_covers_billing_automatic_or_unassignable_scopes() {
        let all = expand("all:read");
        assert!(all.contains(&"stats.read".to_string()));
        for scope in &all {
            assert_eq!(Catalogue::builtin().get(scope).map(|entry| entry.kind), Some(ScopeKind::Restricted));
        }
        let refused = |pattern: &str| Catalogue::builtin().expand(pattern).unwrap_err();
        assert!(matches!(refused("billing.*"), ExpandError::Billing(_)));
        assert!(matches!(refused("sender_verification_eligible:full"), ExpandError::Nothing { .. }));
        assert!(matches!(refused("all:full"), ExpandError::Everything(_)));
        assert!(matches!(refused("all.*"), ExpandError::Everything(_)));
        assert!(matches!(refused("mail.*.read"), ExpandError::Form(_)));
        assert!(matches!(refused("*"), ExpandError::Form(_)));
        assert!(matches!(refused("mail:write"), ExpandError::Level { .. }));
    }

    #[test]
    fn names_of_sendgrids_page_stand_for_scopes_however_they_are_spelled() {
        let catalogue = Catalogue::builtin();
        let under = |text: &str| {
            let (name, scopes) = catalogue.under_name(text).unwrap_or_else(|| panic!("{text}"));
            let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
            (name, scopes.join(" "))
        };
        let send = ("Mail Send / Mail Send".to_string(), "mail.send".to_string());
        for text in [
            "Mail Send",
            "mail send",
            "Mail Send / Mail Send",
            "mail//send",
            "MAIL_SEND",
            "Mail Send: Full Access",
        ] {
            assert_eq!(under(text), send, "{text}");
        }
        assert_eq!(under("Scheduled Sends").1.split(' ').count(), 8);
        assert_eq!(
            under("Template Engine: Read Access").1,
            "templates.read templates.versions.activate.read templates.versions.read"
        );
        let (stats, scopes) = under("stats");
        assert!(stats.contains("Stats / Global Stats, ") && scopes.contains("geo.stats.read"), "{stats}");
        assert_eq!(under("teammates//read").1, "teammates.read");
        assert_eq!(catalogue.under_name("entirely different"), None);
        assert_eq!(catalogue.suggest_name("Mial Send").as_deref(), Some("Mail Send"));
        assert_eq!(
            catalogue.suggest_name("Scheduled Sendz (Read Access)").as_deref(),
            Some("Scheduled Sends")
        );
        assert_eq!(catalogue.suggest_name("stats//raed").as_deref(), Some("stats.read"));
        let pattern = |text: &str| catalogue.pattern_of(&catalogue.under_name(text).expect(text).1);
        assert_eq!(pattern("Alerts").as_deref(), Some("alerts.*"));
        assert_eq!(pattern("Template Engine: Read Access").as_deref(), Some("templates:read"));
        assert_eq!(pattern("Stats"), None);
    }

    #[test]
    fn a_misspelt_scope_or_prefix_is_recognised() {
        let catalogue = Catalogue::builtin();
        assert_eq!(catalogue.suggest("mail.sent"), Some(Scope::new("mail.send")));
        assert_eq!(catalogue.suggest("entirely.different.words"), None);
        let error = catalogue.expand("template:read").unwrap_err();
        assert_eq!(error.to_string(), "`template:read` matches no scope, did you mean `templates:read`?");
    }
}
