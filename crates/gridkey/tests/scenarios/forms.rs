//! Every plan of a scenario in every form: each is whole, and names every change and why.

use crate::support::{Place, said};

/// Whether a command plans, and shows the plan as text.
pub fn is_plan_in_text(arguments: &[&str]) -> bool {
    let other = |argument: &&str| matches!(*argument, "--format" | "--against" | "--out");
    arguments.first() == Some(&"plan") && !arguments.iter().any(other)
}

/// Plans again with the same arguments, saves the plan, and shows it in every form.
pub fn check(name: &str, place: &Place, arguments: &[&str], with_key: bool) {
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
        let address = change["address"].as_str().unwrap();
        for (form, shown) in [("text", &text), ("markdown", &markdown), ("html", &html)] {
            assert!(shown.contains(address), "{name}: {form} does not name {address}:\n{shown}");
            assert!(shown.contains(action), "{name}: {form} does not say {action} of {address}:\n{shown}");
        }
    }
    std::fs::remove_file(place.path(".gridkey/forms.json")).unwrap();
}
