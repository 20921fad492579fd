//! Several processes at once that deliver into the same files.

use gridkey_emulator::Settings;

use crate::support::Place;

const ROUNDS: usize = 20;
const SIDES: [&str; 4] = ["east", "north", "south", "west"];
const FORMATS: [&str; 3] = ["dotenv", "json", "yaml"];

/// One environment and one subuser for each process, and one file of each kind for all of them.
fn manifest(keys: usize) -> String {
    let accounts: String =
        SIDES.iter().map(|side| format!("  {side}: {{ parent: acme, subuser: {side} }}\n")).collect();
    let environments: String =
        SIDES.iter().map(|side| format!("  {side}: {{ account: {side} }}\n")).collect();
    let keys: String =
        (1..=keys).map(|number| format!("  key-{number}: {{ scopes: [mail.send] }}\n")).collect();
    format!(
        "version: 1\naccounts:\n  acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }}\n{accounts}environments:\n{environments}\
         sinks:\n  dotenv: {{ dotenv: {{ path: .env, variable: \"{{ENVIRONMENT}}_{{KEY}}\" }} }}\n\
         \x20 json: {{ json: {{ path: config.json, pointer: \"/{{environment}}/{{key}}\" }} }}\n\
         \x20 yaml: {{ yaml: {{ path: config.yaml, pointer: \"/{{environment}}/{{key}}\" }} }}\n\
         defaults: {{ sinks: [{}] }}\nkeys:\n{keys}",
        FORMATS.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_over_the_same_files_lose_nothing() {
    let place = Place::new(Settings::default()).await;
    for side in SIDES {
        place.server.model().child("acme", side);
    }
    for round in 1..=ROUNDS {
        place.write("gridkey.yaml", &manifest(round));
        let runs: Vec<_> = SIDES.iter().map(|side| place.spawn(&["apply", "--yes", "--env", side])).collect();
        for (run, side) in runs.into_iter().zip(SIDES) {
            let ended = run.wait_with_output().unwrap();
            assert!(ended.status.success(), "round {round}: {side} ended with {}", ended.status);
        }
    }
    for side in SIDES {
        for number in 1..=ROUNDS {
            let variable = format!("{}_KEY_{number}", side.to_uppercase());
            place.works(side, &format!("{side}/key-{number}"), ".env", &variable);
            let id = place.id(side, &format!("{side}/key-{number}"));
            for file in ["config.json", "config.yaml"] {
                assert!(place.read(file).contains(&format!("SG.{id}.")), "{file} lacks the key {id}");
            }
        }
    }
    place.converged();
    let left = std::fs::read_dir(place.folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}
