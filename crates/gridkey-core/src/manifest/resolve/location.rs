//! Locations in sinks: whether each can exist, and whether each belongs to one key.

use std::collections::{BTreeMap, BTreeSet};

use crate::credential::Credential;
use crate::hook::HookSettings;
use crate::manifest::document::{Document, HookTemplate, Setting, SinkTemplate};
use crate::manifest::model::WantedKey;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::manifest::resolve::place::Place;
use crate::sink::{LocationId, SinkLocation, SinkSettings, TOGETHER, nested_in, unless};
use crate::text::is_variable;

/// Which key writes where.
#[derive(Default)]
pub(crate) struct Locations {
    owners: BTreeMap<LocationId, Owner>,
    /// Who has a part of a document, and who has the whole of one.
    parts: BTreeMap<String, Owner>,
    wholes: BTreeMap<String, Owner>,
    /// Labels of keys of which one was told to write into a value of the other: samples of a pattern say it once.
    nested: BTreeSet<(String, String)>,
}

#[derive(Clone)]
struct Owner {
    /// The address, by pattern where it is a sample's.
    label: String,
    /// As it is shown: the same place can be spelt otherwise.
    place: String,
    site: Site,
}

impl Locations {
    /// Adds the keys of a place, and reports those that would overwrite one another.
    pub fn add(
        &mut self,
        place: &Place<'_>,
        keys: &[WantedKey],
        document: &Document,
        problems: &mut Problems,
    ) {
        for key in keys {
            let address = &key.address;
            let parts = [
                place.label(),
                address.account.as_ref().map(|name| name.as_str()),
                Some(address.key.as_str()),
            ];
            let label = parts.into_iter().flatten().collect::<Vec<_>>().join("/");
            let site = document.keys.get(&address.key).map_or(place.site, |key| key.site);
            for location in &key.sinks {
                let owner = Owner { label: label.clone(), place: location.at.place(), site };
                match self.owners.get(&location.id()) {
                    Some(first) => shared(first, &owner, place, location, problems),
                    None => {
                        if let Some((_, other)) = nested_in(&self.owners, location)
                            && self.nested.insert((other.label.clone(), label.clone()))
                        {
                            nested(other, &owner, location, problems);
                        }
                        self.in_document(&owner, location, problems);
                        self.owners.insert(location.id(), owner);
                    }
                }
            }
        }
    }
}

impl Locations {
    /// Reports a document that is the secret of one key and has that of another.
    fn in_document(&mut self, owner: &Owner, location: &SinkLocation, problems: &mut Problems) {
        let document = location.at.container();
        let (same, others) = match location.at.is_whole() {
            true => (&mut self.wholes, &self.parts),
            false => (&mut self.parts, &self.wholes),
        };
        if let Some(other) = others.get(&document)
            && self.nested.insert((other.label.clone(), owner.label.clone()))
        {
            nested(other, owner, location, problems);
        }
        same.entry(document).or_insert_with(|| owner.clone());
    }
}

fn shared(
    first: &Owner,
    second: &Owner,
    place: &Place<'_>,
    location: &SinkLocation,
    problems: &mut Problems,
) {
    let label = &second.label;
    let keys = match (first.label == *label, place.origin.pattern()) {
        (true, Some(pattern)) => {
            format!("the keys `{label}` of all environments that come from `{pattern}`")
        }
        (true, None) => format!("two sinks of key `{label}`"),
        (false, _) => format!("keys `{}` and `{label}`", first.label),
    };
    let message = match first.place == second.place {
        true => format!("{keys} would write to one place: {location}"),
        false => format!("{keys} would write to one place: {location} is {}", first.place),
    };
    let report = problems.error("shared_location", second.site, message);
    let report = if first.site == second.site { report } else { report.also(first.site, "the other key") };
    report.help(
        "tell the places apart with `{environment}`, `{account}` or `{key}` in the sink's settings, or with \
         what differs for one key: `sinks: [{ NAME: { path: … } }]`",
    );
}

fn nested(first: &Owner, second: &Owner, location: &SinkLocation, problems: &mut Problems) {
    let keys = match first.label == second.label {
        true => format!("two sinks of key `{}`", second.label),
        false => format!("keys `{}` and `{}`", first.label, second.label),
    };
    let message = format!("{keys} would write one value into another: {location} and {}", first.place);
    let report = problems.error("nested_location", second.site, message);
    let report = if first.site == second.site { report } else { report.also(first.site, "the other key") };
    report.help(
        "a secret has no values in it: give each a document of its own, or a place beside the other's (a `pointer` that does not begin with it, a \
         `field` for both)",
    );
}

/// Whether a location can exist, by the grammar of its kind.
pub(crate) fn check(
    document: &Document,
    filled: &SinkTemplate,
    at: &SinkSettings,
    what: &str,
    problems: &mut Problems,
) -> bool {
    let environment = ("env", environment(document, at.environment()));
    let faults = at.faults().into_iter().chain([environment]);
    report(faults, |field| at.faulty_item(field), "invalid_location", &filled.fields, what, problems)
}

/// Whether a hook can be what it is.
pub(crate) fn check_hook(
    document: &Document,
    filled: &HookTemplate,
    does: &HookSettings,
    what: &str,
    problems: &mut Problems,
) -> bool {
    let environment = ("env", environment(document, does.environment()));
    let faults = does.faults().into_iter().chain([environment]);
    report(faults, |_| None, "invalid_hook", &filled.fields, what, problems)
}

/// Reports what settings cannot be; `true` where nothing is wrong.
fn report(
    faults: impl Iterator<Item = (&'static str, &'static str)>,
    faulty_item: impl Fn(&str) -> Option<usize>,
    code: &'static str,
    filled: &BTreeMap<String, At<Setting>>,
    what: &str,
    problems: &mut Problems,
) -> bool {
    let mut good = true;
    for (field, help) in faults.filter(|(_, help)| !help.is_empty()) {
        let setting = if field == TOGETHER { filled.values().next() } else { filled.get(field) };
        let site = setting.map(|setting| setting.site).unwrap_or_default();
        let value = value(filled, field);
        let message = match faulty_item(field) {
            _ if field == TOGETHER => format!("{what} cannot be used as it stands"),
            Some(index) => format!("item {} of `{field}` of {what} cannot be {value}", index + 1),
            None => format!("`{field}` of {what} cannot be {value}"),
        };
        problems.error(code, site, message).help(help);
        good = false;
    }
    good
}

/// A setting as it is once placeholders are filled in.
fn value(filled: &BTreeMap<String, At<Setting>>, field: &str) -> String {
    match filled.get(field).map(|setting| &setting.value) {
        // What is no public key may be a private one.
        Some(_) if field == "recipients" => "used".to_string(),
        Some(Setting::Text(text)) => format!("`{text}`"),
        Some(Setting::List(items)) => format!("`{items:?}`"),
        Some(Setting::Numbers(items)) => format!("`{items:?}`"),
        Some(Setting::Flag(flag)) => format!("`{flag}`"),
        Some(Setting::Credential(_) | Setting::Texts(_) | Setting::Block(_)) | None => "used".to_string(),
    }
}

/// What a command may be given: a program that stores one key has no use for the key that manages them all.
fn environment(document: &Document, variables: &[String]) -> &'static str {
    let credentials =
        document.accounts.values().flat_map(|account| [&account.api_key, &account.plan_api_key]);
    let managing: Vec<&String> = credentials
        .filter_map(|credential| match credential {
            Some(Credential::Env(variable)) => Some(variable),
            Some(Credential::File(_) | Credential::Command(_)) | None => None,
        })
        .collect();
    // Windows takes names in any case for one.
    let is_managing = |variable: &String| managing.iter().any(|known| known.eq_ignore_ascii_case(variable));
    if variables.iter().any(is_managing) {
        return "an account's managing key is found there, and no sink's command gets that";
    }
    unless(
        variables.iter().all(|variable| is_variable(variable)),
        "it lists names of variables alone: what they hold comes from the environment that gridkey runs in",
    )
}
