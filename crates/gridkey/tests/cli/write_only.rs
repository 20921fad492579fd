//! Sinks that cannot be read, and that tell all the same that what gridkey wrote is not there any more.

use gridkey_core::SinkKind;
use gridkey_emulator::Settings;

use crate::support::{Place, Said};

const MANIFEST: &str = "version: 1
accounts: { acme: { api_key: { env: SENDGRID_API_KEY } } }
sinks:
  local: { dotenv: { path: .env, variable: \"{KEY}\" } }
  repository:
    age:
      path: \"secrets/{key}.age\"
      recipients: [age1ax239zkefzhcejp764afzphn4rq5qr9jcspk5ztkedwhwvksvc8s679k8e]
keys:
  mailer: { scopes: [mail.send], sinks: [local, repository] }
  # No sink that can be read has its secret.
  worker: { scopes: [mail.send], sinks: [repository] }
";

/// A project with age files.
struct Project {
    place: Place,
    /// What every command begins with.
    first: &'static [&'static str],
    /// Where its files are.
    files: &'static str,
}

impl Project {
    /// One over the doubles of `--emulator`, and one with real files where this build has age.
    async fn all() -> Vec<Self> {
        let mut kinds: Vec<(&[&str], &str)> = vec![(&["--emulator"], ".gridkey/emulator/sinks/files/")];
        match gridkey_sinks::supports(SinkKind::Age) {
            true => kinds.push((&[], "")),
            false => println!("skipped in part: this build is without the feature `age`"),
        }
        let mut all = Vec::new();
        for (first, files) in kinds {
            let place = Place::new(Settings::default()).await;
            place.write("gridkey.yaml", MANIFEST);
            let project = Self { place, first, files };
            project.run(&["apply", "--yes"]).ends(0);
            project.is_in_step();
            all.push(project);
        }
        all
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.place.run(&[self.first, arguments].concat())
    }

    fn age(&self, key: &str) -> String {
        format!("{}secrets/{key}.age", self.files)
    }

    #[track_caller]
    fn is_in_step(&self) {
        self.run(&["plan"]).ends(0).says("No changes");
        self.run(&["drift"]).ends(0).says("No drift");
        let audit = self.run(&["audit"]);
        assert!(!audit.ends(0).all().contains("a sink has not got it"), "{}", audit.all());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_file_that_is_gone_is_written_again() {
    for project in Project::all().await {
        for key in ["mailer", "worker"] {
            std::fs::remove_file(project.place.path(&project.age(key))).unwrap();
        }
        let drift = project.run(&["drift"]);
        drift.ends(2).says("sink location lost the value").says("copies the secret from local (.env#MAILER)");
        project.run(&["audit"]).ends(0).says("repository (secrets/mailer.age): empty");
        let applied = project.run(&["apply", "--yes"]);
        applied.ends(0).says("1 delivered").says("no sink has the secret any more");
        for key in ["mailer", "worker"] {
            assert!(project.place.path(&project.age(key)).exists());
        }
        project.is_in_step();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_wrote_to_a_sink_that_cannot_be_read_is_told_and_stays() {
    for project in Project::all().await {
        let file = project.age("mailer");
        project.place.write(&file, "something else\n");
        project.run(&["drift"]).ends(2).says("was written by another program since gridkey did");
        project.run(&["audit"]).ends(0).says("repository (secrets/mailer.age): holds something else");
        let plan = project.run(&["plan"]);
        plan.ends(3).says("[foreign_value]").says("overwrites what another program wrote to repository");
        project.run(&["apply", "--yes"]).ends(3);
        assert_eq!(project.place.read(&file), "something else\n");
        let allowed = project.run(&["apply", "--yes", "--allow", "foreign_value"]);
        if project.first.is_empty() {
            // A file that is not gridkey's is not written over at all.
            allowed.ends(3).says("[sink_unwritable]").says("it holds something that is no age file");
            assert_eq!(project.place.read(&file), "something else\n");
            std::fs::remove_file(project.place.path(&file)).unwrap();
            project.run(&["apply", "--yes"]).ends(0);
        } else {
            allowed.ends(0).says("1 delivered");
        }
        project.is_in_step();
    }
}

/// Every overlap of a key that has begun is over.
fn overlaps_pass(project: &Project, key: &str) {
    let folder = if project.first.is_empty() { ".gridkey/state" } else { ".gridkey/emulator/state" };
    let file = format!("{folder}/default/acme.json");
    let mut state: serde_json::Value = serde_json::from_str(&project.place.read(&file)).unwrap();
    for retiring in state["keys"][key]["retiring"].as_array_mut().unwrap() {
        retiring["after"] = "2026-01-01T00:00:00Z".into();
    }
    project.place.write(&file, &state.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_key_that_an_age_file_went_back_to_is_not_revoked_before_the_overlap_was_counted_anew() {
    for project in Project::all().await {
        for key in ["mailer", "worker"] {
            let file = project.age(key);
            let before = std::fs::read(project.place.path(&file)).unwrap();
            project.run(&["rotate", "--yes", key]).ends(0);
            std::fs::write(project.place.path(&file), before).unwrap();
            overlaps_pass(&project, key);
            let plan = project.run(&["plan"]);
            plan.ends(0).says("a sink still serves the older key");
            assert!(!plan.all().contains("revokes older key"), "{}", plan.all());
            let applied = project.run(&["apply", "--yes"]);
            assert!(!applied.ends(0).all().contains("revoked key"), "{}", applied.all());
            project.is_in_step();
        }
    }
}
