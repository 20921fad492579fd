//! Places: the environments that keys exist in, those that a pattern could make among them.

use crate::manifest::document::{Document, EnvironmentBlock};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::manifest::resolve::unknown::unknown;
use crate::name::Name;
use crate::text::pattern::matches_pattern;
use crate::text::suggest::{did_you_mean, list, some_of};

/// Where keys exist.
pub(crate) struct Place<'d> {
    pub origin: Origin<'d>,
    /// `None` where the manifest has no environments.
    pub block: Option<&'d At<EnvironmentBlock>>,
    pub site: Site,
    /// The accounts of a fan-out.
    pub fan_out: Option<Vec<Name>>,
}

/// Where a place comes from.
pub(crate) enum Origin<'d> {
    /// The manifest has no environments; its keys exist once.
    Nowhere,
    Named(Name),
    /// A sample is made to judge a pattern of which no environment was asked for; its keys are not wanted.
    Pattern {
        name: Name,
        pattern: &'d str,
        sample: bool,
    },
}

impl Origin<'_> {
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Nowhere => None,
            Self::Named(name) | Self::Pattern { name, .. } => Some(name),
        }
    }

    pub fn pattern(&self) -> Option<&str> {
        match self {
            Self::Pattern { pattern, .. } => Some(pattern),
            Self::Nowhere | Self::Named(_) => None,
        }
    }

    pub fn is_sample(&self) -> bool {
        matches!(self, Self::Pattern { sample: true, .. })
    }
}

impl Place<'_> {
    /// The environment in the words of messages: a sample goes by its pattern.
    pub fn label(&self) -> Option<&str> {
        match &self.origin {
            Origin::Nowhere => None,
            Origin::Pattern { pattern, sample: true, .. } => Some(pattern),
            Origin::Named(name) | Origin::Pattern { name, .. } => Some(name.as_str()),
        }
    }

    /// `… in environment …`, for messages about one of its keys.
    pub fn within(&self) -> String {
        self.label().map(|label| format!(" in environment `{label}`")).unwrap_or_default()
    }

    /// The one account of a place that names it, or where it need not be named.
    pub fn own_account(&self, document: &Document) -> Option<Name> {
        let named = self.block.and_then(|block| block.settings.account.as_ref());
        let named = named.or(document.defaults.account.as_ref()).map(|account| account.value.clone());
        let mut all = document.accounts.keys();
        let sole = all.next().filter(|_| all.next().is_none());
        named.or_else(|| sole.cloned())
    }

    /// Whether a key with this list of environments exists here.
    pub fn is_chosen(&self, choices: &[At<String>]) -> bool {
        let meets = |choice: &str| match &self.origin {
            Origin::Nowhere => true,
            Origin::Named(name) => matches_pattern(choice, name.as_str()),
            // A pattern chooses what it is written for, and a name one of what it can make.
            Origin::Pattern { name, pattern, .. } => {
                choice == *pattern || matches_pattern(choice, name.as_str())
            }
        };
        let left_out = choices.iter().filter_map(|choice| choice.strip_prefix('!')).any(meets);
        let mut chosen = choices.iter().filter(|choice| !choice.starts_with('!')).peekable();
        let all = chosen.peek().is_none();
        !left_out && (all || chosen.any(|choice| meets(choice)))
    }
}

/// The places of a document: its environments, those that were asked for, and samples of each pattern.
pub(crate) fn places<'d>(
    document: &'d Document,
    requested: &[Name],
    problems: &mut Problems,
) -> Vec<Place<'d>> {
    let mut places = Vec::new();
    if document.environments.is_empty() && document.patterns.is_empty() {
        places.push(Place { origin: Origin::Nowhere, block: None, site: Site::default(), fan_out: None });
    }
    let mut add = |origin, block: &'d At<EnvironmentBlock>, problems: &mut Problems| {
        let fan_out = fan_out(document, block, problems);
        places.push(Place { origin, block: Some(block), site: block.site, fan_out });
    };
    for (name, block) in &document.environments {
        add(Origin::Named(name.clone()), block, problems);
    }
    for name in requested {
        if document.environments.contains_key(name) {
            continue;
        }
        let matching: Vec<_> =
            document.patterns.iter().filter(|(pattern, _)| matches_pattern(pattern, name.as_str())).collect();
        match matching[..] {
            [(pattern, block)] => {
                add(Origin::Pattern { name: name.clone(), pattern, sample: false }, block, problems);
            }
            [] => unknown_request(document, name, problems),
            [(_, first), (_, second), ..] => {
                let patterns = list(matching.iter().map(|(pattern, _)| pattern));
                problems
                    .error(
                        "ambiguous_environment",
                        first.site,
                        format!("environment `{name}` matches {patterns}"),
                    )
                    .also(second.site, "and this")
                    .help("make the patterns so that a name matches one of them");
            }
        }
    }
    for (pattern, block) in &document.patterns {
        for name in sample_names(document, pattern) {
            add(Origin::Pattern { name, pattern, sample: true }, block, problems);
        }
    }
    places
}

/// Two names that a pattern matches and no environment has: two, to see whether environments made from it
/// would write to the same places.
fn sample_names(document: &Document, pattern: &str) -> Vec<Name> {
    let fillings = ('a'..='z').chain('0'..='9').map(|letter| pattern.replace('*', &letter.to_string()));
    let names = fillings.filter_map(|name| Name::new(name).ok());
    names.filter(|name| !document.environments.contains_key(name)).take(2).collect()
}

fn unknown_request(document: &Document, name: &Name, problems: &mut Problems) {
    let named = document.environments.keys().map(Name::as_str);
    let known: Vec<_> = named.chain(document.patterns.keys().map(String::as_str)).collect();
    let help = match known.is_empty() {
        true => "the manifest has no environments".to_string(),
        false => format!("the manifest has {}", some_of(&known)),
    };
    let meant = did_you_mean(name.as_str(), &known);
    problems.error_nowhere("unknown_environment", format!("unknown environment `{name}`{meant}"), &help);
}

/// The accounts that an environment fans out over.
fn fan_out(document: &Document, block: &EnvironmentBlock, problems: &mut Problems) -> Option<Vec<Name>> {
    let patterns = block.accounts.as_ref()?;
    let mut accounts = std::collections::BTreeSet::new();
    for pattern in &patterns.value {
        let known = document.accounts.keys();
        let matching: Vec<_> = known.clone().filter(|name| matches_pattern(pattern, name.as_str())).collect();
        if matching.is_empty() && pattern.contains('*') {
            problems
                .error("no_account_matches", pattern.site, format!("no account matches `{pattern}`"))
                .help(format!("the manifest has {}", some_of(known.map(Name::as_str))));
        } else if matching.is_empty() {
            unknown("account", pattern, pattern.site, known.map(Name::as_str), problems);
        }
        accounts.extend(matching.into_iter().cloned());
    }
    Some(accounts.into_iter().collect())
}
