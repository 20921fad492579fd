//! Locations in sinks: whether each can exist, and whether each belongs to one key.

use std::collections::BTreeMap;

use crate::credential::Credential;
use crate::hook::HookSettings;
use crate::manifest::document::{Document, HookTemplate, Setting, SinkTemplate};
use crate::manifest::model::WantedKey;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::manifest::resolve::place::Place;
use crate::sink::{LocationId, SinkSettings, unless};
use crate::text::is_variable;

/// Which key writes where.
#[derive(Default)]
pub(crate) struct Locations(BTreeMap<LocationId, Owner>);

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
                let Some(first) = self.0.get(&location.id()) else {
                    let owner = Owner { label: label.clone(), place: location.at.place(), site };
                    self.0.insert(location.id(), owner);
                    continue;
                };
                let keys = match (first.label == label, place.origin.pattern()) {
                    (true, Some(pattern)) => {
                        format!("the keys `{label}` of all environments that come from `{pattern}`")
                    }
                    (true, None) => format!("two sinks of key `{label}`"),
                    (false, _) => format!("keys `{}` and `{label}`", first.label),
                };
                let report = problems.error(
                    "shared_location",
                    site,
                    match first.place == location.at.place() {
                        true => format!("{keys} would write to one place: {location}"),
                        false => {
                            format!("{keys} would write to one place: {location} is {}", first.place)
                        }
                    },
                );
                let report =
                    if first.site == site { report } else { report.also(first.site, "the other key") };
                report.help(
                    "tell the places apart with `{environment}`, `{account}` or `{key}` in the sink's \
                        settings, or with \
                     what differs for one key: `sinks: [{ NAME: { path: … } }]`",
                );
            }
        }
    }
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
    report(faults, "invalid_location", &filled.fields, what, problems)
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
    report(faults, "invalid_hook", &filled.fields, what, problems)
}

/// Reports what settings cannot be; `true` where nothing is wrong.
fn report(
    faults: impl Iterator<Item = (&'static str, &'static str)>,
    code: &'static str,
    filled: &BTreeMap<String, At<Setting>>,
    what: &str,
    problems: &mut Problems,
) -> bool {
    let mut good = true;
    for (field, help) in faults.filter(|(_, help)| !help.is_empty()) {
        let site = filled.get(field).map(|setting| setting.site).unwrap_or_default();
        problems
            .error(code, site, format!("`{field}` of {what} cannot be {}", value(filled, field)))
            .help(help);
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
