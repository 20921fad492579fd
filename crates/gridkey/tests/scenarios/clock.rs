//! Lets time pass: what state says of times is moved into the past.

use jiff::Timestamp;

use crate::support::Place;

/// Moves the end of every overlap that state has begun to count into the past.
pub fn overlaps_pass(place: &Place) {
    let mut moved = 0;
    let just_now = Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(1)).unwrap().to_string();
    for entry in std::fs::read_dir(place.path(".gridkey/state/default")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut state: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (_, key) in state["keys"].as_object_mut().unwrap() {
            for list in ["retiring", "retiring_locations"] {
                for retiring in key[list].as_array_mut().unwrap() {
                    retiring["after"] = just_now.clone().into();
                    moved += 1;
                }
            }
        }
        std::fs::write(&path, state.to_string()).unwrap();
    }
    assert!(moved > 0, "no overlap had begun");
}

/// Moves every time that state knows so many days into the past, and half an hour more, so that no claim hangs on which of two
/// clocks is a second ahead.
pub fn days_pass(place: &Place, days: i64) {
    for entry in std::fs::read_dir(place.path(".gridkey/state/default")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let mut state = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            earlier(&mut state, days);
            std::fs::write(&path, state.to_string()).unwrap();
        }
    }
}

/// Every time in a document, so many days earlier.
fn earlier(value: &mut serde_json::Value, days: i64) {
    match value {
        serde_json::Value::String(text) => {
            if let Ok(at) = text.parse::<Timestamp>() {
                let earlier = at.checked_sub(jiff::SignedDuration::from_mins(days * 24 * 60 + 30)).unwrap();
                *text = earlier.to_string();
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| earlier(item, days)),
        serde_json::Value::Object(entries) => entries.values_mut().for_each(|value| earlier(value, days)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}
