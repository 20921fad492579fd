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
            div.gauges { @for (name, capacity) in &known { (gauge(name, capacity)) } }
            p.legend {
                span.swatch.ours {} " gridkey's "
                span.swatch.foreign {} " foreign "
                span.swatch.added {} " added "
                span.swatch.freed {} " freed "
                span.swatch.peak {} " peak on the way "
                @if known.iter().any(|(_, capacity)| capacity.max_keys.is_some()) {
                    span.swatch.most {} " the most that this project may have"
                }
            }
        }
    }
}

fn gauge(name: &Name, capacity: &Capacity) -> Markup {
    let Capacity { limit, max_keys, live, foreign, ours, after, peak } = *capacity;
    // An account may hold more than its limit says, by hand.
    let scale = limit.max(live).max(after).max(peak).max(1);
    let at = |keys: u32| (u64::from(keys) * u64::from(WIDTH) / u64::from(scale)).min(u64::from(WIDTH));
    let length = |from: u32, to: u32| at(to).saturating_sub(at(from));
    let kept = live.min(after);
    // Foreign ones, and those that gridkey works with.
    let others = live.saturating_sub(ours);
    let is_tight = u64::from(peak) * 10 >= u64::from(limit) * 9;
    let (state, word) = match (live.max(after).max(peak) > limit, is_tight) {
        (true, _) => ("over", Some("over the limit")),
        (false, true) => ("tight", Some("nearly full")),
        (false, false) => ("roomy", None),
    };
    // A mark is as wide as three units, and stays inside of the drawing.
    let mark = |keys: u32| at(keys).saturating_sub(3);
    let words = format!("{live} → {after} of {limit} keys, peak {peak}, {foreign} foreign");
    html! {
        figure.gauge.(state) {
            figcaption {
                strong { (name) }
                span.numbers {
                    (live) " → " (after) " of " (limit)
                    @if let Some(word) = word { " · " (word) }
                }
            }
            svg viewBox={ "0 0 " (WIDTH) " 36" } preserveAspectRatio="none" role="img" aria-label=(words) {
                rect.track x="0" y="6" width=(WIDTH) height="24" rx="4" {}
                rect.ours x="0" y="6" width=(at(kept)) height="24" {}
                rect.foreign x="0" y="6" width=(at(others.min(kept))) height="24" {}
                @if after > live { rect.added x=(at(live)) y="6" width=(length(live, after)) height="24" {} }
                @if live > after { rect.freed x=(at(after)) y="6" width=(length(after, live)) height="24" {} }
                @if peak > 0 { rect.peak x=(mark(peak)) y="0" width="3" height="36" {} }
                @if scale > limit { rect.limit x=(mark(limit)) y="0" width="3" height="36" {} }
                // It counts this project's keys, which stand after all others.
                @if let Some(most) = max_keys {
                    rect.most x=(mark(others.saturating_add(most))) y="0" width="3" height="36" {}
                }
            }
            p.faint {
                "peak " (peak) ", " (foreign) " foreign"
                @if let Some(max) = max_keys { ", at most " (max) " of this project" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(capacity: &Capacity) -> String {
        gauge(&Name::new("acme").unwrap(), capacity).into_string()
    }

    #[test]
    fn the_most_that_a_project_may_have_is_marked_after_the_foreign_keys() {
        let capacity =
            Capacity { limit: 100, max_keys: Some(40), live: 20, foreign: 10, ours: 10, after: 30, peak: 30 };
        assert!(drawn(&capacity).contains("class=\"most\" x=\"497\""), "{}", drawn(&capacity));
        let none = Capacity { max_keys: None, ..capacity };
        assert!(!drawn(&none).contains("most"));
    }

    #[test]
    fn words_say_what_colours_say() {
        let capacity =
            Capacity { limit: 100, max_keys: None, live: 20, foreign: 0, ours: 20, after: 20, peak: 20 };
        assert!(!drawn(&capacity).contains(" · "));
        assert!(drawn(&Capacity { peak: 90, ..capacity }).contains(" · nearly full"));
        let over = drawn(&Capacity { peak: 101, ..capacity });
        assert!(over.contains(" · over the limit") && over.contains("class=\"limit\""));
    }

    #[test]
    fn any_numbers_can_be_drawn() {
        let most = u32::MAX;
        for limit in [0, 1, most] {
            drawn(&Capacity {
                limit,
                max_keys: Some(most),
                live: most,
                foreign: most,
                ours: 0,
                after: 0,
                peak: most,
            });
        }
    }
}
