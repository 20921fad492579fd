//! The manifest of keys that exist already, in one account or in a parent and its subusers, to start from.
//!
//! Every key gets an `import` entry, so that applying the manifest adopts what is there and makes nothing. What
//! cannot be known (whose a key is, what uses it, where its secret is) stands in it as a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::access::Scope;
use crate::catalogue::Catalogue;
use crate::identity::{OnBehalfOf, Region};
use crate::inventory::Grantable;
use crate::inventory::may_be_full;
use crate::key::{KeyId, Marker};
use crate::manifest::{SourceFile, load};
use crate::name::Name;
use crate::sink::{SinkKind, SinkSettings};

/// What a manifest is written from.
#[derive(Clone, Debug)]
pub struct LiveAccount {
    pub account: AccountEntry,
    /// The live keys.
    pub keys: Vec<LiveKey>,
    /// The key that the account was read with; it is left out.
    pub managing_key: Option<KeyId>,
    pub grantable: Grantable,
    /// Where secrets were found, by the key they belong to.
    pub found: BTreeMap<KeyId, Vec<SinkSettings>>,
}

/// The account that the keys live in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEntry {
    pub name: Name,
    /// The environment variable with the managing key.
    pub api_key: String,
    pub region: Region,
    /// Whose account it is, where it is not the managing key's own.
    pub on_behalf_of: Option<OnBehalfOf>,
    /// The account of the managing key, where the manifest has that too.
    pub parent: Option<Name>,
}

/// A live key as SendGrid shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveKey {
    pub id: KeyId,
    pub name: String,
    pub scopes: BTreeSet<Scope>,
}

/// A manifest, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenManifest {
    pub text: String,
    /// How many keys it has.
    pub keys: usize,
    pub left_out: Vec<LeftOut>,
    /// Places that hold a key and that a manifest has no words for.
    pub unnamed: Vec<(KeyId, SinkSettings)>,
}

/// A live key that the manifest does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub account: Name,
    pub id: KeyId,
    pub name: String,
    pub why: &'static str,
}

/// A key of the manifest.
struct Entry<'a> {
    name: Name,
    account: &'a AccountEntry,
    /// Whether the key has to say in which account it is.
    names_account: bool,
    key: &'a LiveKey,
    access: EntryAccess,
    /// The set that its scopes are written as.
    set: Option<Name>,
    sinks: Vec<&'a SinkSettings>,
}

enum EntryAccess {
    Full,
    Restricted(BTreeSet<Scope>),
    Billing(BTreeSet<Scope>),
}

/// Writes the manifest of one account, or of several below one another.
pub fn manifest_from_accounts(all: &[LiveAccount]) -> WrittenManifest {
    let (entries, mut left_out) = entries(all);
    // What the manifest's own rules refuse, such as an empty name, is found by asking them.
    let (mut entries, refused): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| reads_back(entry, &[]));
    let mut unnamed = Vec::new();
    for entry in &mut entries {
        let sinks = std::mem::take(&mut entry.sinks);
        let (named, odd): (Vec<_>, Vec<_>) = sinks.into_iter().partition(|sink| reads_back(entry, &[*sink]));
        unnamed.extend(odd.into_iter().map(|sink| (entry.key.id.clone(), sink.clone())));
        entry.sinks = named;
    }
    left_out.extend(refused.into_iter().map(|entry| LeftOut {
        account: entry.account.name.clone(),
        id: entry.key.id.clone(),
        name: entry.key.name.clone(),
        why: "a manifest cannot have its name: rename it at SendGrid, and run this again",
    }));
    let (entries, sets) = fold(entries);
    let text = write(all, &entries, &sets, &left_out);
    WrittenManifest { text, keys: entries.len(), left_out, unnamed }
}

/// A key of the manifest for each live one, and those that cannot be such.
fn entries(all: &[LiveAccount]) -> (Vec<Entry<'_>>, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let mut taken: BTreeSet<Name> = BTreeSet::new();
    let mut entries = Vec::new();
    for live in all {
        let account = &live.account;
        let mut keys: Vec<&LiveKey> = live.keys.iter().collect();
        keys.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        for key in keys {
            let (id, named) = (key.id.clone(), key.name.clone());
            let access = match access(live, key) {
                Ok(access) => access,
                Err(why) => {
                    left_out.push(LeftOut { account: account.name.clone(), id, name: named, why });
                    continue;
                }
            };
            // Subusers are set up alike, and so are the names of their keys.
            let name = match &account.parent {
                Some(_) => free_name(&format!("{} {named}", account.name), &mut taken),
                None => free_name(&named, &mut taken),
            };
            let sinks = live.found.get(&key.id).into_iter().flatten().collect();
            let names_account = account.on_behalf_of.is_some() || all.len() > 1;
            entries.push(Entry { name, account, names_account, key, access, set: None, sinks });
        }
    }
    (entries, left_out)
}

/// What a key may do, as a manifest says it; or why it is left out.
fn access(live: &LiveAccount, key: &LiveKey) -> Result<EntryAccess, &'static str> {
    if live.managing_key.as_ref() == Some(&key.id) {
        return Err("it is the managing key, with which gridkey works; it is never managed itself");
    }
    if Marker::in_name(&key.name).is_some() {
        return Err("a run of gridkey began it: the project it belongs to decides what becomes of it");
    }
    let scopes: BTreeSet<Scope> = key.scopes.iter().filter(|scope| !scope.is_automatic()).cloned().collect();
    let billing = scopes.iter().filter(|scope| scope.is_billing()).count();
    match billing {
        _ if scopes.is_empty() => Err("it holds no scope that a manifest could ask for"),
        0 if may_be_full(&scopes, &live.grantable) => Ok(EntryAccess::Full),
        0 => Ok(EntryAccess::Restricted(scopes)),
        billing if billing == scopes.len() => Ok(EntryAccess::Billing(scopes)),
        _ => Err("it holds billing scopes and others, which no key of a manifest can"),
    }
}

/// A name that a manifest may have, from one at SendGrid: `Mailer (EU)` becomes `mailer-eu`.
pub fn free_name(name: &str, taken: &mut BTreeSet<Name>) -> Name {
    /// Room for a number behind it.
    const LONGEST: usize = 58;
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() >= LONGEST {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "key" } else { slug };
    let mut numbered = (2..).map(|number| format!("{slug}-{number}"));
    let mut text = slug.to_string();
    loop {
        let name = Name::new(text).expect("letters, digits and single hyphens, short, none at the ends");
        if taken.insert(name.clone()) {
            return name;
        }
        text = numbered.next().expect("numbers do not end");
    }
}

/// Whether the manifest with this key alone, at these places, says just what the key is.
fn reads_back(entry: &Entry<'_>, sinks: &[&SinkSettings]) -> bool {
    let mut text = head(&[entry.account]);
    write_sinks(&mut text, sinks.iter().copied());
    text.push_str("keys:\n");
    write_entry(&mut text, entry, sinks);
    write_import(&mut text, std::slice::from_ref(entry));
    let file = SourceFile { name: "gridkey.yaml".to_string(), bytes: text.into_bytes() };
    load(&[file], &[])
        .is_ok_and(|loaded| loaded.manifest.keys.values().all(|wanted| wanted.name == entry.key.name))
}

/// Scopes that several keys share become a set, named after the first of them.
fn fold(mut entries: Vec<Entry<'_>>) -> (Vec<Entry<'_>>, BTreeMap<Name, BTreeSet<Scope>>) {
    let mut sharing: BTreeMap<BTreeSet<Scope>, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if let EntryAccess::Restricted(scopes) = &entry.access
            && scopes.len() > 1
        {
            sharing.entry(scopes.clone()).or_default().push(index);
        }
    }
    let mut sets = BTreeMap::new();
    for (scopes, indices) in sharing.into_iter().filter(|(_, indices)| indices.len() > 1) {
        let name = entries[indices[0]].name.clone();
        for index in indices {
            entries[index].set = Some(name.clone());
        }
        sets.insert(name, scopes);
    }
    (entries, sets)
}

fn write(
    all: &[LiveAccount],
    entries: &[Entry<'_>],
    sets: &BTreeMap<Name, BTreeSet<Scope>>,
    left_out: &[LeftOut],
) -> String {
    let whose = if all.len() > 1 { "an account and its subusers" } else { "an account" };
    let mut text = format!("# The live keys of {whose}, as they are. ");
    text.push_str(
        "Applying this adopts them: no key is made, changed or revoked.\n\
         #\n\
         #   gridkey plan        shows the adoption; `→` is all there should be\n\
         #   gridkey apply       carries it out, in state alone\n\
         #   gridkey validate    says, once that is done, that the `import` entries can go\n\
         #\n\
         # What SendGrid cannot tell is for you to add: who owns a key (`owner`), what uses it (`description`), and\n\
         # where its secret is (`sinks`), if that is not known yet. Without a sink a key cannot be rotated.\n",
    );
    text.push_str(&head(&all.iter().map(|live| &live.account).collect::<Vec<_>>()));
    write_sinks(&mut text, entries.iter().flat_map(|entry| entry.sinks.iter().copied()));
    if !sets.is_empty() {
        text.push_str("\n# Scopes that several keys share.\nscope_sets:\n");
        for (name, scopes) in sets {
            let _ = writeln!(text, "  {}:", plain(name));
            write_scopes(&mut text, scopes, "    ");
        }
    }
    text.push_str(if entries.is_empty() { "\nkeys: {}\n" } else { "\nkeys:\n" });
    for entry in entries {
        write_entry(&mut text, entry, &entry.sinks);
    }
    if !entries.is_empty() {
        text.push('\n');
        write_import(&mut text, entries);
    }
    if !left_out.is_empty() {
        text.push_str("\n# Not in this manifest:\n");
        for LeftOut { account, id, name, why } in left_out {
            let place = if all.len() > 1 { format!(" of {account}") } else { String::new() };
            let _ = writeln!(text, "#   {id} {}{place}: {why}", quoted(name));
        }
    }
    text
}

fn head(accounts: &[&AccountEntry]) -> String {
    let mut text = "version: 1\n\naccounts:\n".to_string();
    let mut written: BTreeSet<&str> = BTreeSet::new();
    for account in accounts {
        let AccountEntry { name, api_key, region, on_behalf_of, parent } = account;
        let region = match region {
            Region::Global => "",
            Region::Eu => ", region: eu",
        };
        let Some(whose) = on_behalf_of else {
            let _ = writeln!(text, "  {name}: {{ api_key: {{ env: {api_key} }}{region} }}");
            written.insert(name.as_str());
            continue;
        };
        let other = if name.as_str() == "main" { "parent" } else { "main" };
        let parent = parent.as_ref().map_or(other, Name::as_str);
        if written.insert(parent) {
            let _ = writeln!(text, "  {parent}: {{ api_key: {{ env: {api_key} }}{region} }}");
        }
        let whose = match whose {
            OnBehalfOf::Subuser(name) => format!("subuser: {}", quoted(name)),
            OnBehalfOf::AccountId(id) => format!("account_id: {}", quoted(id)),
        };
        let _ = writeln!(text, "  {}: {{ parent: {parent}, {whose}{region} }}", plain(name));
    }
    text.push('\n');
    text
}

/// The kinds of sinks that secrets are found in, and what a sink of each says for keys that are not there yet.
const SINKS: [(SinkKind, &str); 3] = [
    (SinkKind::Dotenv, r#"{ path: .env, variable: "SENDGRID_{KEY}" }"#),
    (SinkKind::Json, r#"{ path: secrets.json, pointer: "/sendgrid/{key}" }"#),
    (SinkKind::Yaml, r#"{ path: secrets.yaml, pointer: "/sendgrid/{key}" }"#),
];

/// A sink for each kind that secrets were found in; each key says where in it.
fn write_sinks<'a>(text: &mut String, sinks: impl Iterator<Item = &'a SinkSettings>) {
    let kinds: BTreeSet<SinkKind> = sinks.map(SinkSettings::kind).collect();
    if kinds.is_empty() {
        return;
    }
    text.push_str("# Where secrets were found. Each key says where in these its own is.\nsinks:\n");
    for (kind, settings) in SINKS.into_iter().filter(|(kind, _)| kinds.contains(kind)) {
        let _ = writeln!(text, "  {kind}: {{ {kind}: {settings} }}");
    }
}

fn write_entry(text: &mut String, entry: &Entry<'_>, sinks: &[&SinkSettings]) {
    let Entry { name, account, names_account, key, access, set, sinks: _ } = entry;
    let _ = writeln!(text, "  {}:", plain(name));
    if key.name != name.as_str() {
        let _ = writeln!(text, "    name: {}", quoted(&doubled(&key.name)));
    }
    if *names_account {
        let _ = writeln!(text, "    account: {}", plain(&account.name));
    }
    match (access, set) {
        (EntryAccess::Full, _) => {
            let held = key.scopes.len();
            let _ =
                writeln!(text, "    access: full  # it holds {held} scopes, as a key with Full Access does");
        }
        (EntryAccess::Restricted(_), Some(set)) => {
            let _ = writeln!(text, "    scopes: [\"set:{set}\"]");
        }
        (EntryAccess::Restricted(scopes), None) => {
            text.push_str("    scopes:\n");
            write_scopes(text, scopes, "      ");
        }
        (EntryAccess::Billing(scopes), _) => {
            text.push_str("    access: billing\n    scopes:\n");
            write_scopes(text, scopes, "      ");
        }
    }
    if !sinks.is_empty() {
        text.push_str("    sinks:\n");
        for sink in sinks {
            let _ = writeln!(text, "      - {}", place(sink));
        }
    }
}

fn write_import(text: &mut String, entries: &[Entry<'_>]) {
    text.push_str("# These adopt the keys, and do nothing once that is done.\nimport:\n");
    for Entry { name, key, .. } in entries {
        let _ = writeln!(text, "  - {{ to: {}, id: {} }}", plain(name), quoted(key.id.as_str()));
    }
}

fn write_scopes(text: &mut String, scopes: &BTreeSet<Scope>, indent: &str) {
    for scope in scopes {
        let unknown = if Catalogue::builtin().contains(scope) || scope.is_billing() {
            ""
        } else {
            "  # not in gridkey's catalogue; `plan` asks the account whether it knows it"
        };
        let _ = writeln!(text, "{indent}- {}{unknown}", quoted(scope.as_str()));
    }
}

/// A location, as a sink with what differs.
fn place(sink: &SinkSettings) -> String {
    let field = |text: &str| quoted(&doubled(text));
    match sink {
        SinkSettings::Dotenv(settings) => {
            format!("dotenv: {{ path: {}, variable: {} }}", field(&settings.path), field(&settings.variable))
        }
        SinkSettings::Json(settings) => {
            format!("json: {{ path: {}, pointer: {} }}", field(&settings.path), field(&settings.pointer))
        }
        SinkSettings::Yaml(settings) => {
            format!("yaml: {{ path: {}, pointer: {} }}", field(&settings.path), field(&settings.pointer))
        }
        // Only files are looked through.
        other => other.kind().to_string(),
    }
}

/// Braces as they are written where placeholders may stand.
fn doubled(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A name as it stands in YAML: in quotes where it would be read as something else.
fn plain(name: &Name) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let text = name.as_str();
    let is_text = text.starts_with(|c: char| c.is_ascii_lowercase()) && !WORDS.contains(&text);
    if is_text { text.to_string() } else { quoted(text) }
}

/// A text in double quotes, with everything escaped that YAML would take for something else: every JSON
/// string is one of YAML, once control characters and line breaks of other scripts are written out.
fn quoted(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is a JSON string");
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Loaded, WantedAccess};

    fn key(number: usize, name: &str, scopes: &[&str]) -> LiveKey {
        LiveKey {
            id: KeyId::new(format!("abcdefghijklmnopqr{number:04}")),
            name: name.to_string(),
            scopes: scopes.iter().copied().map(Scope::new).collect(),
        }
    }

    fn of(keys: Vec<LiveKey>) -> LiveAccount {
        LiveAccount {
            account: AccountEntry {
                name: Name::new("main").expect("a name"),
                api_key: "SENDGRID_API_KEY".to_string(),
                region: Region::Global,
                on_behalf_of: None,
                parent: None,
            },
            keys,
            managing_key: Some(KeyId::new("managing")),
            grantable: Grantable::NotAsked,
            found: BTreeMap::new(),
        }
    }

    fn manifest_from_account(live: &LiveAccount) -> WrittenManifest {
        manifest_from_accounts(std::slice::from_ref(live))
    }

    fn read(written: &WrittenManifest) -> Loaded {
        let file = SourceFile { name: "gridkey.yaml".to_string(), bytes: written.text.clone().into_bytes() };
        load(&[file], &[]).unwrap_or_else(|problems| panic!("{problems:?}\n{}", written.text))
    }

    /// Every key of the manifest is wanted just as it is.
    fn check(keys: &[LiveKey], written: &WrittenManifest) {
        let manifest = read(written).manifest;
        assert_eq!(manifest.keys.len(), written.keys);
        assert_eq!(written.keys + written.left_out.len(), keys.len());
        for import in &manifest.import {
            let crate::manifest::ImportKey::Id(id) = &import.key else { panic!("by id") };
            let live = keys.iter().find(|key| &key.id == id).expect("a live key");
            let wanted = &manifest.keys[&import.to];
            assert_eq!(wanted.name, live.name);
            let expected: BTreeSet<Scope> =
                live.scopes.iter().filter(|scope| !scope.is_automatic()).cloned().collect();
            match &wanted.access {
                WantedAccess::Full => assert!(may_be_full(&expected, &Grantable::NotAsked)),
                WantedAccess::Restricted(scopes) | WantedAccess::Billing(scopes) => {
                    let all: BTreeSet<Scope> =
                        scopes.all().into_iter().chain(scopes.unknown.keys().cloned()).collect();
                    assert_eq!(all, expected);
                }
            }
        }
    }

    #[test]
    fn names_of_every_kind_are_read_back_as_they_are() {
        let names = [
            "Mailer",
            "mailer",
            "MAILER!",
            "Mailer (EU)",
            "{environment}",
            "a: b # c",
            "tab\tand\nline",
            "quote \" and \\ back",
            "ünïcödé ✉",
            "  spaces  ",
            "null",
            "12",
            "- dash",
            "{{",
            "}",
            "'",
            "%",
            "\u{2028}line",
            "\u{85}next",
            "very long ".repeat(9).as_str(),
            "@at",
            "*star",
            "&and",
            "!bang",
        ]
        .map(ToString::to_string);
        let keys: Vec<_> =
            names.iter().enumerate().map(|(number, name)| key(number, name, &["mail.send"])).collect();
        let written = manifest_from_account(&of(keys.clone()));
        check(&keys, &written);
        let left: Vec<_> = written.left_out.iter().map(|left| left.name.as_str()).collect();
        // Manifests refuse control characters, and spaces at the ends.
        let odd =
            |name: &&str| name.trim() != *name || name.chars().any(|c| c.is_control() || c == '\u{2028}');
        assert_eq!(left, {
            let mut odd: Vec<_> = names.iter().map(String::as_str).filter(odd).collect();
            odd.sort_unstable();
            odd
        });
        assert!(written.keys >= 18);
        assert_eq!(manifest_from_account(&of(keys)), written);
    }

    #[test]
    fn a_name_that_no_manifest_can_have_is_left_out_and_said() {
        let keys = vec![key(1, "", &["mail.send"]), key(2, "fine", &["mail.send"])];
        let written = manifest_from_account(&of(keys.clone()));
        check(&keys, &written);
        assert_eq!(written.left_out.len(), 1);
        assert!(written.left_out[0].why.contains("rename it"));
    }

    #[test]
    fn scopes_that_are_shared_become_a_set_and_nothing_else_is_folded() {
        let keys = vec![
            key(1, "one", &["mail.send", "stats.read"]),
            key(2, "two", &["stats.read", "mail.send", "2fa_required"]),
            key(3, "three", &["mail.send"]),
            key(4, "four", &["mail.send"]),
            key(5, "five", &["templates.read", "some.new.scope"]),
            key(6, "six", &["billing.read", "billing.update"]),
        ];
        let written = manifest_from_account(&of(keys.clone()));
        check(&keys, &written);
        assert_eq!(written.text.matches("set:one").count(), 2, "{}", written.text);
        assert_eq!(written.text.matches("set:").count(), 2, "{}", written.text);
        assert!(written.text.contains("\"some.new.scope\"  # not in gridkey's catalogue"));
        assert!(!written.text.contains("2fa_required"));
    }

    #[test]
    fn what_is_no_key_of_a_project_is_left_out() {
        let mut managing = key(1, "managing key", &["mail.send", "api_keys.create"]);
        managing.id = KeyId::new("managing");
        let keys = vec![
            managing,
            key(2, "Mailer [gridkey:abcdefghijklm]", &["mail.send"]),
            key(3, "mixed", &["mail.send", "billing.read"]),
            key(4, "automatic", &["2fa_required"]),
        ];
        let written = manifest_from_account(&of(keys.clone()));
        check(&keys, &written);
        assert_eq!(written.keys, 0);
        assert_eq!(written.left_out.len(), 4);
    }

    #[test]
    fn a_subusers_keys_name_their_account() {
        let mut wanted = of(vec![key(1, "one", &["mail.send"])]);
        wanted.account.on_behalf_of = Some(OnBehalfOf::Subuser("team: a".to_string()));
        wanted.account.region = Region::Eu;
        let manifest = read(&manifest_from_account(&wanted)).manifest;
        let account = &manifest.accounts[&wanted.account.name];
        assert_eq!(account.on_behalf_of, wanted.account.on_behalf_of);
        assert_eq!(account.region, Region::Eu);
    }

    #[test]
    fn subusers_with_keys_of_one_name_are_written_with_their_accounts() {
        let parent = of(vec![key(1, "Mailer", &["mail.send", "stats.read"])]);
        let children = ["null", "team-b", "no-keys"].into_iter().enumerate().map(|(number, name)| {
            let keys = match name {
                "no-keys" => Vec::new(),
                _ => vec![
                    key(10 + number, "Mailer", &["mail.send", "stats.read"]),
                    key(20 + number, "", &["mail.send"]),
                ],
            };
            let mut child = of(keys);
            child.account.name = Name::new(name).expect("a name");
            child.account.on_behalf_of = Some(OnBehalfOf::Subuser(format!("{name} user")));
            child.account.parent = Some(parent.account.name.clone());
            child
        });
        let all: Vec<LiveAccount> = std::iter::once(parent.clone()).chain(children).collect();
        let written = manifest_from_accounts(&all);
        let manifest = read(&written).manifest;
        assert_eq!(manifest.accounts.len(), 4, "{}", written.text);
        let keys: Vec<String> = manifest
            .keys
            .values()
            .map(|key| format!("{} {} {}", key.address, key.account, key.name))
            .collect();
        assert_eq!(keys, ["mailer main Mailer", "null-mailer null Mailer", "team-b-mailer team-b Mailer"]);
        assert_eq!(
            written.left_out.iter().map(|left| left.account.as_str()).collect::<Vec<_>>(),
            ["null", "team-b"]
        );
        assert_eq!(written.text.matches("set:mailer").count(), 3, "{}", written.text);
        assert_eq!(manifest.accounts[&all[1].account.name].on_behalf_of, all[1].account.on_behalf_of);
    }
}
