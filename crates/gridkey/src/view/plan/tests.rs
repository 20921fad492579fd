//! Tests of the plan's human form.

use std::collections::BTreeSet;

use gridkey_core::access::Scope;
use gridkey_core::identity::AccountIdentity;
use gridkey_core::manifest::{OnDelete, Position};
use gridkey_core::plan::{
    AccountPlan, Action, Capacity, Cause, Change, Code, ComputedFrom, Delete, DeleteKey, FORMAT_VERSION,
    Finding, KeyValues, Note, Order, Plan, PlanKind, Reason, Severity, Step,
};
use gridkey_core::sink::DotenvSettings;
use gridkey_core::{Access, KeyId, Marker, Name, Region, Scopes, SinkLocation, SinkSettings};

use super::super::style::Style;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn location(path: &str) -> SinkLocation {
    let at = SinkSettings::Dotenv(DotenvSettings::new(path, "SENDGRID_API_KEY"));
    SinkLocation::new(name("local"), at)
}

fn values(key: &str, scopes: &[&str]) -> KeyValues {
    let scopes = Scopes::new(scopes.iter().copied().map(Scope::new).collect()).expect("a scope");
    KeyValues {
        address: key.parse().expect("an address"),
        account: name("acme"),
        left_out: BTreeSet::new(),
        rotate: None,
        ttl: None,
        id: None,
        name: format!("acme {key}"),
        access: Access::Restricted(scopes),
        sinks: vec![location(".env.prod")],
        owner: None,
        protect: false,
        on_delete: OnDelete::Clear,
    }
}

fn change(address: &str, action: Action, reason: Reason) -> Change {
    Change {
        address: address.parse().expect("an address"),
        account: name("acme"),
        action,
        cause: if action == Action::Keep { Cause::InStep } else { Cause::Edited },
        reasons: vec![reason],
        before: None,
        after: None,
        notes: Vec::new(),
        steps: Vec::new(),
        rotation: None,
        position: None,
    }
}

fn create(address: &str) -> Change {
    let after = Some(values(address, &["mail.send", "stats.read", "templates.read"]));
    Change { after, ..change(address, Action::Create, Reason::New) }
}

fn keep(address: &str) -> Change {
    let kept = Some(values(address, &["mail.send"]));
    Change { before: kept.clone(), after: kept, ..change(address, Action::Keep, Reason::InStep) }
}

fn plan(changes: Vec<Change>, findings: Vec<Finding>) -> Plan {
    let capacity =
        Capacity { limit: 100, max_keys: None, live: 97, foreign: 2, ours: 95, after: 99, peak: 100 };
    let account = AccountPlan {
        identity: AccountIdentity { parent: None, region: Region::Global, on_behalf_of: None },
        lineage: Some("l".into()),
        serial: 4,
        observed_at: Some("2026-03-01T11:00:00Z".parse().expect("a time")),
        order: Order::MakeFirst,
        capacity: Some(capacity),
    };
    Plan {
        format_version: FORMAT_VERSION,
        kind: PlanKind::Plan,
        computed_from: ComputedFrom::default(),
        allowed: Vec::new(),
        project: name("shop"),
        accounts: [(name("acme"), account)].into(),
        changes,
        findings,
    }
}

fn finding(severity: Severity, code: Code) -> Finding {
    Finding {
        severity,
        code,
        account: Some(name("acme")),
        address: Some("prod/mailer".parse().expect("an address")),
        message: "3 of 4 keys would be deleted, and 3 may be".into(),
        help: Some("allow it once with `--allow max_deletions`".into()),
        position: Some(Position { file: "gridkey.yaml".into(), line: 12, column: 5 }),
    }
}

fn text(plan: &Plan) -> String {
    super::text(plan, Style::Plain)
}

#[test]
fn no_changes_are_said_in_one_sentence() {
    assert_eq!(
        text(&plan((0..5).map(|n| keep(&format!("prod/k{n}"))).collect(), Vec::new())),
        "No changes. 5 keys are as they should be.\n"
    );
    assert_eq!(text(&plan(vec![keep("prod/a")], Vec::new())), "No changes. 1 key is as it should be.\n");
    assert_eq!(text(&plan(Vec::new(), Vec::new())), "No changes. There are no keys.\n");
}

#[test]
fn changes_stand_in_columns_below_their_account() {
    let mut second = create("staging/mailer");
    if let Some(after) = &mut second.after {
        after.sinks.push(location(".env.spare"));
        after.owner = Some("team-mail".into());
    }
    let changes = vec![create("prod/mailer"), second, keep("prod/kept")];
    insta::assert_snapshot!(text(&plan(changes, Vec::new())), @r#"
    acme: 97 → 99 of 100 keys, peak 100 (2 foreign)
      + prod/mailer      create   restricted, 3 scopes → local (.env.prod#SENDGRID_API_KEY)   not there yet
          name "acme prod/mailer"
          scopes mail.send, stats.read, templates.read
      + staging/mailer   create   restricted, 3 scopes → 2 locations                          not there yet
          name "acme staging/mailer"
          scopes mail.send, stats.read, templates.read
          owner team-mail
          → local (.env.prod#SENDGRID_API_KEY)
          → local (.env.spare#SENDGRID_API_KEY)

    Plan: 2 to create; 1 unchanged.
    "#);
}

#[test]
fn an_update_says_what_is_added_removed_and_changed() {
    let before = values("prod/mailer", &["mail.send", "stats.read"]);
    let mut after = values("prod/mailer", &["mail.send", "templates.read"]);
    after.name = "acme mail".into();
    after.sinks = vec![location(".env.new")];
    after.owner = Some("team-mail".into());
    after.protect = true;
    after.on_delete = OnDelete::Keep;
    let after_time = "2026-03-08T11:00:00.5Z".parse().expect("a time");
    let update = Change {
        before: Some(before),
        after: Some(after),
        notes: vec![
            Note::NotHeld([Scope::new("alerts.read")].into()),
            Note::RetiringLocation { location: location(".env.prod"), after: after_time },
        ],
        ..change("prod/mailer", Action::Update, Reason::ScopesEdited)
    };
    insta::assert_snapshot!(text(&plan(vec![update], Vec::new())), @r#"
    acme: 97 → 99 of 100 keys, peak 100 (2 foreign)
      ~ prod/mailer   update   restricted, 2 scopes   scopes edited
          ~ name "acme prod/mailer" → "acme mail"
          + templates.read
          - stats.read
          + sink local (.env.new#SENDGRID_API_KEY)
          - sink local (.env.prod#SENDGRID_API_KEY)
          ~ owner none → team-mail
          ~ protected from now on
          ~ on_delete clear → keep
          note: accepted by SendGrid, yet the key does not hold alerts.read
          note: older location local (.env.prod#SENDGRID_API_KEY) is cleared after 2026-03-08T11:00:00Z

    Plan: 1 to update.
    "#);
}

#[test]
fn a_deletion_names_the_keys_revoked_and_the_locations_cleared() {
    let born = "2026-03-01T11:00:00Z".parse().expect("a time");
    let delete = Delete {
        look: Vec::new(),
        keys: vec![DeleteKey { id: KeyId::new("K1"), born }],
        abandon: vec![Marker::new("m7q2")],
        clear: vec![location(".env.prod")],
        successors: Vec::new(),
    };
    let change = Change {
        before: Some(values("prod/mailer", &["mail.send"])),
        steps: vec![Step::Delete(delete)],
        ..change("prod/mailer", Action::Delete, Reason::NotWanted)
    };
    insta::assert_snapshot!(text(&plan(vec![change, keep("prod/kept")], Vec::new())), @"
    acme: 97 → 99 of 100 keys, peak 100 (2 foreign)
      - prod/mailer   delete   restricted, 1 scope   no longer wanted
          revokes key K1
          gives up the creation marked `m7q2`
          clears local (.env.prod#SENDGRID_API_KEY)

    Plan: 1 to delete; 1 unchanged.
    ");
}

#[test]
fn a_recovery_is_told_in_words() {
    let change = Change {
        after: Some(values("prod/mailer", &["mail.send"])),
        steps: vec![Step::RevokePending { marker: Marker::new("m7q2"), id: KeyId::new("K1") }],
        notes: vec![Note::Creation { marker: Marker::new("m7q2"), id: Some(KeyId::new("K1")) }],
        ..change("prod/mailer", Action::Recover, Reason::SecretLost)
    };
    insta::assert_snapshot!(text(&plan(vec![change], Vec::new())), @"
    acme: 97 → 99 of 100 keys, peak 100 (2 foreign)
      ! prod/mailer   recover   restricted, 1 scope   an earlier run broke off; no sink has the secret
          revokes key K1, whose secret no sink has
          note: the creation marked `m7q2` made key K1

    Plan: 1 to recover.
    ");
}

#[test]
fn findings_that_block_come_first_and_the_last_line_counts_them() {
    let findings =
        vec![finding(Severity::Warns, Code::RotationDue), finding(Severity::Blocks, Code::MaxDeletions)];
    insta::assert_snapshot!(text(&plan(vec![create("prod/mailer")], findings)), @r#"
    acme: 97 → 99 of 100 keys, peak 100 (2 foreign)
      + prod/mailer   create   restricted, 3 scopes → local (.env.prod#SENDGRID_API_KEY)   not there yet
          name "acme prod/mailer"
          scopes mail.send, stats.read, templates.read

    blocks [max_deletions] acme prod/mailer: 3 of 4 keys would be deleted, and 3 may be
        at gridkey.yaml:12:5
        help: allow it once with `--allow max_deletions`
    warning [rotation_due] acme prod/mailer: 3 of 4 keys would be deleted, and 3 may be
        at gridkey.yaml:12:5
        help: allow it once with `--allow max_deletions`

    Blocked: 1 finding blocks this plan (1 to create); nothing is done until it is settled.
    "#);
}

#[test]
fn a_blocked_account_leaves_the_others_their_plan() {
    let mut plan = plan(
        vec![create("prod/mailer"), keep("prod/kept")],
        vec![finding(Severity::BlocksAccount, Code::AccountUnreadable)],
    );
    assert_eq!(super::summary(&plan), "Blocked in acme: 1 change waits. No changes elsewhere.");
    plan.changes.push(Change { account: name("other"), ..create("prod/other") });
    assert_eq!(super::summary(&plan), "Blocked in acme: 1 change waits. Plan: 1 to create.");
}

#[test]
fn the_last_line_counts_by_action() {
    let mut changes: Vec<_> = ["a", "b", "c"].map(|key| create(&format!("prod/{key}"))).into();
    changes.push(change("prod/d", Action::Update, Reason::NameEdited));
    changes.push(change("prod/e", Action::Delete, Reason::NotWanted));
    changes.extend(["f", "g", "h", "i"].map(|key| keep(&format!("prod/{key}"))));
    assert_eq!(
        super::summary(&plan(changes, Vec::new())),
        "Plan: 3 to create, 1 to update, 1 to delete; 4 unchanged."
    );
}

#[test]
fn colour_adds_nothing_that_the_words_do_not_say() {
    let plan = plan(vec![create("prod/mailer")], vec![finding(Severity::Blocks, Code::MaxDeletions)]);
    let coloured = super::text(&plan, Style::Coloured);
    assert_ne!(coloured, text(&plan));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), text(&plan));
}

#[test]
fn names_at_sendgrid_cannot_steer_a_terminal() {
    let mut before = values("prod/mailer", &["mail.send"]);
    before.name = "a\u{1b}[2J".into();
    let update = Change {
        before: Some(before),
        after: Some(values("prod/mailer", &["mail.send"])),
        ..change("prod/mailer", Action::Update, Reason::NameDrifted)
    };
    assert!(!text(&plan(vec![update], Vec::new())).contains('\u{1b}'));
}
