//! How full each account is, and would be.

use gridkey_core::Name;
use gridkey_core::plan::{Capacity, Plan};
use maud::{Markup, html};

/// The length of a gauge, in units of its drawing.
const WIDTH: u32 = 1_000;

pub(super) fn section(plan: &Plan) -> Markup {
    let known: Vec<_> =
        plan.accounts.iter().filter_map(|(name, planned)| Some((name, planned.capacity.as_ref()?))).collect();
    if known.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="capacity" {
            h2 #capacity { "Capacity" }
            div.gauges { @for (name, capacity) in known { (gauge(name, capacity)) } }
            p.legend {
                span.swatch.ours {} " gridkey's "
                span.swatch.foreign {} " foreign "
                span.swatch.added {} " added "
                span.swatch.freed {} " freed "
                span.swatch.peak {} " peak on the way"
            }
        }
    }
}

fn gauge(name: &Name, capacity: &Capacity) -> Markup {
    let Capacity { limit, max_keys, live, foreign, ours: _, after, peak } = *capacity;
    // An account may hold more than its limit says, by hand.
    let scale = limit.max(live).max(after).max(peak).max(1);
    let at = |keys: u32| (u64::from(keys) * u64::from(WIDTH) / u64::from(scale)).min(u64::from(WIDTH));
    let length = |from: u32, to: u32| at(to).saturating_sub(at(from));
    let kept = live.min(after);
    let state = match (peak > limit, peak * 10 >= limit * 9) {
        (true, _) => "over",
        (false, true) => "tight",
        (false, false) => "roomy",
    };
    let words = format!("{live} → {after} of {limit} keys, peak {peak}, {foreign} foreign");
    html! {
        figure.gauge.(state) {
            figcaption {
                strong { (name) }
                span.numbers { (live) " → " (after) " of " (limit) }
            }
            svg viewBox={ "0 0 " (WIDTH) " 36" } preserveAspectRatio="none" role="img" aria-label=(words) {
                rect.track x="0" y="6" width=(WIDTH) height="24" rx="4" {}
                rect.ours x="0" y="6" width=(at(kept)) height="24" {}
                rect.foreign x="0" y="6" width=(at(foreign.min(kept))) height="24" {}
                @if after > live { rect.added x=(at(live)) y="6" width=(length(live, after)) height="24" {} }
                @if live > after { rect.freed x=(at(after)) y="6" width=(length(after, live)) height="24" {} }
                @if peak > 0 { rect.peak x=(at(peak).saturating_sub(3)) y="0" width="3" height="36" {} }
            }
            p.faint {
                "peak " (peak) ", " (foreign) " foreign"
                @if let Some(max) = max_keys { ", at most " (max) " of this project" }
            }
        }
    }
}
