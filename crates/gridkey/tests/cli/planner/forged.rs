//! Forged plan files: whatever stands in one, no more happens than `apply` would do without it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use gridkey_emulator::{Model, Settings, Snapshot};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::forgeries::{ACTIONS, change_at, forged_changes, forged_rest, with};
use super::staged;
use crate::support::{Place, Said, ScopesHeld};

const FILE: &str = "plan.json";

/// A place that can be made again what it was.
struct World {
    place: Place,
    live: Snapshot,
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The plan as it was made.
    plan: Value,
    before: Seen,
    /// What `apply` without the file comes to.
    plain: Seen,
}

/// What there is to be compared, with ids of the keys that were there before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// What state says of each address, without times and ids of later keys.
    owned: BTreeMap<String, Value>,
    /// Every key that was there before: its name and scopes, if it still lives.
    older: BTreeMap<String, Option<(String, ScopesHeld)>>,
    /// Name and scopes of every later key.
    newer: Vec<(String, ScopesHeld)>,
}

impl World {
    /// The place as it is, with a plan of it.
    fn new(place: Place) -> Self {
        place.run(&["plan", "--out", FILE]).ends(0);
        let plan: Value = serde_json::from_str(&place.read(FILE)).unwrap();
        let live = place.server.model().snapshot().clone();
        let mut files = BTreeMap::new();
        read_all(place.folder.path(), &mut files);
        let ids: BTreeSet<String> = place.live("acme").into_keys().collect();
        let before = seen(&place, &ids);
        place.run(&["apply", "--yes"]).ends(0);
        let plain = seen(&place, &ids);
        let world = Self { place, live, files, plan, before, plain };
        world.reset();
        world
    }

    /// Makes everything again what it was when the plan was made.
    fn reset(&self) {
        let settings = Settings { remember_secrets: true, ..Settings::default() };
        *self.place.server.model() = Model::with_data(settings, 99, self.live.clone());
        let mut now = BTreeMap::new();
        read_all(self.place.folder.path(), &mut now);
        for path in now.keys().filter(|path| !self.files.contains_key(*path)) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &self.files {
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Applies a file, and says what happened that neither was so before nor follows from the manifest.
    fn try_file(&self, what: &str, plan: &Value, arguments: &[&str]) -> (Said, Option<String>) {
        self.reset();
        self.place.write(FILE, &plan.to_string());
        let said = self.place.run(&[&["apply", FILE, "--yes"], arguments].concat());
        let ids: BTreeSet<String> = self.before.older.keys().cloned().collect();
        let after = seen(&self.place, &ids);
        let wrong = self.beyond(&after);
        let wrong = wrong.map(|wrong| format!("{what} {arguments:?}: {wrong}\n{}", said.all()));
        (said, wrong)
    }

    /// What is neither as it was before, nor as it is after `apply` without a file.
    fn beyond(&self, after: &Seen) -> Option<String> {
        let (before, plain) = (&self.before, &self.plain);
        for (address, owned) in &after.owned {
            if Some(owned) != before.owned.get(address) && Some(owned) != plain.owned.get(address) {
                return Some(format!("state says of {address}: {owned:#}"));
            }
        }
        let lost = before
            .owned
            .keys()
            .find(|address| !after.owned.contains_key(*address) && plain.owned.contains_key(*address));
        if let Some(address) = lost {
            return Some(format!("state lets go of {address}"));
        }
        for (id, key) in &after.older {
            if Some(key) != before.older.get(id) && Some(key) != plain.older.get(id) {
                return Some(format!("key {id} is {key:?}"));
            }
        }
        let mut allowed = plain.newer.clone();
        for key in &after.newer {
            match allowed.iter().position(|plain| plain == key) {
                Some(at) => drop(allowed.remove(at)),
                None => return Some(format!("a key is made: {key:?}")),
            }
        }
        None
    }

    /// Goes through forgeries of the plan, one at a time.
    #[track_caller]
    fn withstands(&self, forgeries: Vec<(String, Value)>, arguments: &[&[&str]]) {
        assert!(!forgeries.is_empty());
        let (mut codes, mut wrong) = (BTreeMap::<i32, usize>::new(), Vec::new());
        for (what, plan) in &forgeries {
            for arguments in arguments {
                let (said, beyond) = self.try_file(what, plan, arguments);
                *codes.entry(said.code).or_default() += 1;
                wrong.extend(beyond);
            }
        }
        println!("{} forgeries, by exit code: {codes:?}", forgeries.len());
        let unreadable = codes.get(&1).copied().unwrap_or_default();
        assert!(2 * unreadable < codes.values().sum(), "most are refused unread, which shows nothing");
        assert!(
            wrong.is_empty(),
            "{} do more than the manifest asks for:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

fn read_all(folder: &std::path::Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, files);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
}

fn seen(place: &Place, ids: &BTreeSet<String>) -> Seen {
    let live = place.live("acme");
    let state = place.world().state.get("acme").cloned().unwrap_or_default();
    let mut owned = BTreeMap::new();
    for (address, key) in state["keys"].as_object().into_iter().flatten() {
        let mut key = key.clone();
        without_times(&mut key, ids);
        owned.insert(address.clone(), key);
    }
    let of = |id: &String| live.get(id).map(|key| (key.name.clone(), key.scopes.clone()));
    let newer = live.iter().filter(|(id, _)| !ids.contains(*id));
    Seen {
        owned,
        older: ids.iter().map(|id| (id.clone(), of(id))).collect(),
        newer: newer.map(|(_, key)| (key.name.clone(), key.scopes.clone())).collect(),
    }
}

/// Times, who did it, and the ids of later keys differ from run to run.
fn without_times(value: &mut Value, ids: &BTreeSet<String>) {
    match value {
        Value::String(text) if text.parse::<Timestamp>().is_ok() => *text = "TIME".to_string(),
        Value::String(text) if text.len() == 22 && !text.contains([' ', '/', '.']) && !ids.contains(text) => {
            *text = "LATER".to_string();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_times(item, ids)),
        Value::Object(entries) => entries.values_mut().for_each(|value| without_times(value, ids)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

const KEYS: &str = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read], protect: true }\n";
const PREVIEWS: &str = "  prod: {}\n  \"pr-*\": { ttl: 14d }\n";

/// Two keys, one with an older key in its overlap, and `pr-1`, which is past its ttl; nothing is to be done.
async fn nothing_to_do() -> World {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &staged(PREVIEWS, KEYS));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 15);
    place.run(&["rotate", "prod/mailer", "--yes"]).ends(0);
    place.server.model().add_key("acme", "foreign", Some(&["mail.send"]), Timestamp::now());
    place.converged();
    World::new(place)
}

/// One key is edited, one is new, and one is to go.
async fn something_to_do() -> World {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &staged(PREVIEWS, &format!("{KEYS}  gone: {{ scopes: [mail.send] }}\n")));
    place.run(&["apply", "--yes"]).ends(0);
    let edited = KEYS.replace("[mail.send]", "[mail.send, templates.read]");
    place.write("gridkey.yaml", &staged(PREVIEWS, &format!("{edited}  extra: {{ scopes: [mail.send] }}\n")));
    World::new(place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_field_of_a_change_does_anything_where_nothing_is_to_be_done() {
    let world = nothing_to_do().await;
    assert_eq!(world.before, world.plain);
    let older = world.place.owned("acme", "prod/mailer")["retiring"][0]["id"].clone();
    assert!(older.is_string());
    for address in ["prod/mailer", "prod/reports"] {
        world.withstands(forged_changes(&world.plan, address, &older), &[&[]]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_field_besides_the_changes_does_anything_where_nothing_is_to_be_done() {
    let world = nothing_to_do().await;
    world.withstands(forged_rest(&world.plan), &[&[], &["--approved-only"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_field_of_a_change_does_more_than_the_manifest_asks_for() {
    let world = something_to_do().await;
    let (said, wrong) = world.try_file("as it was made", &world.plan, &[]);
    assert_eq!((said.ends(0).code, wrong), (0, None));
    let older = world.plan["changes"][change_at(&world.plan, "prod/gone")]["before"]["id"].clone();
    for address in ["prod/mailer", "prod/extra", "prod/gone"] {
        world.withstands(forged_changes(&world.plan, address, &older), &[&["--approved-only"]]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_field_besides_the_changes_does_more_than_the_manifest_asks_for() {
    let world = something_to_do().await;
    world.withstands(forged_rest(&world.plan), &[&[], &["--approved-only"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_asks_for_a_rotation_makes_none_happen() {
    let world = nothing_to_do().await;
    let place = &world.place;
    place.run(&["plan", "--rotate", "prod/reports", "--out", "rotation.json"]).ends(0);
    let genuine: Value = serde_json::from_str(&place.read("rotation.json")).unwrap();
    // The genuine file, and one whose reason alone is forged, with what a rotation is made of.
    let at = change_at(&genuine, "prod/reports");
    let due = with(&genuine, &format!("/changes/{at}/reasons"), json!(["rotation_due"]));
    let both =
        with(&genuine, &format!("/changes/{at}/reasons"), json!(["scopes_edited", "rotation_requested"]));
    for (what, plan) in [("genuine", &genuine), ("due", &due), ("both", &both)] {
        for arguments in [&[][..], &["--approved-only"]] {
            let (said, wrong) = world.try_file(what, plan, arguments);
            assert_eq!(wrong, None);
            if what == "genuine" {
                said.says("prod/reports").says("approves a rotation").says("not asked for");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_action_with_a_reason_that_a_person_gives_does_anything() {
    let world = nothing_to_do().await;
    let at = change_at(&world.plan, "prod/reports");
    let mut forged = Vec::new();
    for action in ACTIONS {
        for reason in
            ["rotation_requested", "retirement_requested", "hold_requested", "rotation_due", "ttl_passed"]
        {
            let plan = with(&world.plan, &format!("/changes/{at}/action"), json!(action));
            let plan = with(&plan, &format!("/changes/{at}/reasons"), json!([reason]));
            forged.push((format!("{action} {reason}"), plan));
        }
    }
    world.withstands(forged, &[&[]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_about_an_environment_of_a_pattern_does_not_bring_it_about() {
    let world = nothing_to_do().await;
    let place = &world.place;
    // Made for an environment that a person names when it is applied.
    place.run(&["plan", "--env", "pr-9", "--out", "preview.json"]).ends(0);
    let creates: Value = serde_json::from_str(&place.read("preview.json")).unwrap();
    place.run(&["plan", "--env", "pr-1", "--out", "ended.json"]).ends(0);
    let deletes: Value = serde_json::from_str(&place.read("ended.json")).unwrap();
    for (what, plan) in [("creates pr-9", &creates), ("ends pr-1", &deletes)] {
        let (_, wrong) = world.try_file(what, plan, &[]);
        assert_eq!(wrong, None);
    }
    world.reset();
    place.write(FILE, &creates.to_string());
    place.run(&["apply", FILE, "--env", "pr-9", "--yes"]).ends(0).says("2 created");
}
