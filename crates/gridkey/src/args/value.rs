//! Values of arguments that have a shape of their own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gridkey_core::{Address, AddressPattern};
use gridkey_emulator::RateLimit;
use gridkey_sendgrid::BaseUrl;
use gridkey_sinks::FileKind;

/// `dotenv:PREFIX`, `json:PREFIX` or `yaml:PREFIX`.
pub(super) fn look_in(text: &str) -> Result<(FileKind, PathBuf), String> {
    let wrong = || format!("`{text}` is not `dotenv:PATH`, `json:PATH` or `yaml:PATH`");
    let (kind, path) = text.split_once(':').ok_or_else(wrong)?;
    let kind = match kind {
        "dotenv" => FileKind::Dotenv,
        "json" => FileKind::Json,
        "yaml" => FileKind::Yaml,
        _ => return Err(format!("{}; other sinks cannot be looked through", wrong())),
    };
    if path.is_empty() { Err(wrong()) } else { Ok((kind, PathBuf::from(path))) }
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
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        for bad in ["", "5", "s", "1w2", "-1s", "99999999999999999999d", "1.5h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
