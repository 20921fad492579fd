//! Accounts that are full, wrong, limited or unreachable.

use std::collections::BTreeMap;

use gridkey_emulator::{Fault, FaultRule, Operation, RateLimit, Settings};
use jiff::Timestamp;

use crate::support::{Place, manifest, many, said, secrets};

fn counted(place: &Place) -> BTreeMap<Operation, usize> {
    let mut counts = BTreeMap::new();
    for entry in place.server.model().log() {
        *counts.entry(entry.operation).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_run_makes_just_the_requests_it_needs() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(5)));
    place.run(&["apply", "--yes"]).ends(0);
    let expected =
        [(Operation::Create, 5), (Operation::List, 1), (Operation::Rename, 5), (Operation::Scopes, 1)];
    assert_eq!(counted(&place), BTreeMap::from(expected));
    place.server.model().clear_log();
    place.run(&["plan"]).ends(0).says("No changes");
    assert_eq!(counted(&place), BTreeMap::from([(Operation::List, 1), (Operation::Get, 5)]));
    place.server.model().clear_log();
    place.run(&["apply", "--yes"]).ends(0).says("No changes");
    assert_eq!(counted(&place), BTreeMap::from([(Operation::List, 1), (Operation::Get, 5)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_keys_fit_and_the_next_blocks_before_anything_is_made() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "shop");
    let with = |count| {
        let text = manifest(&many(count));
        let accounts = "  acme: { api_key: { env: SENDGRID_API_KEY } }\n";
        text.replace(accounts, &format!("{accounts}  shop: {{ parent: acme, subuser: shop }}\n"))
            .replace("defaults: {", "defaults: { account: shop,")
    };
    place.write("gridkey.yaml", &with(100));
    place.run(&["apply", "--yes"]).ends(0).says("100 created");
    let live = |place: &Place| place.server.model().keys("acme/shop").iter().filter(|key| key.live).count();
    assert_eq!(live(&place), 100);
    place.write("gridkey.yaml", &with(101));
    place.server.model().clear_log();
    let blocked = place.run(&["apply", "--yes"]);
    blocked
        .ends(3)
        .says("capacity")
        .says("allows 100 keys and holds 100 (100 ours, 0 foreign)")
        .says("comes to 101");
    assert_eq!(counted(&place).get(&Operation::Create), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_keys_count() {
    let place = Place::new(Settings { key_limit: 10, ..Settings::default() }).await;
    for number in 0..7 {
        place.server.model().add_key(
            "acme",
            &format!("by hand {number}"),
            Some(&["mail.send"]),
            Timestamp::now(),
        );
    }
    let text = manifest(&many(3)).replace("api_key: {", "key_limit: 10, api_key: {");
    place.write("gridkey.yaml", &text);
    place.run(&["apply", "--yes"]).ends(3).says("(0 ours, 7 foreign, 1 managing)").says("comes to 11");
    assert_eq!(counted(&place).get(&Operation::Create), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_fills_up_meanwhile_ends_its_creations_and_keeps_what_was_made() {
    let place = Place::new(Settings { key_limit: 4, ..Settings::default() }).await;
    place.write("gridkey.yaml", &manifest(&many(6)));
    // The manifest believes in the documented limit of 100; the account is full at four.
    let said = place.run(&["apply", "--yes"]);
    said.ends(4)
        .says("the account is full")
        .says("Cannot create more than 4 API Keys")
        .says("3 changes done, 3 failed");
    let secrets = secrets(&place.read(".env"));
    assert_eq!(secrets.len(), 3);
    assert!(secrets.iter().all(|secret| place.server.model().authenticates(secret, Timestamp::now())));
    let state = place.run(&["state", "list"]);
    assert_eq!(state.out.lines().count(), 3, "{}", state.out);
    assert!(!state.out.contains("pending"));
}

/// A key in each of two accounts; the second one's managing key is in `OTHER_KEY`.
fn in_two_accounts() -> String {
    manifest(
        "  mailer: { scopes: [mail.send], account: acme }\n  pager: { scopes: [mail.send], account: beta }\n",
    )
    .replace("sinks:\n  local", "  beta: { api_key: { env: OTHER_KEY } }\nsinks:\n  local")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_managing_keys_swapped_are_noticed_and_nothing_is_made() {
    let place = Place::new(Settings::default()).await;
    let other = place.server.model().parent("other", Timestamp::now());
    place.write("gridkey.yaml", &in_two_accounts());
    let apply = |first: &str, second: &str| {
        let mut command = place.command(&["apply", "--yes"]);
        crate::support::said({
            command.env("SENDGRID_API_KEY", first).env("OTHER_KEY", second);
            command
        })
    };
    apply(&place.key, &other).ends(0).says("2 created");
    place.server.model().clear_log();
    apply(&other, &place.key).ends(3).says("account_mismatch").says("is another than last time");
    assert_eq!(counted(&place).get(&Operation::Create), None);
    apply(&place.key, &other).ends(0).says("No changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrowed_run_reads_only_the_accounts_that_it_is_about() {
    let place = Place::new(Settings::default()).await;
    let other = place.server.model().parent("other", Timestamp::now());
    place.write("gridkey.yaml", &in_two_accounts());
    let run = |arguments: &[&str], other: &str| {
        let mut command = place.command(arguments);
        command.env("OTHER_KEY", other);
        said(command)
    };
    run(&["apply", "--yes"], &other).ends(0).says("2 created");
    let gone = "SG.aaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    run(&["plan"], gone).ends(3).says("account_unreadable");
    place.server.model().clear_log();
    for narrowed in [&["--account", "acme"][..], &["--only", "mailer"], &["--only", "mai*"]] {
        run(&[&["plan"], narrowed].concat(), gone).ends(0).says("No changes");
        run(&[&["apply", "--yes"], narrowed].concat(), gone).ends(0).says("No changes");
    }
    run(&["rotate", "mailer", "--yes"], gone).ends(0).says("1 rotated");
    let refused = place.server.model().log().iter().filter(|entry| entry.status == Some(401)).count();
    assert_eq!(refused, 0, "the other account was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_folder_for_a_sink_is_noticed_and_nothing_is_made() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(3)));
    place.run(&["apply", "--yes"]).ends(0);
    std::fs::rename(place.path(".env"), place.path("elsewhere")).unwrap();
    place.server.model().clear_log();
    place
        .run(&["apply", "--yes"])
        .ends(3)
        .says("sink_mismatch")
        .says("was given 3 locations, and all of them are empty");
    assert_eq!(counted(&place).get(&Operation::Create), None);
    std::fs::rename(place.path("elsewhere"), place.path(".env")).unwrap();
    place.run(&["apply", "--yes"]).ends(0).says("No changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parents_answer_for_a_subuser_is_noticed() {
    let settings =
        Settings { unknown_subuser: gridkey_emulator::UnknownSubuser::Parent, ..Settings::default() };
    let place = Place::new(settings).await;
    let text = manifest("  mailer: { scopes: [mail.send], account: shop }\n")
        .replace("sinks:\n  local", "  shop: { parent: acme, subuser: shop }\nsinks:\n  local");
    place.write("gridkey.yaml", &text);
    place.run(&["apply", "--yes"]).ends(3).says("account_mismatch").says("answered with its parent's keys");
    assert_eq!(counted(&place).get(&Operation::Create), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_are_waited_for_and_said() {
    let limit = RateLimit { requests: 2, seconds: 2 };
    let place = Place::new(Settings { write_rate_limit: Some(limit), ..Settings::default() }).await;
    place.write("gridkey.yaml", &manifest(&many(4)));
    place.run(&["apply", "--yes"]).ends(0).says("rate limit").says("4 created");
    place.run(&["plan", "--detailed-exitcode"]).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_leaves_no_second_key() {
    for done in [false, true] {
        let place = Place::new(Settings::default()).await;
        place.server.model().set_faults(vec![FaultRule {
            operation: Operation::Create,
            after: 1,
            count: Some(1),
            fault: Fault::Drop { done },
        }]);
        place.write("gridkey.yaml", &manifest(&many(3)));
        place.run(&["apply", "--yes"]).ends(0).says("3 created");
        let live = place.server.model().keys("acme").into_iter().filter(|key| key.live).count();
        assert_eq!(live, 4, "three keys and the managing key");
        place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_said_at_any_volume() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(3)));
    place.server.model().set_faults(vec![FaultRule {
        operation: Operation::Create,
        after: 1,
        count: Some(1),
        fault: Fault::Drop { done: true },
    }]);
    for format in ["text", "json"] {
        let said = place.run(&["-vvv", "--log-format", format, "apply", "--yes"]);
        place.no_secrets("the output of apply", &said.ends(0).all());
        let said = place.run(&["-vvv", "--log-format", format, "plan", "--format", format]);
        place.no_secrets("the output of plan", &said.ends(0).all());
        assert!(!said.all().contains(&place.key));
        place.write("gridkey.yaml", &manifest(&many(4)));
    }
    place.no_secrets_in_state();
    assert_eq!(place.server.model().issued_secrets().len(), 6, "managing key, four keys and a lost one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_waits_for_the_first_or_says_who_it_is() {
    let place = Place::with_latency(Settings::default(), std::time::Duration::from_millis(30)).await;
    place.write("gridkey.yaml", &manifest(&many(10)));
    let mut first = place.spawn(&["apply", "--yes"]);
    while place.server.model().log().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    place
        .run(&["apply", "--yes"])
        .ends(1)
        .says("is locked by")
        .says("--lock-timeout")
        .says("state unlock acme");
    place.run(&["state", "unlock", "acme"]).ends(1).says("end it, and the lock goes with it");
    place.run(&["apply", "--yes", "--lock-timeout", "60s"]).ends(0).says("No changes");
    assert!(first.wait().unwrap().success());
    place.run(&["state", "unlock", "acme"]).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_only_reads_is_enough_to_plan_and_apply_checks_the_rest() {
    let ungrantable = ["asm.groups.delete".to_string()].into();
    let place = Place::new(Settings { ungrantable_scopes: ungrantable, ..Settings::default() }).await;
    let reader = place.server.model().add_key("acme", "Reader", Some(&["api_keys.read"]), Timestamp::now());
    let text = manifest("  mailer: { scopes: [mail.send, \"asm.groups.*\"] }\n").replace(
        "{ env: SENDGRID_API_KEY }",
        "{ env: SENDGRID_API_KEY }, plan_api_key: { env: SENDGRID_READ_KEY }",
    );
    place.write("gridkey.yaml", &text);
    let with_reader = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env_remove("SENDGRID_API_KEY").env("SENDGRID_READ_KEY", &reader.secret);
        said(command)
    };
    let plan = with_reader(&["plan", "--no-sinks", "--out", "plan.json"]);
    plan.ends(0)
        .says("not_checked")
        .says("whose scopes are not the managing key's")
        .says("sinks were not looked at");
    assert!(!plan.all().contains(&reader.secret));
    with_reader(&["drift"]).ends(0).says("No drift");
    assert!(counted(&place).keys().all(|operation| matches!(operation, Operation::List | Operation::Get)));
    with_reader(&["apply", "plan.json", "--yes"]).ends(3).says("account_unreadable");

    // What cannot be granted is left out of a pattern: less than was approved, and said.
    place.run(&["apply", "plan.json", "--yes"]).ends(0).says("left out").says("asm.groups.delete");
    let made = place.server.model().keys("acme");
    let made = made.iter().find(|key| key.name == "mailer").unwrap();
    assert!(!made.scopes.as_ref().unwrap().contains("asm.groups.delete"));
    let again = place.run(&["apply", "plan.json", "--yes"]);
    again.ends(0).says("Approved, and done already").says("No changes");

    // Written out, it is refused before anything is done.
    place.write("gridkey.yaml", &text.replace("\"asm.groups.*\"", "asm.groups.delete, stats.read"));
    with_reader(&["plan", "--out", "plan.json"]).ends(0).says("not_checked");
    place.run(&["apply", "plan.json", "--yes"]).ends(3).says("ungrantable_scope");
    place.no_secrets_in_artefacts();
}

/// One cause, one remedy: nobody is told to replace a key that is good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_cannot_be_read_says_what_would_help() {
    let not_listed = Fault::Status {
        status: 401,
        message: Some("The requestor's IP Address is not whitelisted".to_string()),
        done: false,
    };
    let faults = vec![FaultRule { operation: Operation::List, after: 0, count: None, fault: not_listed }];
    let place = Place::new(Settings { faults, ..Settings::default() }).await;
    place.write("gridkey.yaml", &manifest(&many(1)));
    place.run(&["plan"]).ends(3).says("IP Address is not whitelisted").says("the key is not what is wrong");

    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "acme-shop");
    let subusers = "  shop: { parent: acme, subuser: acme-shop }\n  shpo: { parent: acme, subuser: acme-shpo }\nsinks:\n";
    let keys = "  parents: { scopes: [mail.send], account: acme }\n  mailer: { scopes: [mail.send], account: shpo }\n";
    place.write("gridkey.yaml", &manifest(keys).replace("sinks:\n", subusers));
    place.run(&["plan"]).ends(3).says("the same key reads the parent, so see that `acme-shpo` is spelled");
    place.run(&["plan", "--only", "mailer"]).ends(3).says("see that `acme-shpo` is spelled").says("or else");

    let reading = manifest(&many(1)).replace("api_key: {", "plan_api_key: { env: READING_KEY }, api_key: {");
    place.write("gridkey.yaml", &reading);
    place
        .run(&["plan"])
        .ends(3)
        .says("`READING_KEY` is not set")
        .says("where `plan_api_key` of the manifest says");
    let mut wrong = place.command(&["plan"]);
    wrong.env("READING_KEY", format!("SG.{}.{}", "a".repeat(22), "b".repeat(43)));
    said(wrong).ends(3).says("the key of `plan_api_key` is not valid");
}
