//! The pages about incidents: every command in them is one that a scenario runs, just as it stands there.

use std::path::Path;

/// Each page, and the scenario that goes through it.
const PAGES: [(&str, &str); 4] = [
    ("leaked-key", "a_leaked_key_is_replaced_and_revoked_as_the_docs_say"),
    ("leaked-managing-key", "a_leaked_managing_key_is_replaced_as_the_docs_say"),
    ("lost-state", "a_lost_state_is_had_back_as_the_docs_say"),
    ("wiped-sink", "a_wiped_sink_is_filled_again_as_the_docs_say"),
];

#[test]
fn every_command_of_the_pages_about_incidents_is_run_by_a_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (page, scenario) in PAGES {
        let text = std::fs::read_to_string(root.join(format!("docs/recovery/{page}.md"))).unwrap();
        let told = root.join(format!("tests/scenarios/incidents/{scenario}/expected.txt"));
        let told = std::fs::read_to_string(told).unwrap();
        let run: Vec<String> = told
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .map(|line| {
                // An id is whatever the account has.
                line.split(' ')
                    .map(|word| if word.starts_with("KEY-") { "ID" } else { word })
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let commands: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("gridkey "))
            .map(|line| line.replace('"', ""))
            .collect();
        assert!(!commands.is_empty(), "{page} has no command");
        for command in commands {
            assert!(run.contains(&command), "{page}: `{command}` is not run by {scenario}: {run:#?}");
        }
    }
    let listed = std::fs::read_dir(root.join("docs/recovery")).unwrap().count();
    assert_eq!(listed, PAGES.len(), "a page without a scenario");
}
