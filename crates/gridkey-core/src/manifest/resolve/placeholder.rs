//! Placeholders: `{environment}` and its like, in the names of keys and the settings of sinks.

use std::collections::BTreeMap;

use crate::identity::OnBehalfOf;
use crate::manifest::bounds::MAX_TEXT;
use crate::manifest::document::{Document, HookTemplate, Setting, SinkTemplate};
use crate::manifest::model::Account;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::name::Name;
use crate::text::suggest::{did_you_mean, list};

/// What placeholders stand for, for one key.
pub(crate) struct Values<'a> {
    pub environment: Option<&'a str>,
    /// `None` where the key's account could not be resolved. That is said elsewhere, so what is about
    /// accounts stands for their placeholder then.
    pub account: Option<&'a Account>,
    pub key: &'a Name,
    pub owner: Option<&'a str>,
    /// The key in the words of messages.
    pub what: String,
}

/// The placeholders there are. In upper case the value is too, with `_` for all but letters and digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Environment,
    Account,
    Subuser,
    Key,
    Owner,
}

const ALL: [(&str, Placeholder); 5] = [
    ("environment", Placeholder::Environment),
    ("account", Placeholder::Account),
    ("subuser", Placeholder::Subuser),
    ("key", Placeholder::Key),
    ("owner", Placeholder::Owner),
];

/// A piece of a text.
enum Piece<'t> {
    Text(&'t str),
    Placeholder {
        name: &'t str,
        known: Option<(Placeholder, bool)>,
    },
    /// A brace that is neither doubled nor closed.
    Brace,
}

/// Takes a text apart. `{{` and `}}` stand for braces.
fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some(at) = text.find(['{', '}']) {
        if at > 0 {
            pieces.push(Piece::Text(&text[..at]));
        }
        let rest = &text[at..];
        let (piece, length) = if rest.starts_with("{{") || rest.starts_with("}}") {
            (Piece::Text(&rest[..1]), 2)
        } else if let Some(end) = rest.find('}').filter(|end| *end > 0) {
            let name = &rest[1..end];
            let known = ALL.iter().find_map(|(known, placeholder)| {
                let upper = name == known.to_ascii_uppercase();
                (name == *known || upper).then_some((*placeholder, upper))
            });
            (Piece::Placeholder { name, known }, end + 1)
        } else {
            (Piece::Brace, 1)
        };
        pieces.push(piece);
        text = &rest[length..];
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Fills a text in. `None` where it cannot be, which is among the problems then.
pub(crate) fn fill(text: &str, site: Site, values: &Values<'_>, problems: &mut Problems) -> Option<String> {
    let mut filled = Some(String::new());
    for piece in pieces(text) {
        let value = match piece {
            Piece::Text(text) => Some(text.to_string()),
            Piece::Brace => {
                unknown(None, site, problems);
                None
            }
            Piece::Placeholder { name, known: None } => {
                unknown(Some(name), site, problems);
                None
            }
            Piece::Placeholder { name, known: Some((placeholder, upper)) } => {
                let value = values.get(placeholder);
                if value.is_none() {
                    let why = values.why_not(placeholder);
                    problems
                        .error("placeholder_without_value", site, format!("`{{{name}}}` has no value"))
                        .here(format!("for {}", values.what))
                        .help(why);
                }
                value.map(|value| if upper { upper_case(value) } else { value.to_string() })
            }
        };
        filled = filled.zip(value).map(|(filled, value)| filled + &value);
        if filled.as_ref().is_some_and(|filled| filled.len() > MAX_TEXT) {
            problems
                .error(
                    "text_too_long",
                    site,
                    format!("for {}, this text has more than {MAX_TEXT} bytes", values.what),
                )
                .help("use fewer placeholders");
            return None;
        }
    }
    filled
}

/// Fills in every text of a sink's settings.
pub(crate) fn fill_template(
    template: &SinkTemplate,
    values: &Values<'_>,
    problems: &mut Problems,
) -> Option<SinkTemplate> {
    let fields = fill_all(&template.fields, values, problems)?;
    Some(SinkTemplate { kind: template.kind, fields, after_delivery: None })
}

/// Fills in every text of what is done after a delivery.
pub(crate) fn fill_hook(
    template: &HookTemplate,
    values: &Values<'_>,
    problems: &mut Problems,
) -> Option<HookTemplate> {
    let fields = fill_all(&template.fields, values, problems)?;
    Some(HookTemplate { kind: template.kind, fields })
}

fn fill_setting(setting: &At<Setting>, values: &Values<'_>, problems: &mut Problems) -> Option<At<Setting>> {
    let mut one = |text: &String| fill(text, setting.site, values, problems);
    let filled = match &setting.value {
        Setting::Text(text) => Setting::Text(one(text)?),
        Setting::List(items) => {
            let items: Vec<_> = items.iter().map(one).collect();
            Setting::List(items.into_iter().collect::<Option<_>>()?)
        }
        Setting::Texts(texts) => {
            let texts: Vec<_> = texts.iter().map(|(name, text)| Some((name.clone(), one(text)?))).collect();
            Setting::Texts(texts.into_iter().collect::<Option<_>>()?)
        }
        Setting::Block(fields) => Setting::Block(fill_all(fields, values, problems)?),
        Setting::Numbers(_) | Setting::Flag(_) | Setting::Credential(_) => setting.value.clone(),
    };
    Some(At::new(filled, setting.site))
}

/// Fills in every field, so that everything that is wrong is told.
fn fill_all(
    fields: &BTreeMap<String, At<Setting>>,
    values: &Values<'_>,
    problems: &mut Problems,
) -> Option<BTreeMap<String, At<Setting>>> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| Some((name.clone(), fill_setting(value, values, problems)?)))
        .collect();
    fields.into_iter().collect()
}

/// Every text of a setting that may hold placeholders, and where it stands.
fn texts_in(setting: &At<Setting>) -> Vec<(&String, Site)> {
    let site = setting.site;
    match &setting.value {
        Setting::Text(text) => vec![(text, site)],
        Setting::List(items) => items.iter().map(|text| (text, site)).collect(),
        Setting::Texts(texts) => texts.values().map(|text| (text, site)).collect(),
        Setting::Block(fields) => fields.values().flat_map(texts_in).collect(),
        Setting::Numbers(_) | Setting::Flag(_) | Setting::Credential(_) => Vec::new(),
    }
}

/// Reports unknown placeholders in sinks, whether or not a key uses them.
pub(crate) fn check_templates(document: &Document, problems: &mut Problems) {
    let templates = document.sinks.values().filter_map(|block| block.value.as_ref());
    let settings = templates.flat_map(|template| {
        let hook = template.after_delivery.iter().flat_map(|hook| hook.fields.values());
        template.fields.values().chain(hook)
    });
    for setting in settings {
        for (text, site) in texts_in(setting) {
            for piece in pieces(text) {
                match piece {
                    Piece::Placeholder { name, known: None } => unknown(Some(name), site, problems),
                    Piece::Brace => unknown(None, site, problems),
                    Piece::Text(_) | Piece::Placeholder { .. } => {}
                }
            }
        }
    }
}

fn unknown(name: Option<&str>, site: Site, problems: &mut Problems) {
    let names = ALL.iter().map(|(name, _)| *name);
    let message = match name {
        Some(name) => {
            let braced = names.clone().map(|name| format!("{{{name}}}"));
            let meant = did_you_mean(&format!("{{{}}}", name.to_ascii_lowercase()), braced);
            format!("unknown placeholder `{{{name}}}`{meant}")
        }
        None => "this brace does not belong to a placeholder".to_string(),
    };
    let known = list(names.map(|name| format!("{{{name}}}")));
    problems.error("unknown_placeholder", site, message).help(format!(
        "the placeholders are {known}, in lower or upper case; a literal brace is doubled: \
            `{{{{`"
    ));
}

impl<'a> Values<'a> {
    fn get(&self, placeholder: Placeholder) -> Option<&'a str> {
        match placeholder {
            Placeholder::Environment => self.environment,
            Placeholder::Account => Some(self.account.map_or("account", |account| account.name.as_str())),
            Placeholder::Subuser => match self.account {
                None => Some("subuser"),
                Some(account) => match account.on_behalf_of.as_ref()? {
                    OnBehalfOf::Subuser(name) => Some(name),
                    OnBehalfOf::AccountId(_) => None,
                },
            },
            Placeholder::Key => Some(self.key.as_str()),
            Placeholder::Owner => self.owner,
        }
    }

    fn why_not(&self, placeholder: Placeholder) -> String {
        match placeholder {
            Placeholder::Environment => "the manifest has no environments".to_string(),
            Placeholder::Subuser => {
                "its account is not a subuser; `{account}` has a value everywhere".to_string()
            }
            Placeholder::Owner => "add `owner` to the key, its environment or `defaults`".to_string(),
            Placeholder::Account | Placeholder::Key => "this cannot be".to_string(),
        }
    }
}

fn upper_case(value: &str) -> String {
    value.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Credential;
    use crate::identity::Region;
    use crate::text::source::Position;

    fn filled(text: &str) -> Option<String> {
        let (account, key) = (Name::new("acme-prod").unwrap(), Name::new("mailer").unwrap());
        let account = Account {
            name: account,
            parent: None,
            api_key: Credential::Env("KEY".into()),
            plan_api_key: None,
            on_behalf_of: None,
            region: Region::Global,
            key_limit: 100,
            max_keys: None,
            position: Position { file: "a.yaml".into(), line: 1, column: 1 },
        };
        let values = Values {
            environment: Some("pr-1"),
            account: Some(&account),
            key: &key,
            owner: Some("Team Größe"),
            what: "a key".to_string(),
        };
        fill(text, Site::default(), &values, &mut Problems::new(vec!["a.yaml".into()]))
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert_eq!(filled("a/{environment}/{key}").as_deref(), Some("a/pr-1/mailer"));
        assert_eq!(filled("SENDGRID_{ACCOUNT}_{KEY}").as_deref(), Some("SENDGRID_ACME_PROD_MAILER"));
        assert_eq!(filled("{OWNER}").as_deref(), Some("TEAM_GR__E"));
        assert_eq!(filled("{{key}}").as_deref(), Some("{key}"));
        assert_eq!(filled("plain").as_deref(), Some("plain"));
        for wrong in ["{keys}", "{Key}", "{", "}", "{}", "{subuser}", "{key"] {
            assert_eq!(filled(wrong), None, "{wrong}");
        }
    }
}
