//! Locations in sinks: whether each can exist, and whether each belongs to one key.

use std::collections::BTreeMap;

use crate::manifest::document::{Document, Setting, SinkTemplate};
use crate::manifest::model::{Credential, WantedKey};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::Site;
use crate::manifest::read::yaml::is_variable;
use crate::manifest::resolve::place::Place;
use crate::sink::{LocationId, SinkSettings, is_own_name};

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
    let faults: Vec<(&str, &str)> = match at {
        SinkSettings::Dotenv(settings) => vec![
            ("variable", unless(is_variable(&settings.variable), VARIABLE)),
            ("path", path(&settings.path)),
        ],
        SinkSettings::Json(settings) | SinkSettings::Yaml(settings) => vec![
            (
                "pointer",
                unless(
                    is_pointer(&settings.pointer),
                    "a JSON Pointer starts with `/`, and `~` stands only in `~0` and `~1`: \
                        `/sendgrid/api_key`",
                ),
            ),
            ("path", path(&settings.path)),
        ],
        SinkSettings::Age(settings) => {
            let public = |recipient: &String| recipient.starts_with("age1") || recipient.starts_with("ssh-");
            vec![
                (
                    "recipients",
                    unless(
                        settings.recipients.iter().all(public),
                        "a recipient is a public key: `age1…` or `ssh-…`",
                    ),
                ),
                ("path", path(&settings.path)),
            ]
        }
        SinkSettings::Command(settings) => {
            let program = |words: &[String]| {
                unless(
                    words.first().is_some_and(|word| !word.trim().is_empty()),
                    "it starts with a \
                    program",
                )
            };
            let optional = |words: &Option<Vec<String>>| words.as_deref().map_or("", program);
            vec![
                ("put", program(&settings.put)),
                ("read", optional(&settings.read)),
                ("remove", optional(&settings.remove)),
                (
                    "absent_exit",
                    unless(
                        settings.absent_exit.is_empty()
                            || (settings.read.is_some() && !settings.absent_exit.contains(&0)),
                        "it is about `read`, whose exit code 0 says that what it prints is stored",
                    ),
                ),
                ("env", environment(document, &settings.env)),
            ]
        }
        SinkSettings::Vault(settings) => vec![("address", address(&settings.address))],
        SinkSettings::AzureKeyVault(settings) => vec![("vault", address(&settings.vault))],
        SinkSettings::GithubActions(settings) => {
            let reserved = settings.secret.to_ascii_uppercase().starts_with("GITHUB_");
            vec![
                (
                    "secret",
                    unless(
                        is_variable(&settings.secret) && !reserved,
                        "letters, digits and `_`, no digit first, and not `GITHUB_` in front",
                    ),
                ),
                (
                    "repository",
                    unless(
                        settings.repository.split('/').filter(|part| !part.is_empty()).count() == 2
                            && settings.repository.matches('/').count() == 1,
                        "write `owner/name`",
                    ),
                ),
            ]
        }
        SinkSettings::GitlabCi(settings) => vec![
            ("variable", unless(is_variable(&settings.variable), VARIABLE)),
            ("address", settings.address.as_deref().map_or("", address)),
        ],
        SinkSettings::AwsSecretsManager(_)
        | SinkSettings::AwsSsm(_)
        | SinkSettings::GcpSecretManager(_)
        | SinkSettings::Kubernetes(_) => Vec::new(),
    };
    let mut good = true;
    for (field, help) in faults.into_iter().filter(|(_, help)| !help.is_empty()) {
        let site = filled.fields.get(field).map(|setting| setting.site).unwrap_or_default();
        problems
            .error(
                "invalid_location",
                site,
                format!("`{field}` of {what} cannot be {}", value(filled, field)),
            )
            .help(help);
        good = false;
    }
    good
}

/// A setting as it is once placeholders are filled in.
fn value(filled: &SinkTemplate, field: &str) -> String {
    match filled.fields.get(field).map(|setting| &setting.value) {
        Some(Setting::Text(text)) => format!("`{text}`"),
        Some(Setting::List(items)) => format!("`{items:?}`"),
        Some(Setting::Numbers(items)) => format!("`{items:?}`"),
        Some(Setting::Credential(_)) | None => "used".to_string(),
    }
}

const VARIABLE: &str = "the name of a variable holds letters, digits and `_`, and starts with no digit; \
    placeholders in \
                        upper case (`{KEY}`) fit";

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

/// The help where something is not so; nothing where it is.
fn unless(good: bool, help: &'static str) -> &'static str {
    if good { "" } else { help }
}

fn path(path: &str) -> &'static str {
    if path.contains('$') {
        return "variables are not expanded in paths: write it out; `~/` stands for the home folder";
    }
    if path.starts_with('~') && !path.starts_with("~/") {
        return "`~/` stands for the home folder, and for nobody else's; write the path out, or begin it with `./`";
    }
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    if is_own_name(name) {
        return "files of that name are gridkey's own, and go when an edit is done";
    }
    unless(!path.trim().is_empty() && !path.ends_with('/') && !path.contains('\0'), "it names a file")
}

fn address(address: &str) -> &'static str {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    unless(rest.is_some_and(|rest| !rest.is_empty()), "an address starts with `https://`")
}

/// RFC 6901, without the pointer to the whole document.
fn is_pointer(text: &str) -> bool {
    let escapes =
        text.match_indices('~').all(|(at, _)| matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')));
    text.starts_with('/') && text.len() > 1 && escapes
}
