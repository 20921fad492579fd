//! Values of arguments that have a shape of their own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gridkey_core::{Address, AddressError, AddressPattern, KeyId, SinkKind};
use gridkey_emulator::RateLimit;
use gridkey_sendgrid::BaseUrl;
use gridkey_sinks::FileKind;

/// `PATH`, or `dotenv:PATH`, `json:PATH` or `yaml:PATH` for files whose names do not say what they are.
pub(super) fn look_in(text: &str) -> Result<(Option<FileKind>, PathBuf), String> {
    let (kind, path) = match text.split_once(':') {
        Some(("dotenv", path)) => (Some(FileKind::Dotenv), path),
        Some(("json", path)) => (Some(FileKind::Json), path),
        Some(("yaml", path)) => (Some(FileKind::Yaml), path),
        Some((kind, _)) if SinkKind::ALL.iter().any(|known| known.as_str() == kind) => {
            return Err(format!("sinks of the kind `{kind}` cannot be looked through; files can"));
        }
        Some(_) | None => (None, text),
    };
    match path.is_empty() {
        true => Err("it is a PATH, or `dotenv:PATH`, `json:PATH` or `yaml:PATH`".to_string()),
        false => Ok((kind, PathBuf::from(path))),
    }
}

/// An address, or a pattern with `*`.
pub(super) fn key_pattern(text: &str) -> Result<AddressPattern, String> {
    match text.contains('*') {
        true => text.parse().map_err(|error| format!("`{text}` matches no address: {error}")),
        false => address(text).map(AddressPattern::from),
    }
}

/// An address. A key or its ID is what people have at hand, so it is said how to get from there to the address.
pub(super) fn address(text: &str) -> Result<Address, String> {
    Address::from_str(text).map_err(|error| {
        let is_id = text.len() == KeyId::LENGTH && KeyId::parse(text).is_ok();
        match &error {
            _ if text.starts_with("SG.") => "this is a key, and an address belongs here: `gridkey whois` takes the key on \
                 standard input and tells the address. The key is in the shell's history now: consider it leaked"
                .to_string(),
            _ if is_id => format!(
                "this is the ID of a key, and an address belongs here: `gridkey whois {text}` tells the address"
            ),
            AddressError::Name { segment, source, .. } if !segment.contains('*') => format!("{error}: {source}"),
            AddressError::Name { .. } | AddressError::Segments(_) => error.to_string(),
        }
    })
}

/// A word that can stand in a hidden comment of Markdown without ending it.
pub(super) fn comment_id(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if text.is_empty() || text.len() > 100 || !text.chars().all(good) || text.contains("--") {
        return Err("use up to 100 letters, digits, `.`, `_`, `/` and single `-`".to_string());
    }
    Ok(text.to_string())
}

pub(super) fn base_url(text: &str) -> Result<BaseUrl, String> {
    BaseUrl::new(text).map_err(|error| error.to_string())
}

/// `500ms`, `30s`, `5m`, `24h` or `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as `500ms`, `30s`, `5m`, `24h` or `30d`");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let number = u64::from_str(number).map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

pub(super) fn rate_limit(text: &str) -> Result<RateLimit, String> {
    let wrong = || format!("`{text}` is not a rate such as `1/3s`");
    let (requests, per) = text.split_once('/').ok_or_else(wrong)?;
    let requests = requests.parse().map_err(|_| wrong())?;
    let seconds =
        u32::try_from(duration(per)?.as_secs()).ok().filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
    Ok(RateLimit { requests, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_look_in_is_a_path_with_or_without_a_kind() {
        assert_eq!(look_in("deploy"), Ok((None, PathBuf::from("deploy"))));
        assert_eq!(look_in("json:a/b:c"), Ok((Some(FileKind::Json), PathBuf::from("a/b:c"))));
        assert_eq!(look_in("odd:name"), Ok((None, PathBuf::from("odd:name"))));
        for bad in ["", "yaml:", "vault:secret/mail"] {
            assert!(look_in(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_or_its_id_where_an_address_belongs_is_told_how_to_get_there() {
        let id = format!("A{}", "b".repeat(21));
        let said = |text: &str| key_pattern(text).expect_err("it is not an address");
        assert!(said(&id).contains(&format!("`gridkey whois {id}`")), "{}", said(&id));
        let key = said(&format!("SG.{id}.{}", "c".repeat(43)));
        assert!(key.contains("consider it leaked") && !key.contains(&id), "{key}");
        assert!(said("Prod/mailer").contains("not `P`"), "{}", said("Prod/mailer"));
        assert!(address("prod/*").expect_err("a pattern").contains("name each address"));
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        for bad in ["", "5", "s", "1w2", "-1s", "99999999999999999999d", "1.5h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
