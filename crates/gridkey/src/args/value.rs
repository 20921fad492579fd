//! Values of arguments that have a shape of their own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gridkey_core::{Address, AddressPattern, SinkKind};
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
        false => Address::from_str(text).map(AddressPattern::from).map_err(|error| error.to_string()),
    }
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
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        for bad in ["", "5", "s", "1w2", "-1s", "99999999999999999999d", "1.5h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
