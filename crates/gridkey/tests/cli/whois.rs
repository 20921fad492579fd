//! Whose a key is that was found: on standard input, by its id, in files.

use std::io::Write;
use std::process::Stdio;

use gridkey_core::whois::Whois;
use gridkey_emulator::{Operation, Settings};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{self, Place, Said};

const MANIFEST: &str = "version: 1
project: mailing
accounts:
  acme: { api_key: { env: SENDGRID_API_KEY } }
  team: { parent: acme, subuser: team }
sinks:
  local: { dotenv: { path: .env, variable: \"SENDGRID_{KEY}\" } }
defaults: { sinks: [local], account: acme }
keys:
  mailer: { scopes: [mail.send], owner: growth, rotate: { every: 30d } }
  breakglass: { access: full }
  teams: { account: team, scopes: [stats.read] }
";

/// A project whose keys are made, in two accounts.
async fn place() -> Place {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    place.write("gridkey.yaml", MANIFEST);
    place.run(&["apply", "--yes"]).ends(0);
    place.server.model().clear_log();
    place
}

impl Place {
    /// The same with something on standard input; what is said shows no secret.
    fn run_with_input(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A process that refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        self.no_secrets("what it says", &said.all());
        said
    }

    fn secret(&self, variable: &str) -> String {
        self.held(".env", variable).unwrap()
    }

    /// A key that somebody made by hand: its secret.
    fn by_hand(&self, account: &str, name: &str, scopes: Option<&[&str]>) -> String {
        self.server.model().add_key(account, name, scopes, Timestamp::now()).secret
    }
}

fn id(secret: &str) -> &str {
    secret.split('.').nth(1).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_project_is_told_with_its_sinks_and_what_to_do() {
    let place = place().await;
    let secret = place.secret("SENDGRID_MAILER");
    let said = place.run_with_input(&["whois"], &format!("{secret}\n"));
    said.ends(0)
        .says(&format!("key {}\n", id(&secret)))
        .says("live: the current key of its address")
        .says("address        mailer")
        .says("account        acme")
        .says("access         restricted: mail.send")
        .says("owner          growth")
        .says("generation     1")
        .says("local (.env#SENDGRID_MAILER): holds it")
        .says("if it leaked   gridkey rotate mailer --revoke-old now")
        .says(&format!("who uses it    gridkey whois {} --scan PATH", id(&secret)));
    assert_eq!(place.asked(Operation::List), 1, "the other account need not be asked");
    let cut = place.run(&["whois", &id(&secret)[..21]]);
    cut.ends(1).says("an ID has 22 characters and this has 21, so it may not be whole");
    // The environment that a shell works in says nothing of where a key may be.
    for command in [&["whois", id(&secret)][..], &["audit"]] {
        let mut elsewhere = place.command(command);
        elsewhere.env("GRIDKEY_ENV", "staging");
        support::said(elsewhere).ends(0).says("mailer");
        place.run(&[command, &["--env", "staging"]].concat()).ends(64).says("takes no `--env`");
    }
    // The command that was proposed does what it says, and the key is told by its id from then on.
    place.run(&["rotate", "mailer", "--yes"]).ends(0);
    place
        .run(&["whois", id(&secret)])
        .ends(0)
        .says("an older key, to be revoked after")
        .says("gridkey retire mailer --now");
    place.run(&["retire", "mailer", "--now", "--yes"]).ends(0);
    let gone = place.run(&["whois", id(&secret)]);
    gone.ends(1).says("not live in any account of project mailing");
    assert!(!gone.out.contains("if it leaked"), "{}", gone.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_keys_get_one_answer_each_whatever_they_are() {
    let place = place().await;
    let crm = place.by_hand("acme", "crm", Some(&["mail.send", "stats.read"]));
    let everything = place.by_hand("acme/team", "everything", None);
    let full = place.secret("SENDGRID_BREAKGLASS");
    let lines = [
        format!("SENDGRID_API_KEY=\"{crm}\""),
        format!("  Bearer {everything}  "),
        String::new(),
        format!("SG.{}.****", id(&full)),
        place.key.clone(),
        id(&crm).to_string(),
    ];
    let said = place.run_with_input(&["whois", "--format", "json"], &lines.join("\r\n"));
    said.ends(0);
    let found: Whois = serde_json::from_str(&said.out).unwrap();
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(found.answers.len(), 4, "one that is given twice is one: {}", said.out);
    let about = |index: usize| {
        let Value::Object(key) = &json["answers"][index]["key"] else { panic!("{}", said.out) };
        (
            key["account"].clone(),
            key["status"].clone(),
            key["access"].clone(),
            json["answers"][index]["if_leaked"].clone(),
        )
    };
    let expected = |account: &str, status: &str, access: &str, leaked: Value| {
        (json!(account), json!(status), json!(access), leaked)
    };
    let revoke =
        |secret: &str, account: &str| json!(format!("gridkey revoke {} --account {account}", id(secret)));
    assert_eq!(about(0), expected("acme", "foreign", "restricted", revoke(&crm, "acme")));
    assert_eq!(about(1), expected("team", "foreign", "full", revoke(&everything, "team")));
    assert_eq!(
        about(2),
        expected("acme", "owned", "full", json!("gridkey rotate breakglass --revoke-old now"))
    );
    assert_eq!(about(3), expected("acme", "managing", "full", Value::Null));
    assert!(json["answers"][3]["notes"][0].as_str().unwrap().contains("by hand"), "{}", said.out);
    assert!(found.answers.iter().all(|answer| answer.live == Some(true)), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_broke_off_or_was_given_up_is_told_by_its_marker() {
    let place = place().await;
    let lost = place.by_hand("acme", "lost [gridkey:k3x9abcdefghi]", Some(&["mail.send"]));
    let begun = place.by_hand("acme", "begun [gridkey:m3x9abcdefghi]", Some(&["mail.send"]));
    let path = ".gridkey/state/mailing/acme.json";
    let mut state: Value = serde_json::from_str(&place.read(path)).unwrap();
    state["abandoned"] = json!({ "k3x9abcdefghi": { "address": "lost", "at": "2026-01-01T00:00:00Z" } });
    state["pending"] = json!({ "m3x9abcdefghi": {
        "address": "begun", "purpose": "create", "name": "begun", "access": { "restricted": ["mail.send"] },
        "locations": [], "phase": "intended", "at": "2026-01-01T00:00:00Z", "by": "run 7"
    } });
    place.write(path, &state.to_string());
    place
        .run_with_input(&["whois"], &lost)
        .ends(0)
        .says("given up and took effect")
        .says("gridkey apply --only lost");
    place
        .run_with_input(&["whois"], &begun)
        .ends(0)
        .says("not settled")
        .says("by run 7")
        .says("gridkey apply --only begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_state_knows_is_told_without_a_credential_and_what_it_does_not_is_not_called_gone() {
    let place = place().await;
    let crm = place.by_hand("acme", "crm", Some(&["mail.send"]));
    let without_key = |secret: &str| {
        let mut command = place.command(&["whois", id(secret)]);
        command.env_remove("SENDGRID_API_KEY");
        crate::support::said(command)
    };
    let known = without_key(&place.secret("SENDGRID_MAILER"));
    known
        .ends(0)
        .says("whether it is live is not known")
        .says("address        mailer")
        .says("the environment variable `SENDGRID_API_KEY` is not set")
        .says("gridkey rotate mailer --revoke-old now");
    let unknown = without_key(&crm);
    unknown.ends(3).says("not in any account that could be read").says("account team was not read");
    assert!(!unknown.all().contains("not live"), "{}", unknown.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_as_an_argument_is_refused_without_being_repeated() {
    let place = place().await;
    let secret = place.secret("SENDGRID_MAILER");
    let private = secret.rsplit('.').next().unwrap();
    for argument in [&secret, &secret[3..], private, "SG.short"] {
        let said = place.run(&["whois", argument]);
        said.ends(64).says("Consider it leaked").says("gridkey whois < FILE");
        assert!(!said.all().contains(argument) && !said.all().contains(&private[..12]), "{}", said.all());
    }
    assert!(place.server.model().log().is_empty(), "nothing was asked");
    place.run(&["whois", "prod/mailer"]).ends(64).says("gridkey state show ADDRESS");
    place.run(&["whois", "mailer"]).ends(1).says("`gridkey state show mailer`");
    place.run(&["whois", id(&secret), "--env", "prod"]).ends(64).says("takes no `--env`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_input_that_holds_no_key_is_refused_by_its_lines() {
    let place = place().await;
    let secret = place.secret("SENDGRID_MAILER");
    let said = place.run_with_input(&["whois"], &format!("{secret}\nhello world\n\n{}\n", &secret[26..]));
    said.ends(64).says("in lines 2, 4 of standard input").says("--scan -");
    assert!(!said.all().contains("hello"), "{}", said.all());
    place.run_with_input(&["whois"], "\n").ends(64).says("no key and no ID");
    place.run_with_input(&["whois"], &"x\n".repeat(600_000)).ends(64).says("more than 1 MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_finds_keys_in_files_the_live_ones_first_and_says_what_it_passed_over() {
    let place = place().await;
    let mailer = place.secret("SENDGRID_MAILER");
    let crm = place.by_hand("acme", "crm", Some(&["mail.send"]));
    let dead = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
    place.write("src/a.log", &format!("old: {dead}\n"));
    place.write("src/deep/list.yaml", &format!("x:\n  - \"Bearer {crm}\"  # {mailer}\n"));
    place.write("src/prod.env", &format!("# KEY={crm}\n"));
    place.write("src/.git/config", &format!("{crm}\n"));
    place.write("src/binary", &format!("\0{crm}"));
    place.write("src/none.txt", "SG.\n");
    let said = place.run(&["whois", "--scan", "src"]);
    place.no_secrets("what it says", &said.all());
    assert!(!said.all().contains(&dead), "{}", said.all());
    said.ends(0)
        .says("looked at 4 files: 3 keys in 4 places, 2 of them live")
        .says("passed over: 1 binary file, 1 .git folder");
    let rows: Vec<Vec<&str>> = said
        .out
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let places: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(places.last(), Some(&"src/a.log:1"), "{}", said.out);
    let row = |place: &str, id: &str| {
        let row = rows.iter().find(|row| row[1] == place && row[2] == id);
        row.unwrap_or_else(|| panic!("{place} {id}: {}", said.out))
    };
    assert_eq!(row("src/prod.env:1", id(&crm))[0], "live");
    assert!(row("src/deep/list.yaml:2", id(&crm))[3].contains("\"crm\", foreign"));
    assert!(row("src/deep/list.yaml:2", id(&mailer))[3].contains("mailer, the current key"));
    assert_eq!(row("src/a.log:1", id(&dead))[0], "not live");

    place.run(&["whois", "--fail-on-live", "--scan", "src"]).ends(3);
    place.run(&["whois", "--fail-on-live", "--scan", "src/a.log", "src/none.txt"]).ends(0);
    let only = place.run(&["whois", id(&mailer), "--scan", "src"]);
    only.ends(0).says("1 key in 1 place").says("src/deep/list.yaml:2");
    assert!(!only.out.contains(id(&crm)), "{}", only.out);
    let history = format!("+one\n-{crm}\n");
    place.run_with_input(&["whois", "--scan", "-"], &history).ends(0).says("standard input:2");
    place
        .run(&["whois", "--scan", "nothing"])
        .ends(1)
        .says("nothing cannot be looked through")
        .says("files and folders");
    place.server.model().clear_log();
    place.run(&["whois", "--scan", "src/none.txt"]).ends(0).says("looked at 1 file: no key");
    assert!(place.server.model().log().is_empty(), "without a key nothing is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_shows_an_address_in_the_words_of_whois_and_as_it_is_stored() {
    let place = place().await;
    place.run(&["rotate", "mailer", "--yes"]).ends(0);
    place.server.model().clear_log();
    let shown = place.run(&["state", "show", "mailer"]);
    shown
        .ends(0)
        .says("status       the current key of its address")
        .says("account      acme")
        .says("access       restricted: mail.send")
        .says("owner        growth")
        .says("generation   2")
        .says("rotated      every 30 d, overlap 1 d")
        .says("local (.env#SENDGRID_MAILER): delivered 2")
        .says("an older key, to be revoked after");
    assert!(
        !shown.out.contains("whether it is live"),
        "nothing was asked, so nothing is said of it: {}",
        shown.out
    );
    let full = place.run(&["state", "show", "breakglass"]);
    full.ends(0).says("access       full access").says("Full Access");
    place.run(&["state", "list"]).ends(0).says("older key").says("to be revoked after");
    assert!(place.server.model().log().is_empty(), "state alone is read");
    let stored: Value =
        serde_json::from_str(&place.run(&["state", "show", "mailer", "--format", "json"]).out).unwrap();
    let state: Value = serde_json::from_str(&place.read(".gridkey/state/mailing/acme.json")).unwrap();
    assert_eq!(stored, state["keys"]["mailer"]);
    place.run(&["state", "show", "nothing"]).ends(1).says("state owns no key at `nothing`");
}
