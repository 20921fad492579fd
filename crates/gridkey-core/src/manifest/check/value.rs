//! Values with a grammar of their own: lengths of time, shares, credentials and patterns.

use std::time::Duration;

use crate::credential::Credential;
use crate::manifest::check::block::{Field, bad_name, text, wrong_type};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Node, Value};
use crate::name::Name;
use crate::sink::is_given_to_every_command;
use crate::text::is_variable;
use crate::text::suggest::{did_you_mean, list};

/// A length of time: `45s`, `90m`, `24h`, `30d`, `2w`.
pub(crate) fn length(field: &Field<'_>, problems: &mut Problems) -> Option<At<Duration>> {
    let text = with_unit(field, "invalid_duration", "30d", problems)?;
    match parse_length(&text) {
        Some(length) => Some(At::new(length, text.site)),
        None => {
            problems
                .error(
                    "invalid_duration",
                    text.site,
                    format!("{} is not a length of time: `{text}`", field.what),
                )
                .help("write a whole number and one of `s`, `m`, `h`, `d`, `w`, such as `30d`");
            None
        }
    }
}

fn parse_length(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    if number.is_empty() || number.len() > 6 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

/// A number with a unit; one without is a mistake of its own.
fn with_unit(
    field: &Field<'_>,
    code: &'static str,
    example: &str,
    problems: &mut Problems,
) -> Option<At<String>> {
    if let Value::Integer(_) = field.node.value {
        problems
            .error(code, field.node.site, format!("{} has no unit", field.what))
            .help(format!("write it with one, such as `{example}`"));
        return None;
    }
    field.text(problems)
}

/// A share in percent: `30%`.
pub(crate) fn percent(field: &Field<'_>, problems: &mut Problems) -> Option<u8> {
    let text = with_unit(field, "invalid_share", "30%", problems)?;
    let number = text.strip_suffix('%').filter(|number| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && (*number == "0" || !number.starts_with('0'))
    });
    let percent = number.and_then(|number| number.parse::<u8>().ok()).filter(|percent| *percent <= 100);
    if percent.is_none() {
        problems
            .error("invalid_share", text.site, format!("{} is not a share: `{text}`", field.what))
            .help("write a whole number from 0 to 100 and `%`, such as `30%`");
    }
    percent
}

/// Where a credential is found. A credential itself is an error, and is not quoted.
pub(crate) fn credential(node: &Node, what: &str, problems: &mut Problems) -> Option<Credential> {
    const KINDS: [&str; 3] = ["env", "file", "command"];
    // A sink's credential is none of SendGrid's.
    let variable = if what.starts_with("`api_key`") || what.starts_with("`plan_api_key`") {
        "SENDGRID_API_KEY"
    } else {
        "VARIABLE"
    };
    let help = format!(
        "say where it is found: `{{ env: {variable} }}`, `{{ file: PATH }}` or `{{ command: [PROGRAM, ARGUMENT] }}`"
    );
    let entry = match &node.value {
        Value::Map(entries) if entries.len() == 1 => &entries[0],
        Value::Text(_) | Value::Integer(_) | Value::Number => {
            let message = format!("{what} is written out, and a manifest must not hold a secret");
            problems.error("literal_credential", node.site, message).help(help);
            return None;
        }
        _ => {
            let message = format!("{what} must be one of {}", list(KINDS));
            problems.error("wrong_type", node.site, message).help(help);
            return None;
        }
    };
    let field = Field { key: &entry.key, node: &entry.node, what: format!("`{}` of {what}", entry.key) };
    match entry.key.as_str() {
        "env" => {
            let variable = field.text(problems)?;
            if !is_variable(&variable) {
                problems
                    .error(
                        "invalid_variable",
                        variable.site,
                        format!("{} is not the name of a variable", field.what),
                    )
                    .help(
                        "it holds letters, digits and `_`, and starts with no digit; the value itself \
                        never stands here",
                    );
                return None;
            }
            if is_given_to_every_command(&variable) {
                let message =
                    format!("{} is `{}`, which every command of a sink gets", field.what, *variable);
                problems
                    .error("invalid_variable", variable.site, message)
                    .help("keep the key in a variable of its own, such as `SENDGRID_API_KEY`");
                return None;
            }
            Some(Credential::Env(variable.value))
        }
        "file" => Some(Credential::File(field.text(problems)?.value)),
        "command" if matches!(field.node.value, Value::Text(_)) => {
            // It may be the credential itself, so it is not repeated.
            wrong_type(field.node, &field.what, "a list", problems)
                .help("write `command: [PROGRAM, ARGUMENT]`");
            None
        }
        "command" => {
            let words = field.some_texts(problems)?;
            Some(Credential::Command(words.value.into_iter().map(|word| word.value).collect()))
        }
        other => {
            let meant = did_you_mean(other, KINDS);
            problems
                .error("unknown_field", entry.key.site, format!("unknown field `{other}` in {what}{meant}"))
                .help(help);
            None
        }
    }
}

/// A name, or a pattern of names with `*`; judged by a name that it would match.
pub(crate) fn name_pattern(text: &At<String>, problems: &mut Problems) -> Option<At<String>> {
    match Name::new(text.replace('*', "x")) {
        Ok(_) => Some(text.clone()),
        Err(error) => {
            bad_name(text, error, problems);
            None
        }
    }
}

/// An address, or a pattern of addresses with `*`.
pub(crate) fn address_pattern(text: &At<String>, problems: &mut Problems) -> Option<At<String>> {
    let parts: Vec<_> = text.split('/').collect();
    let bad = parts.iter().find_map(|part| Name::new(part.replace('*', "x")).err());
    match bad {
        None if parts.len() <= 3 => Some(text.clone()),
        reason => {
            let reason =
                reason.map_or("it has more than three parts".to_string(), |reason| reason.to_string());
            problems
                .error("invalid_address", text.site, format!("`{text}` is not an address: {reason}"))
                .help(
                    "an address is `key`, `environment/key` or `environment/account/key`; `*` stands \
                    for any characters",
                );
            None
        }
    }
}

/// The items of a list of texts, whatever they say.
pub(crate) fn words(items: &[Node], what: &str, problems: &mut Problems) -> Vec<String> {
    items.iter().filter_map(|item| text(item, what, problems)).map(|text| text.value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_unit() {
        for (text, seconds) in
            [("45s", 45), ("90m", 5400), ("24h", 86400), ("30d", 2_592_000), ("2w", 1_209_600)]
        {
            assert_eq!(parse_length(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "1", "1y", "-1d", "1.5h", "1h30m", "1234567d", "1 d", "1ü"] {
            assert_eq!(parse_length(text), None, "{text}");
        }
    }
}
