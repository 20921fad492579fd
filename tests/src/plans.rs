//! Plan documents made up for tests of views: one with something of everything, and large ones.

use gridkey_core::access::Scope;
use gridkey_core::identity::AccountIdentity;
use gridkey_core::inventory::SinkContent;
use gridkey_core::manifest::Lifecycle;
use gridkey_core::manifest::{OnDelete, Position, SourceDigest};
use gridkey_core::plan::{
    AccountPlan, Action, Capacity, Cause, Change, Code, ComputedFrom, Delete, DeleteKey, FORMAT_VERSION,
    Finding, KeyValues, Mint, Note, Order, Plan, PlanKind, Put, Reason, RevokeOld, RotationDates, Settings,
    Severity, Step,
};
use gridkey_core::sink::{DotenvSettings, VaultSettings};
use gridkey_core::state::{Purpose, RetiringReason};
use gridkey_core::{Access, KeyId, Marker, Name, Region, Scopes, SinkLocation, SinkSettings};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn scopes(list: &[&str]) -> BTreeSet<Scope> {
    list.iter().copied().map(Scope::new).collect()
}

fn restricted(list: &[&str]) -> Access {
    Access::Restricted(Scopes::new(scopes(list)).expect("at least one scope"))
}

fn dotenv(path: &str, variable: &str) -> SinkLocation {
    let at = SinkSettings::Dotenv(DotenvSettings::new(path, variable));
    SinkLocation::new(name("local"), at)
}

fn vault(path: &str) -> SinkLocation {
    let at = SinkSettings::Vault(VaultSettings {
        address: Some("https://vault.example:8200".into()),
        mount: "secret".into(),
        path: path.into(),
        field: "api_key".into(),
        ..VaultSettings::default()
    });
    SinkLocation::new(name("vault"), at)
}

fn id(number: usize) -> KeyId {
    KeyId::new(format!("aQ{number:0>20}"))
}

fn values(number: usize, title: &str, access: Access, sinks: Vec<SinkLocation>) -> KeyValues {
    KeyValues {
        address: "prod/key".parse().expect("an address"),
        account: name("acme"),
        id: Some(id(number)),
        name: title.into(),
        access,
        left_out: BTreeSet::new(),
        sinks,
        owner: Some("growth".into()),
        protect: false,
        on_delete: OnDelete::Clear,
        rotate: None,
        ttl: None,
    }
}

fn cause(action: Action) -> Cause {
    match action {
        Action::Keep => Cause::InStep,
        Action::Recover => Cause::Recovery,
        Action::Retire | Action::Rotate => Cause::Due,
        Action::Move
        | Action::Adopt
        | Action::Forget
        | Action::Delete
        | Action::Update
        | Action::Deliver
        | Action::Create => Cause::Edited,
    }
}

fn change(account: &str, address: &str, action: Action, reason: Reason) -> Change {
    Change {
        address: address.parse().expect("an address"),
        account: name(account),
        action,
        cause: cause(action),
        reasons: vec![reason],
        before: None,
        after: None,
        notes: Vec::new(),
        steps: Vec::new(),
        rotation: None,
        position: Some(Position { file: "gridkey.yaml".into(), line: 20, column: 3 }),
    }
}

fn mint(after: &KeyValues, purpose: Purpose, retire: Option<RetiringReason>) -> Step {
    let puts = after.sinks.iter().map(|location| Put {
        location: location.clone(),
        replaces: SinkContent::Empty,
        foreign: false,
    });
    Step::Mint(Mint {
        older: RevokeOld::AfterOverlap,
        markers: vec![Marker::new("0123456789abc")],
        purpose,
        name: after.name.clone(),
        access: after.access.clone(),
        puts: puts.collect(),
        generation: 1,
        first_made: None,
        settings: Settings {
            owner: after.owner.clone(),
            protect: after.protect,
            on_delete: after.on_delete,
            patterns: BTreeSet::new(),
            locations: after.sinks.clone(),
            left_alone: BTreeSet::new(),
            overlap: Duration::from_secs(DAY),
            lifecycle: Lifecycle::default(),
            hooks: Vec::new(),
        },
        overlap: Duration::from_secs(DAY),
        retire,
        uncertain: Vec::new(),
    })
}

fn create(account: &str, address: &str, access: Access, sinks: Vec<SinkLocation>) -> Change {
    let after = KeyValues { id: None, ..values(0, &address.replace('/', "-"), access, sinks) };
    let steps = vec![mint(&after, Purpose::Create, None)];
    Change { after: Some(after), steps, ..change(account, address, Action::Create, Reason::New) }
}

fn update(account: &str, address: &str, number: usize, before: Access, after: Access) -> Change {
    let sinks = vec![vault(&format!("sendgrid/{address}"))];
    let title = address.replace('/', "-");
    let step = Step::Update {
        id: id(number),
        name: title.clone(),
        access: after.clone(),
        patterns: BTreeSet::new(),
    };
    Change {
        before: Some(values(number, &title, before, sinks.clone())),
        after: Some(values(number, &title, after, sinks)),
        steps: vec![step],
        ..change(account, address, Action::Update, Reason::ScopesEdited)
    }
}

fn delete(account: &str, address: &str, number: usize, access: Access) -> Change {
    let sinks = vec![dotenv(".env.staging", "SENDGRID_LEGACY")];
    let step = Step::Delete(Delete {
        look: Vec::new(),
        keys: vec![DeleteKey { id: id(number), born: time("2026-01-01T00:00:00Z") }],
        abandon: Vec::new(),
        clear: sinks.clone(),
        successors: Vec::new(),
    });
    Change {
        before: Some(values(number, &address.replace('/', "-"), access, sinks)),
        steps: vec![step],
        position: None,
        ..change(account, address, Action::Delete, Reason::NotWanted)
    }
}

fn account(live: u32, foreign: u32, after: u32, peak: u32) -> AccountPlan {
    AccountPlan {
        identity: AccountIdentity { parent: None, region: Region::Global, on_behalf_of: None },
        lineage: Some("8q4zfj1m6s2h7k0c5v9b3n1x4d".into()),
        serial: 41,
        observed_at: Some(time("2026-03-01T11:00:00Z")),
        order: Order::MakeFirst,
        capacity: Some(Capacity {
            limit: 100,
            max_keys: None,
            live,
            foreign,
            ours: live - foreign,
            after,
            peak,
        }),
    }
}

fn finding(severity: Severity, code: Code, address: &str, message: &str, help: &str) -> Finding {
    Finding {
        severity,
        code,
        account: Some(name("acme-prod")),
        address: Some(address.parse().expect("an address")),
        message: message.into(),
        help: Some(help.into()),
        position: Some(Position { file: "gridkey.yaml".into(), line: 31, column: 5 }),
    }
}

fn plan(accounts: Vec<(&str, AccountPlan)>, changes: Vec<Change>, findings: Vec<Finding>) -> Plan {
    Plan {
        format_version: FORMAT_VERSION,
        kind: PlanKind::Plan,
        project: name("mailing"),
        computed_from: ComputedFrom {
            manifest: vec![SourceDigest { file: "gridkey.yaml".into(), sha256: "5f".repeat(32) }],
            sinks: true,
            ..ComputedFrom::default()
        },
        allowed: Vec::new(),
        accounts: accounts.into_iter().map(|(account, planned)| (name(account), planned)).collect(),
        changes,
        findings,
    }
}

/// Every action, several kinds of access, two accounts, warnings and something that was allowed.
pub fn sample() -> Plan {
    let sender: &[&str] = &["mail.send", "mail.batch.create", "mail.batch.read"];
    let mut foreign =
        create("acme", "staging/mailer", restricted(sender), vec![dotenv(".env.staging", "MAILER")]);
    foreign.notes =
        vec![Note::Overwrites { location: dotenv(".env.staging", "MAILER"), holder: Some(id(91)) }];
    for step in &mut foreign.steps {
        if let Step::Mint(mint) = step {
            mint.puts.iter_mut().for_each(|put| {
                (put.foreign, put.replaces) = (true, SinkContent::Key(id(91)));
            });
        }
    }
    let mut deliver = change("acme-prod", "prod/reports", Action::Deliver, Reason::LocationAdded);
    let older = values(7, "Reports prod", restricted(&["stats.read"]), vec![vault("sendgrid/prod/reports")]);
    let both = vec![vault("sendgrid/prod/reports"), vault("apps/prod/reports")];
    deliver.after = Some(KeyValues { sinks: both, ..older.clone() });
    deliver.before = Some(older);
    deliver.rotation = Some(RotationDates {
        made: time("2026-02-10T08:00:00Z"),
        due: time("2026-03-12T08:00:00Z"),
        overlap: Duration::from_secs(DAY),
    });
    let mut rotate = change("acme-prod", "prod/mailer", Action::Rotate, Reason::SecretUncertain);
    let older = values(8, "Mailer prod", restricted(sender), vec![vault("sendgrid/prod/mailer")]);
    let newer = KeyValues { id: None, ..older.clone() };
    rotate.steps = vec![mint(&newer, Purpose::Replace(id(8)), Some(RetiringReason::Replaced))];
    rotate.rotation = Some(RotationDates {
        made: time("2026-01-20T08:00:00Z"),
        due: time("2026-02-19T08:00:00Z"),
        overlap: Duration::from_secs(DAY),
    });
    (rotate.before, rotate.after) = (Some(older), Some(newer));
    let mut retire = change("acme-prod", "prod/invoices", Action::Retire, Reason::OverlapPassed);
    let kept = values(
        9,
        "Invoices",
        Access::Billing(Scopes::new(scopes(&["billing.read"])).expect("one")),
        vec![vault("sendgrid/prod/invoices")],
    );
    retire.steps =
        vec![Step::RetireKey { id: id(90), born: time("2026-01-01T00:00:00Z"), look: kept.sinks.clone() }];
    (retire.before, retire.after) = (Some(kept.clone()), Some(kept));
    let mut recover = change("acme-prod", "prod/crm", Action::Recover, Reason::SecretLost);
    recover.steps = vec![Step::RevokePending { marker: Marker::new("0123456789abd"), id: id(92) }];
    recover.notes = vec![Note::Creation { marker: Marker::new("0123456789abd"), id: Some(id(92)) }];
    let mut keep = change("acme", "staging/reports", Action::Keep, Reason::InStep);
    let kept = values(
        10,
        "Reports staging",
        restricted(&["stats.read", "asm.groups.read"]),
        vec![dotenv(".env.staging", "REPORTS")],
    );
    (keep.before, keep.after) = (Some(kept.clone()), Some(kept));
    keep.notes = vec![Note::RetiringKey { id: id(93), after: time("2026-03-02T11:00:00Z") }];
    let breakglass =
        create("acme-prod", "prod/breakglass", Access::Full, vec![vault("sendgrid/prod/breakglass")]);
    let widened = update(
        "acme-prod",
        "prod/admin",
        11,
        restricted(&["templates.read", "stats.read"]),
        restricted(&["templates.read", "templates.create", "api_keys.create", "api_keys.delete"]),
    );
    let findings = vec![
        finding(
            Severity::Allowed,
            Code::ForeignValue,
            "staging/mailer",
            "local:.env.staging#MAILER holds the live key `Mailer by hand` (aQ00000000000000000091), which gridkey does not own",
            "to keep that key, adopt it",
        ),
        finding(
            Severity::Warns,
            Code::FullAccess,
            "prod/breakglass",
            "`prod/breakglass` gets Full Access: everything but billing, and other keys too",
            "name the scopes it needs, or say `policy: { full_access: { prod/breakglass: allow } }`",
        ),
    ];
    let mut document = plan(
        vec![("acme", account(12, 8, 12, 13)), ("acme-prod", account(97, 2, 99, 100))],
        vec![
            delete("acme", "staging/legacy", 12, restricted(&["mail.send"])),
            foreign,
            keep,
            recover,
            retire,
            widened,
            deliver,
            breakglass,
            rotate,
        ],
        findings,
    );
    document.allowed = vec!["foreign_value:staging/mailer".parse().expect("an allowance")];
    document
}

/// A plan of so many changes, spread over accounts of up to 100 keys: creations, updates and deletions.
pub fn large(changes: usize) -> Plan {
    let mut planned = Vec::new();
    let mut accounts = Vec::new();
    let names: Vec<String> = (0..changes.div_ceil(90)).map(|number| format!("team-{number:03}")).collect();
    for (number, account_name) in names.iter().enumerate() {
        let count = (changes - number * 90).min(90);
        accounts.push((account_name.as_str(), account(40, 5, 70, 95)));
        for key in 0..count {
            let address = format!("prod/{account_name}/service-{key:02}");
            let at = number * 100 + key;
            planned.push(match key % 3 {
                0 => create(
                    account_name,
                    &address,
                    restricted(&["mail.send", "stats.read"]),
                    vec![vault(&format!("sendgrid/{address}"))],
                ),
                1 => update(
                    account_name,
                    &address,
                    at,
                    restricted(&["mail.send"]),
                    restricted(&["mail.send", "templates.read", "asm.groups.read"]),
                ),
                _ => delete(account_name, &address, at, restricted(&["mail.send", "mail.batch.create"])),
            });
        }
    }
    planned.sort_by(|a, b| (&a.account, a.action, &a.address).cmp(&(&b.account, b.action, &b.address)));
    plan(accounts, planned, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_documents_that_can_be_read_back() {
        for plan in [sample(), large(1_000)] {
            assert_eq!(serde_json::from_str::<Plan>(&plan.to_json()).expect("a plan"), plan);
        }
        assert_eq!(large(1_000).changes.len(), 1_000);
    }
}
