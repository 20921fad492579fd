//! Views of plan documents: the same bytes for the same plan, small enough for where they go, and true to
//! the document.

use std::collections::BTreeSet;
use std::path::Path;

use gridkey::view::markdown::{LIMIT, markdown};
use gridkey::view::sarif::sarif;
use gridkey_core::Name;
use gridkey_core::plan::{Finding, Note, Plan, Severity};
use gridkey_tests::plans::{large, sample};
use serde_json::Value;

fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/plan.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn plan_documents_follow_their_schema() {
    let schema = schema();
    for plan in [sample(), large(1_000)] {
        let document: Value = serde_json::from_str(&plan.to_json()).unwrap();
        let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_plan_document() {
    let schema = schema();
    let document: Value = serde_json::from_str(&sample().to_json()).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut document = document.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document
    };
    assert!(schema.is_valid(&document));
    for (pointer, value) in [
        ("/kind", "guess".into()),
        ("/changes/0/action", "destroy".into()),
        ("/changes/0/reasons/0", "because".into()),
        ("/computed_from/due", "maybe".into()),
        ("/accounts/acme/capacity/limit", "100".into()),
        ("/changes", Value::Null),
    ] {
        assert!(!schema.is_valid(&changed(pointer, value)), "{pointer}");
    }
    let mut more = document.clone();
    more["secret"] = "SG".into();
    assert!(!schema.is_valid(&more), "an unknown field");
}

#[test]
fn a_comment_shows_what_matters_first() {
    insta::assert_snapshot!("sample", markdown(&sample(), "pr-12/prod"));
}

#[test]
fn a_comment_of_a_thousand_changes_is_cut_at_a_row_and_says_so() {
    let plan = large(1_000);
    let text = markdown(&plan, "plan");
    assert!(text.len() <= LIMIT, "{} bytes", text.len());
    assert!(text.starts_with("<!-- gridkey:plan -->\n"), "the marker is what it is found by");
    assert!(
        text.contains("334 to create, 333 to update, 333 to delete"),
        "the numbers are those of the whole plan"
    );
    let rows = text.lines().filter(|line| line.contains("/service-") && line.starts_with("| `")).count();
    let said = text.lines().last().unwrap();
    assert!(
        said.contains(&format!("{} changes", 1_000 - rows)),
        "{rows} rows are shown, and it says: {said}"
    );
    assert!(rows > 300, "only {rows} rows are shown");
    // No table or fold is left open by the cut.
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    let broken = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with(" |"));
    assert_eq!(broken.count(), 0);
}

#[test]
fn a_comment_stays_small_whatever_it_has_to_say() {
    let mut plan = sample();
    let long = "x`<!-- @everybody ".repeat(2_000);
    let finding = Finding { message: long.clone(), severity: Severity::Blocks, ..plan.findings[0].clone() };
    plan.findings = (0..500).map(|_| finding.clone()).collect();
    for change in &mut plan.changes {
        let values = [&mut change.before, &mut change.after];
        values.into_iter().flatten().for_each(|values| values.name = long.clone());
    }
    let text = markdown(&plan, "plan");
    assert!(text.len() <= LIMIT, "{} bytes", text.len());
    assert!(text.contains("left out here"));
}

#[test]
fn nobody_is_mentioned_by_text_from_elsewhere() {
    let mut plan = sample();
    plan.findings[0].message =
        "the live key `x` @acme/everybody <img src=\"https://evil.example\"> is there".into();
    for change in &mut plan.changes {
        let values = [&mut change.before, &mut change.after];
        values.into_iter().flatten().for_each(|values| values.owner = Some("@acme/everybody|".into()));
    }
    let text = markdown(&plan, "plan");
    assert!(!text.contains("<img"), "{text}");
    for line in text.lines().filter(|line| line.contains("@acme")) {
        let free = line.split('`').step_by(2).any(|prose| prose.contains("@acme"));
        let in_block = line.starts_with("+ owner") || line.starts_with('~');
        assert!(!free || in_block, "{line}");
    }
}

#[test]
fn the_same_plan_is_the_same_bytes_in_every_form() {
    for plan in [sample(), large(300)] {
        let again: Plan = Plan::from_json(plan.to_json().as_bytes()).unwrap();
        assert_eq!(plan.to_json(), again.to_json());
        assert_eq!(markdown(&plan, "plan"), markdown(&again, "plan"));
        assert_eq!(sarif(&plan), sarif(&again));
    }
}

#[test]
fn every_finding_has_a_place_in_sarif() {
    let mut plan = sample();
    plan.findings.push(Finding { position: None, address: None, ..plan.findings[0].clone() });
    let document: Value = serde_json::from_str(&sarif(&plan)).unwrap();
    let results = document["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), plan.findings.len());
    let rules = document["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            place["artifactLocation"]["uri"].is_string() && place["region"]["startLine"].is_u64(),
            "{result}"
        );
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], result["ruleId"]);
    }
}

#[test]
fn risks_are_what_the_sample_was_made_for() {
    let plan = sample();
    let risky: BTreeSet<String> = plan
        .changes
        .iter()
        .filter(|change| !change.risks().is_empty())
        .map(|c| c.address.to_string())
        .collect();
    let expected = ["prod/admin", "prod/breakglass", "staging/legacy", "staging/mailer"];
    assert_eq!(risky, expected.map(String::from).into());
    let accounts: BTreeSet<&Name> = plan.changes.iter().map(|change| &change.account).collect();
    assert_eq!(accounts.len(), 2);
    assert!(plan.changes.iter().any(|c| c.notes.iter().any(|note| matches!(note, Note::Overwrites { .. }))));
}
