//! Values in one place each: a new field of the core's types touches one line here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::hook::{Hook, HookCommandSettings, HookSettings};
use gridkey_core::inventory::{Grantable, ReadAccount};
use gridkey_core::manifest::{
    Account, AtLimit, Credential, Environment, Manifest, OnDelete, PatternEnvironment, Policy, PolicyFile,
    Position, Rotation, SourceDigest, StoreSettings, WantedAccess, WantedKey, WantedScopes,
};
use gridkey_core::plan::RevokeOld;
use gridkey_core::sink::{DotenvSettings, FileSettings, GithubActionsSettings};
use gridkey_core::state::{
    AccountState, Born, Delivery, OwnedKey, PendingKey, PendingPhase, Purpose, RetiringKey, RetiringLocation,
    RetiringReason, SecretStatus,
};
use gridkey_core::{
    Access, AccountIdentity, Address, KeyId, Name, Region, Scope, Scopes, SinkLocation, SinkSettings,
};
use jiff::{SignedDuration, Timestamp};

use super::Random;

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The `ttl` of the manifest's pattern in the manifest that was applied.
pub const APPLIED_TTL: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// When the accounts are observed, in seconds since 1970.
pub const NOW: i64 = 1_780_272_000;

pub const SCOPES: [&str; 5] =
    ["mail.send", "stats.read", "templates.read", "api_keys.create", "asm.groups.read"];

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// So many hours before the accounts are observed; after that, where the number is below zero.
pub fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

pub fn position() -> Position {
    Position { file: "gridkey.yaml".to_string(), line: 1, column: 1 }
}

pub fn source() -> SourceDigest {
    SourceDigest { file: "gridkey.yaml".to_string(), sha256: "0".repeat(64) }
}

pub fn restricted(scopes: &BTreeSet<Scope>) -> Access {
    Access::Restricted(Scopes::new(scopes.clone()).unwrap())
}

/// Whether an environment's name is one that the manifest's only pattern makes.
pub fn is_from_pattern(environment: Option<&Name>) -> bool {
    environment.is_some_and(|name| name.as_str().starts_with("pr-"))
}

/// Where the secret of an address goes in a sink.
pub fn location(sink: &str, address: &str) -> SinkLocation {
    let at = match sink {
        "local" => SinkSettings::Dotenv(DotenvSettings::new(".env", address.to_string())),
        "vault" => SinkSettings::Json(FileSettings::new("vault", format!("/{address}"))),
        _ => SinkSettings::GithubActions(GithubActionsSettings {
            repository: Some("acme/shop".to_string()),
            secret: address.to_string(),
            ..GithubActionsSettings::default()
        }),
    };
    SinkLocation::new(name(sink), at)
}

pub fn scopes_of(access: &WantedAccess) -> Option<BTreeSet<Scope>> {
    access.scopes().map(WantedScopes::all)
}

/// What a wanted access comes to, where everything can be granted.
pub fn granted(access: &WantedAccess) -> Access {
    match access {
        WantedAccess::Full => Access::Full,
        WantedAccess::Restricted(scopes) => Access::Restricted(Scopes::new(scopes.all()).unwrap()),
        WantedAccess::Billing(scopes) => Access::Billing(Scopes::new(scopes.all()).unwrap()),
    }
}

pub fn random_scopes(random: &mut Random) -> BTreeSet<Scope> {
    let mut scopes: BTreeSet<Scope> = [Scope::new(random.one_of(SCOPES))].into();
    if random.chance(50) {
        scopes.insert(Scope::new(random.one_of(SCOPES)));
    }
    scopes
}

pub fn random_access(random: &mut Random) -> WantedAccess {
    match random.below(10) {
        0 => WantedAccess::Full,
        1 => WantedAccess::Billing(wanted_scopes([Scope::new("billing.read")].into(), BTreeMap::new())),
        2 => {
            let pattern = "templates.*".to_string();
            let expanded =
                ["templates.read", "templates.create"].map(|scope| (Scope::new(scope), pattern.clone()));
            WantedAccess::Restricted(wanted_scopes(BTreeSet::new(), expanded.into()))
        }
        _ => WantedAccess::Restricted(wanted_scopes(random_scopes(random), BTreeMap::new())),
    }
}

pub fn wanted_scopes(written: BTreeSet<Scope>, expanded: BTreeMap<Scope, String>) -> Arc<WantedScopes> {
    Arc::new(WantedScopes { written, expanded, unknown: BTreeMap::new() })
}

pub fn random_rotation(random: &mut Random) -> Option<Rotation> {
    if random.chance(40) {
        return None;
    }
    Some(Rotation {
        every: DAY * random.one_of([30, 90]),
        overlap: random.one_of([Duration::ZERO, DAY, DAY * 3]),
        warn_before: random.chance(20).then_some(DAY * 7),
        at_limit: random.one_of([AtLimit::Postpone, AtLimit::Postpone, AtLimit::Replace, AtLimit::Block]),
    })
}

pub fn random_sinks(address: &str, random: &mut Random) -> Vec<SinkLocation> {
    let sinks: &[&str] = match random.below(8) {
        0 => &["local", "vault"],
        1 => &["local", "github"],
        2 => &["github"],
        3 => &["vault"],
        _ => &["local"],
    };
    sinks.iter().map(|sink| location(sink, address)).collect()
}

pub fn wanted_key(address: &Address, account: &Name, random: &mut Random) -> WantedKey {
    let text = address.to_string();
    WantedKey {
        address: address.clone(),
        account: account.clone(),
        name: text.replace('/', "-"),
        access: random_access(random),
        sinks: random_sinks(&text, random),
        hooks: hooks(&text),
        owner: random.chance(70).then(|| "growth".to_string()),
        description: None,
        protect: random.chance(20),
        rotate: random_rotation(random),
        ttl: is_from_pattern(address.environment.as_ref()).then_some(APPLIED_TTL),
        on_delete: if random.chance(80) { OnDelete::Clear } else { OnDelete::Keep },
        position: position(),
    }
}

/// What is done about deliveries: of some addresses, and always the same, so that no other draw becomes another.
fn hooks(address: &str) -> Vec<Hook> {
    let sum: usize = address.bytes().map(usize::from).sum();
    let sink = (sum.is_multiple_of(2)).then(|| Name::new("local").unwrap());
    let run = vec!["restart".to_string()];
    let hook = Hook { sink, does: HookSettings::Command(HookCommandSettings { run, env: Vec::new() }) };
    if sum.is_multiple_of(3) { vec![hook] } else { Vec::new() }
}

pub fn patterns(wanted: &WantedKey) -> BTreeSet<String> {
    wanted.access.scopes().map(|scopes| scopes.expanded.values().cloned().collect()).unwrap_or_default()
}

/// A key as state has it once what is wanted was applied.
pub fn owned_key(id: KeyId, wanted: &WantedKey, born: Timestamp, generation: u32) -> OwnedKey {
    OwnedKey {
        id,
        name: wanted.name.clone(),
        held_name: None,
        hooks_due: Vec::new(),
        access: granted(&wanted.access),
        reported: scopes_of(&wanted.access),
        patterns: patterns(wanted),
        generation,
        follows: None,
        kept_until: None,
        born: Born::Created(born),
        first_made: None,
        moved_from: None,
        short_lived: wanted.ttl.is_some(),
        makes_room: false,
        lifecycle: Some(wanted.lifecycle()),
        secret: SecretStatus::Delivered,
        owner: wanted.owner.clone(),
        protect: wanted.protect,
        on_delete: wanted.on_delete,
        sinks: wanted.sinks.iter().map(|sink| Delivery::new(sink.clone(), born)).collect(),
        by: "test".to_string(),
        retiring: Vec::new(),
        retiring_locations: Vec::new(),
    }
}

pub fn retiring_key(id: KeyId, after: Timestamp, held: bool) -> RetiringKey {
    RetiringKey { id, after, born: ago(24 * 60), why: RetiringReason::Replaced, held, reported: None }
}

pub fn retiring_location(
    location: SinkLocation,
    after: Timestamp,
    given: BTreeSet<KeyId>,
) -> RetiringLocation {
    RetiringLocation { location, after, given, known: None }
}

pub fn pending_key(wanted: &WantedKey, purpose: Purpose, phase: PendingPhase, at: Timestamp) -> PendingKey {
    PendingKey {
        address: wanted.address.clone(),
        purpose,
        name: wanted.name.clone(),
        access: granted(&wanted.access),
        locations: wanted.sinks.clone(),
        phase,
        older: RevokeOld::AfterOverlap,
        at,
        by: "test".to_string(),
    }
}

pub fn account(text: &str) -> Account {
    Account {
        name: name(text),
        parent: None,
        api_key: Credential::Env(text.to_string()),
        plan_api_key: None,
        on_behalf_of: None,
        region: Region::Global,
        key_limit: 100,
        max_keys: None,
        position: position(),
    }
}

pub fn identity() -> AccountIdentity {
    AccountIdentity { parent: None, region: Region::Global, on_behalf_of: None }
}

pub fn state(account: &Name) -> AccountState {
    let mut state =
        AccountState::new(name("mailing"), account.clone(), identity(), format!("lineage-{account}"));
    state.managing_key = Some(managing_key(account));
    state
}

pub fn managing_key(account: &Name) -> KeyId {
    KeyId::new(format!("managing-{account}"))
}

pub fn read_account(account: &Name) -> ReadAccount {
    ReadAccount {
        at: now(),
        only_plans: false,
        managing_key: Some(managing_key(account)),
        live: [(managing_key(account), "managing".to_string())].into(),
        details: BTreeMap::new(),
        grantable: Grantable::NotAsked,
    }
}

fn environment(text: &str, accounts: Vec<Name>) -> Environment {
    let pattern = is_from_pattern(Some(&name(text)));
    Environment {
        name: name(text),
        fan_out: accounts.len() > 1,
        accounts,
        pattern: pattern.then(|| "pr-*".to_string()),
        ttl: pattern.then_some(APPLIED_TTL),
        max_keys: None,
        position: position(),
    }
}

pub fn pattern_environment() -> PatternEnvironment {
    PatternEnvironment {
        pattern: "pr-*".to_string(),
        accounts: vec![name("acme")],
        ttl: Some(APPLIED_TTL),
        max_keys: None,
        position: position(),
    }
}

pub fn manifest(flat: bool) -> Manifest {
    let environments = match flat {
        true => Vec::new(),
        false => vec![
            environment("prod", vec![name("acme")]),
            environment("stage", vec![name("acme")]),
            environment("pr-1", vec![name("acme")]),
            environment("tenants", vec![name("acme"), name("beta")]),
        ],
    };
    Manifest {
        project: name("mailing"),
        state: StoreSettings::default(),
        accounts: BTreeMap::new(),
        sinks: BTreeMap::new(),
        environments: environments.into_iter().map(|known| (known.name.clone(), known)).collect(),
        patterns: if flat { BTreeMap::new() } else { [("pr-*".to_string(), pattern_environment())].into() },
        keys: BTreeMap::new(),
        moved: Vec::new(),
        import: Vec::new(),
        removed: Vec::new(),
        policy: Policy::default(),
        sources: vec![source()],
    }
}

pub fn policy_file() -> PolicyFile {
    PolicyFile { policy: Policy::default(), source: source() }
}

/// A key with two settings of its own, for worlds of many keys.
pub fn wanted_key_of(address: &Address, account: &Name) -> WantedKey {
    let mut key = wanted_key(address, account, &mut Random::new(1));
    key.access = scopes([Scope::new("mail.send")].into());
    key.sinks = vec![location("local", &address.to_string())];
    key.owner = Some("growth".to_string());
    key.rotate = Some(rotation(DAY * 30));
    key
}

pub fn scopes(written: BTreeSet<Scope>) -> WantedAccess {
    WantedAccess::Restricted(wanted_scopes(written, BTreeMap::new()))
}

pub fn rotation(every: Duration) -> Rotation {
    Rotation { every, overlap: DAY, warn_before: None, at_limit: AtLimit::Postpone }
}
