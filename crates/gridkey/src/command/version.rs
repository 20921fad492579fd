//! `version`: which gridkey this is, and what it can reach.

use gridkey_core::SinkKind;

use crate::exit::Exit;
use crate::print;

pub fn run() -> Exit {
    let missing = gridkey_sinks::missing_kinds();
    let (without, with): (Vec<SinkKind>, Vec<SinkKind>) =
        SinkKind::ALL.into_iter().partition(|kind| missing.contains(kind));
    let listed = |kinds: &[SinkKind]| kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = format!("gridkey {}\nsinks: {}\n", env!("CARGO_PKG_VERSION"), listed(&with));
    if !without.is_empty() {
        text.push_str(&format!("sinks that this build cannot deliver to: {}\n", listed(&without)));
    }
    print::out(&text);
    Exit::Done
}
