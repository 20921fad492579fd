//! Every plan of a scenario in every form: each is whole, and names every change and why.

use std::collections::BTreeSet;

use gridkey_core::plan::Reason;

use crate::support::{Place, said};

/// What the plans of scenarios had: actions and reasons, as JSON names them.
pub type Had = BTreeSet<String>;

/// Plans again with the same arguments, saves the plan, and shows it in every form.
pub fn check(name: &str, place: &Place, arguments: &[&str], with_key: bool, had: &mut Had) {
    let mut planned = arguments.to_vec();
    planned.extend(["--out", "every-form.json"]);
    let mut command = place.command(&planned);
    if !with_key {
        command.env_remove("SENDGRID_API_KEY");
    }
    said(command);
    let text = place.read("every-form.json");
    assert!(!text.is_empty(), "{name}: the plan was not saved");
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    std::fs::remove_file(place.path("every-form.json")).unwrap();
    place.write(".gridkey/forms.json", &text);
    let show = |form: &str| {
        let shown = place.run(&["show", ".gridkey/forms.json", "--format", form]);
        assert_eq!(shown.code, 0, "{name}, {form}: {}", shown.err);
        place.no_secrets(&format!("{name} as {form}"), &shown.all());
        shown.out
    };
    let json: serde_json::Value = serde_json::from_str(&show("json")).unwrap();
    assert_eq!(json, plan, "{name}: JSON is the document itself");
    let sarif: serde_json::Value = serde_json::from_str(&show("sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap().len();
    assert_eq!(results, plan["findings"].as_array().unwrap().len(), "{name}: SARIF has every finding");
    let (text, markdown, html) = (show("text"), show("markdown"), show("html"));
    for change in plan["changes"].as_array().unwrap() {
        let action = change["action"].as_str().unwrap();
        if action == "keep" {
            continue;
        }
        had.insert(format!("action {action}"));
        let address = change["address"].as_str().unwrap();
        for (form, shown) in [("text", &text), ("markdown", &markdown), ("html", &html)] {
            assert!(shown.contains(address), "{name}: {form} does not name {address}:\n{shown}");
            assert!(shown.contains(action), "{name}: {form} does not say {action} of {address}:\n{shown}");
        }
        for reason in change["reasons"].as_array().unwrap() {
            had.insert(format!("reason {}", reason.as_str().unwrap()));
        }
    }
    std::fs::remove_file(place.path(".gridkey/forms.json")).unwrap();
}

/// What only a command that a person gives has a reason for: `plan` does not know of it.
const ASKED_FOR: [Reason; 3] = [Reason::FoundInSink, Reason::HoldRequested, Reason::RetirementRequested];

/// Remembers the reasons that a run itself showed, where no plan can.
pub fn remember_asked_for(out: &str, had: &mut Had) {
    for reason in ASKED_FOR.into_iter().filter(|reason| out.contains(reason.as_words())) {
        let name = serde_json::to_value(reason).expect("a word");
        had.insert(format!("reason {}", name.as_str().expect("a word")));
    }
}

/// Every action and reason that the schema of plans knows.
pub fn all() -> Had {
    let schema = gridkey_core::plan::plan_schema();
    let mut all = Had::new();
    for (kind, definition) in [("action", "Action"), ("reason", "Reason")] {
        let variants = schema["$defs"][definition]["oneOf"].as_array().expect("it is a list of words");
        for variant in variants {
            let words = variant["enum"].as_array().into_iter().flatten().chain(variant.get("const"));
            all.extend(words.map(|word| format!("{kind} {}", word.as_str().expect("a word"))));
        }
    }
    assert!(all.len() > 40, "{all:?}");
    all
}
