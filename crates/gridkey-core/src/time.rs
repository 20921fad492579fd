//! Times and lengths of time, where what is too long ends at the end of time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A time and a while later; the end of time where that is later still.
pub(crate) fn later(at: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A while before a time; the beginning of time where that is earlier still.
pub(crate) fn earlier(at: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    at.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// Whole days in words; some seconds less than one are one.
pub(crate) fn days(span: SignedDuration) -> String {
    match (span.as_mins() + 30) / (24 * 60) {
        1 => "1 day".to_string(),
        days => format!("{days} days"),
    }
}

/// A length of time as a manifest writes it.
pub(crate) fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or(format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
