//! The manifest's shape: its fields, their descriptions and the JSON Schema. The parser takes the names of
//! fields, and which of them are required, from here.

use std::marker::PhantomData;
use std::sync::OnceLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use strum::VariantArray;

use crate::finding::Code;
use crate::hook::HookSettings;
use crate::identity::Region;
use crate::manifest::model::{AtLimit, OnDelete, StoreSettings};
use crate::manifest::policy::{RequiredSink, Vanished, Verdict};
use crate::name::Name;
use crate::sink::{SinkKind, SinkSettings};

/// The JSON Schema of a manifest file, draft 2020-12.
///
/// It accepts what the parser accepts, as far as one file can be judged without the others and without
/// following names: that an account exists, or that a placeholder has a value, only the parser sees.
pub fn manifest_schema() -> Value {
    shape().clone()
}

/// The JSON Schema of a policy file, draft 2020-12: the fields of a manifest's `policy`.
pub fn policy_schema() -> Value {
    let mut schema = root_schema::<PolicyBlock>("gridkey policy");
    // A file for any manifest names no sinks of one.
    schema["$defs"]["RequiredSinkText"] = json!({
        "type": "string",
        "pattern": format!("^({})?({})$", RequiredSink::KIND, sink_kinds()),
        "description": "A kind of sink, with `kind:` in front or not.",
    });
    schema["properties"]["require_sink"]["description"] = json!("Kinds of sinks that every key needs, each.");
    schema
}

/// The kinds of sinks, as alternatives of a regular expression.
fn sink_kinds() -> String {
    SinkKind::ALL.map(SinkKind::as_str).join("|")
}

/// The schema, made once.
fn shape() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = root_schema::<ManifestFile>("gridkey manifest");
        let sinks = schema["$defs"]["SinkSettings"]["oneOf"].as_array_mut().into_iter().flatten();
        for choice in sinks {
            choice["properties"]["after_delivery"] = json!({
                "description": "What is done once a delivery to the sink is recorded.",
                "$ref": "#/$defs/HookSettings",
            });
        }
        schema
    })
}

fn root_schema<T: JsonSchema>(title: &str) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = false;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    let definitions = schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten();
    definitions.filter(|(name, _)| name.ends_with("Settings")).for_each(|(_, block)| not_empty(block));
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), json!(title));
    }
    schema
}

/// No text or list in the settings of a sink or store is empty.
fn not_empty(block: &mut Value) {
    let fields = block.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, field) in fields {
        match field.get("type").and_then(Value::as_str) {
            // A text of a form of its own is not empty anyway.
            Some("string") if field.get("pattern").is_some() || field.get("enum").is_some() => {}
            Some("string") => field["pattern"] = json!(NON_EMPTY),
            Some("array") => {
                field["minItems"] = json!(1);
                field["items"]["pattern"] = json!(NON_EMPTY);
            }
            _ => {}
        }
    }
}

/// YAML's `null` is never a value here, while an optional field of Rust is one that may be null.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
                choices.retain(|choice| choice != &json!({ "type": "null" }));
                match &mut choices[..] {
                    [Value::Object(only)] => {
                        let only = std::mem::take(only);
                        for (name, value) in only {
                            object.entry(name).or_insert(value);
                        }
                    }
                    _ => {
                        object.insert("anyOf".into(), Value::Array(choices));
                    }
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the parser needs to know of a block.
pub(crate) struct Shape {
    object: Option<&'static Map<String, Value>>,
}

impl Shape {
    /// A block by the name of its type here, or of its settings' type.
    pub fn of(block: &str) -> Self {
        let found = if block == "ManifestFile" { Some(shape()) } else { shape()["$defs"].get(block) };
        debug_assert!(found.is_some(), "the schema has a definition `{block}`");
        Self { object: found.and_then(Value::as_object) }
    }

    /// The names of its fields, in the order of their description.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        let properties = self.object.and_then(|object| object.get("properties")).and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    pub fn required(&self) -> impl Iterator<Item = &'static str> {
        let required = self.object.and_then(|object| object.get("required")).and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The schema of one field.
    pub fn field(&self, name: &str) -> Option<&'static Value> {
        self.object?.get("properties")?.get(name)
    }

    /// For a choice by key (`{ vault: … }`): each key, and the name of the block under it.
    pub fn choices(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let choices = self.object.and_then(|object| object.get("oneOf")).and_then(Value::as_array);
        choices.into_iter().flatten().filter_map(|choice| {
            let (name, value) = choice.get("properties")?.as_object()?.iter().next()?;
            let block = value.get("$ref").and_then(Value::as_str).unwrap_or_default();
            Some((name.as_str(), block.rsplit('/').next().unwrap_or_default()))
        })
    }
}

/// A text of a certain form, as the schema knows it.
macro_rules! text {
    ($($name:ident, $pattern:expr, $description:expr;)*) => { $(
        struct $name;
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    )* };
}

const NON_EMPTY: &str = r"\S";

const NAME: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

text! {
    Length, r"^[0-9]{1,6}[wdhms]$", "A length of time: `45s`, `90m`, `24h`, `30d` or `2w`.";
    Percent, r"^([0-9]|[1-9][0-9]|100)%$", "A share in percent, such as `30%`.";
    Day, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "A day, such as `2027-01-31`.";
    NamePattern, r"^[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?$",
        "A name, or a pattern in which `*` stands for any characters.";
    EnvironmentChoice, r"^!?[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?$",
        "The name of an environment, a pattern, or either with `!` in front to leave it out.";
    AddressText, format!("^({NAME}/){{0,2}}{NAME}$"),
        "An address: `key`, `environment/key` or `environment/account/key`.";
    AddressPattern, r"^[a-z0-9*-]+(/[a-z0-9*-]+){0,2}$", "An address, or a pattern of addresses with `*`.";
    RequiredSinkText, format!("^(({})({})|{NAME})$", RequiredSink::KIND, sink_kinds()),
        "The name of a sink, or `kind:KIND` for any sink of a kind, such as `kind:vault`.";
    ScopeText, NON_EMPTY,
        "A scope (`mail.send`), `set:NAME`, `PREFIX.*`, `PREFIX:read`, `PREFIX:full` or `all:read`.";
    ForbiddenScopeText, r"^(?!set:)[\s\S]*\S",
        "A scope (`mail.send`), `PREFIX.*`, `PREFIX:read`, `PREFIX:full` or `all:read`.";
    Variable, "^[A-Za-z_][A-Za-z0-9_]*$", "The name of an environment variable.";
    NonEmpty, NON_EMPTY, "Text that is not empty.";
}

/// A value that holds everywhere, or one by place.
struct MaybeByPlace<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for MaybeByPlace<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}ByPlace", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [value, by_place(&value)],
        })
    }
}

/// A value that holds everywhere, or one by account.
struct MaybeByAccount<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for MaybeByAccount<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}ByAccount", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        let by_account = json_schema!({
            "description": "A value by `default`, others by account.",
            "type": "object",
            "properties": { "default": with_description(value.clone(), "What holds for all others.") },
            "patternProperties": { format!("^{NAME}$"): value },
            "additionalProperties": false,
        });
        json_schema!({ "anyOf": [value, by_account] })
    }
}

/// A value by `default`, others by selector.
fn by_place(value: &Schema) -> Schema {
    json_schema!({
        "description": "A value by `default`, others by address, environment, account, or pattern of an address.",
        "type": "object",
        "properties": { "default": with_description(value.clone(), "What holds for all others.") },
        "patternProperties": { r"^[a-z0-9*-]+(/[a-z0-9*-]+){0,2}$": value },
        "additionalProperties": false,
    })
}

/// Blocks by their names.
struct Named<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "By name: up to 63 of `a-z`, `0-9` and `-`.",
            "type": "object",
            "patternProperties": { format!("^{NAME}$"): generator.subschema_for::<T>() },
            "additionalProperties": false,
        })
    }
}

/// How many keys.
struct KeyCount;

impl JsonSchema for KeyCount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyCount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 100_000, "description": "How many keys." })
    }
}

/// The blocks of a manifest. They exist for their schema alone: the parser fills the types of `document`.
#[expect(dead_code, reason = "read by the derive of the schema")]
mod blocks {
    use super::*;

    /// What the API keys of SendGrid accounts should be, and where their secrets go.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct ManifestFile {
        /// The version of this format: 1.
        #[schemars(extend("const" = 1))]
        pub version: u32,
        /// The project's name. It names the state, and is required where state is shared.
        pub project: Option<Name>,
        /// Where state is kept; a local folder by default.
        pub state: Option<StoreSettings>,
        /// The SendGrid accounts, by the names they have here.
        pub accounts: Option<Named<AccountBlock>>,
        /// Where secrets can be delivered, by the names they have here.
        pub sinks: Option<Named<SinkSettings>>,
        /// Lists of scopes to be used as `set:NAME`. They may refer to each other.
        pub scope_sets: Option<Named<ScopeList>>,
        /// What holds for every key, unless something nearer says otherwise.
        pub defaults: Option<DefaultsBlock>,
        /// The environments, by name. A name with `*` is a pattern, whose environments exist when asked for.
        pub environments: Option<EnvironmentMap>,
        /// The keys, by name. Each exists once in every environment, unless it says otherwise.
        pub keys: Option<Named<KeyBlock>>,
        /// Addresses that were renamed; the keys stay the same.
        pub moved: Option<Vec<MovedBlock>>,
        /// Live keys to adopt.
        pub import: Option<Vec<ImportBlock>>,
        /// Keys to forget.
        pub removed: Option<Vec<RemovedBlock>>,
        /// Rules over plans.
        pub policy: Option<PolicyBlock>,
    }

    /// One account at SendGrid: a parent with its own managing key, or a subuser or customer account of one.
    #[derive(JsonSchema)]
    #[schemars(
        deny_unknown_fields,
        extend("anyOf" = [{ "required": ["api_key"] }, { "required": ["parent"] }]),
        extend("if" = { "required": ["parent"] }),
        extend("then" = { "oneOf": [{ "required": ["subuser"] }, { "required": ["account_id"] }] }),
        extend("else" = { "not": { "anyOf": [{ "required": ["subuser"] }, { "required": ["account_id"] }] } })
    )]
    pub struct AccountBlock {
        /// The managing key: where it is found, never the key itself.
        pub api_key: Option<CredentialBlock>,
        /// A key that may only read, for `plan`, `drift` and `audit`.
        pub plan_api_key: Option<CredentialBlock>,
        /// The account whose managing key acts for this one.
        pub parent: Option<Name>,
        /// The subuser's user name; requests are sent on its behalf.
        pub subuser: Option<NonEmpty>,
        /// The customer account's id; requests are sent on its behalf.
        pub account_id: Option<NonEmpty>,
        /// Where the account's data lives; the default is `global`.
        pub region: Option<Region>,
        /// How many keys SendGrid allows in the account; the default is 100.
        pub key_limit: Option<KeyCount>,
        /// How many of them this project may hold.
        pub max_keys: Option<KeyCount>,
    }

    /// Where a credential is found; never the credential itself.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "snake_case")]
    pub enum CredentialBlock {
        /// An environment variable.
        Env(Variable),
        /// A file, relative to the manifest's folder.
        File(NonEmpty),
        /// A program and its arguments, which prints the credential. It is not run through a shell.
        Command(#[schemars(length(min = 1))] Vec<NonEmpty>),
    }

    /// What holds for every key, unless something nearer says otherwise.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct DefaultsBlock {
        /// The account.
        pub account: Option<Name>,
        /// Where the secrets go.
        pub sinks: Option<SinkList>,
        /// When keys are replaced.
        pub rotate: Option<RotateChoice>,
        /// Whether keys are kept from deletion.
        pub protect: Option<bool>,
        /// Who answers for the keys.
        pub owner: Option<NonEmpty>,
        /// What happens to the sinks' values when a key is deleted.
        pub on_delete: Option<OnDelete>,
        /// What is done once a delivery of a key is recorded; that of its sinks is done as well.
        pub after_delivery: Option<HookSettings>,
    }

    /// An environment.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, extend("not" = { "required": ["account", "accounts"] }))]
    pub struct EnvironmentBlock {
        /// The account that its keys live in. A sole account need not be named.
        pub account: Option<Name>,
        /// Accounts, by name or pattern: each key exists once in each of them.
        #[schemars(length(min = 1))]
        pub accounts: Option<Vec<NamePattern>>,
        /// Where the secrets go.
        pub sinks: Option<SinkList>,
        /// When keys are replaced.
        pub rotate: Option<RotateChoice>,
        /// Whether keys are kept from deletion.
        pub protect: Option<bool>,
        /// Who answers for the keys.
        pub owner: Option<NonEmpty>,
        /// What happens to the sinks' values when a key is deleted.
        pub on_delete: Option<OnDelete>,
        /// What is done once a delivery of a key is recorded; that of its sinks is done as well.
        pub after_delivery: Option<HookSettings>,
        /// How many keys the environment may hold.
        pub max_keys: Option<KeyCount>,
        /// What differs for single keys here, by `key` or `account/key`; the nearest wins.
        pub keys: Option<ExceptionMap>,
    }

    /// A pattern for environments that come and go, such as `pr-*`. One exists when it is asked for by name.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, extend("not" = { "required": ["account", "accounts"] }))]
    pub struct PatternBlock {
        /// The account that its keys live in. A sole account need not be named.
        pub account: Option<Name>,
        /// Accounts, by name or pattern: each key exists once in each of them.
        #[schemars(length(min = 1))]
        pub accounts: Option<Vec<NamePattern>>,
        /// Where the secrets go.
        pub sinks: Option<SinkList>,
        /// When keys are replaced.
        pub rotate: Option<RotateChoice>,
        /// Whether keys are kept from deletion.
        pub protect: Option<bool>,
        /// Who answers for the keys.
        pub owner: Option<NonEmpty>,
        /// What happens to the sinks' values when a key is deleted.
        pub on_delete: Option<OnDelete>,
        /// What is done once a delivery of a key is recorded; that of its sinks is done as well.
        pub after_delivery: Option<HookSettings>,
        /// How many keys each of the environments may hold.
        pub max_keys: Option<KeyCount>,
        /// How long an environment lives after its creation.
        pub ttl: Option<Length>,
        /// What differs for single keys here, by `key` or `account/key`; the nearest wins.
        pub keys: Option<ExceptionMap>,
    }

    /// A key.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, extend("not" = full_with_scopes()))]
    pub struct KeyBlock {
        /// The name at SendGrid; the address with `-` for `/` by default. It may hold placeholders.
        pub name: Option<NonEmpty>,
        /// What kind of key it is; the default is `restricted`.
        pub access: Option<AccessChoice>,
        /// What the key may do. Required for `restricted` and `billing`, and not allowed for `full`.
        pub scopes: Option<ScopeList>,
        /// Who answers for the key.
        pub owner: Option<NonEmpty>,
        /// What the key is for.
        pub description: Option<String>,
        /// Where it exists: names, patterns, and `!name` to leave one out; everywhere by default.
        #[schemars(length(min = 1))]
        pub environments: Option<Vec<EnvironmentChoice>>,
        /// The account.
        pub account: Option<Name>,
        /// Where the secret goes.
        pub sinks: Option<SinkList>,
        /// When the key is replaced.
        pub rotate: Option<RotateChoice>,
        /// Whether the key is kept from deletion.
        pub protect: Option<bool>,
        /// What happens to the sinks' values when the key is deleted.
        pub on_delete: Option<OnDelete>,
        /// What is done once a delivery of a key is recorded; that of its sinks is done as well.
        pub after_delivery: Option<HookSettings>,
    }

    /// What differs for a key in an environment, or in one of its accounts.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, extend("not" = full_with_scopes()))]
    pub struct ExceptionBlock {
        /// `false`: the key does not exist here.
        pub enabled: Option<bool>,
        /// The name at SendGrid.
        pub name: Option<NonEmpty>,
        /// What kind of key it is. One of another kind than the key's own needs its own `scopes`.
        pub access: Option<AccessChoice>,
        /// What the key may do.
        pub scopes: Option<ScopeList>,
        /// Who answers for the key.
        pub owner: Option<NonEmpty>,
        /// What the key is for.
        pub description: Option<String>,
        /// The account, in an environment that has one.
        pub account: Option<Name>,
        /// Where the secret goes.
        pub sinks: Option<SinkList>,
        /// When the key is replaced.
        pub rotate: Option<RotateChoice>,
        /// Whether the key is kept from deletion.
        pub protect: Option<bool>,
        /// What happens to the sinks' values when the key is deleted.
        pub on_delete: Option<OnDelete>,
        /// What is done once a delivery of a key is recorded; that of its sinks is done as well.
        pub after_delivery: Option<HookSettings>,
    }

    /// What kind of key it is.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "snake_case")]
    pub enum AccessChoice {
        /// The scopes that are listed, none of them for billing.
        Restricted,
        /// Everything. It has to be asked for, and takes no scopes.
        Full,
        /// Billing scopes and no others.
        Billing,
    }

    /// When a key is replaced.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct RotateBlock {
        /// How old a key gets.
        pub every: Length,
        /// How long the older key goes on working after the new one was delivered; the default is `24h`.
        pub overlap: Option<Length>,
        /// How long before a rotation is due it is announced, and may be brought forward.
        pub warn_before: Option<Length>,
        /// What happens when the account has no spare slot; the default is `postpone`.
        pub at_limit: Option<AtLimit>,
    }

    /// A renamed address.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct MovedBlock {
        /// What it was, or a pattern with `*`.
        pub from: AddressPattern,
        /// What it is now; `*` stands for what `*` stood for in `from`.
        pub to: AddressPattern,
    }

    /// A live key to adopt.
    #[derive(JsonSchema)]
    #[schemars(
        deny_unknown_fields,
        extend("oneOf" = [{ "required": ["id"] }, { "required": ["name"] }])
    )]
    pub struct ImportBlock {
        /// The address that it gets; the key has to be in the manifest.
        pub to: AddressText,
        /// The key's id at SendGrid.
        pub id: Option<NonEmpty>,
        /// The key's name at SendGrid, where only one has it.
        pub name: Option<NonEmpty>,
    }

    /// Keys to forget.
    #[derive(JsonSchema)]
    #[schemars(
        deny_unknown_fields,
        extend("oneOf" = [{ "required": ["from"] }, { "required": ["account"] }])
    )]
    pub struct RemovedBlock {
        /// The address, or a pattern with `*`.
        pub from: Option<AddressPattern>,
        /// A whole account.
        pub account: Option<Name>,
        /// Whether the keys are revoked too.
        pub revoke: bool,
    }

    /// Rules over plans.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct PolicyBlock {
        /// Whether keys may have Full Access; the default is `warn`.
        pub full_access: Option<RuleBlock>,
        /// What happens to an owned key that is gone from its account.
        pub vanished: Option<MaybeByPlace<Vanished>>,
        /// How many keys one run may delete.
        pub max_deletions: Option<MaybeByAccount<ShareBlock>>,
        /// How many keys one run may replace because their secrets were lost.
        pub max_rotations: Option<MaybeByAccount<ShareBlock>>,
        /// How many vanished keys one run may make again.
        pub max_recreations: Option<MaybeByAccount<ShareBlock>>,
        /// Findings that are let pass.
        pub allow: Option<Vec<AllowBlock>>,
        /// Scopes that no key may have.
        pub forbid_scopes: Option<MaybeByPlace<Vec<ForbiddenScopeText>>>,
        /// How old a key may get at most.
        pub require_rotation: Option<MaybeByPlace<RequireRotationChoice>>,
        /// Sinks that every key needs: names of sinks, or `kind:KIND` for any of a kind.
        pub require_sink: Option<MaybeByPlace<Vec<RequiredSinkText>>>,
        /// Whether every key needs an owner.
        pub require_owner: Option<MaybeByPlace<bool>>,
        /// What the names of keys at SendGrid look like, with `*` for any characters.
        pub name_pattern: Option<MaybeByPlace<NonEmpty>>,
        /// Live keys that no state owns.
        pub foreign: Option<MaybeByAccount<ForeignBlock>>,
        /// Commands that may be run: a program and its arguments, with `*` for any characters of one of them,
        /// and a last `*` for any arguments.
        pub allow_commands: Option<Vec<NonEmpty>>,
        /// Servers that may be talked to, such as `https://*.example.com`, with `*` for any characters.
        pub allow_endpoints: Option<Vec<NonEmpty>>,
    }

    /// How many changes of a kind one run may make in an account.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct ShareBlock {
        /// Of the keys that are owned in the account; the default is `30%`.
        pub share: Option<Percent>,
        /// A number that is allowed whatever the share comes to; the default is 3.
        #[schemars(range(max = 100_000))]
        pub at_least: Option<u32>,
    }

    /// A finding that is let pass.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct AllowBlock {
        /// The finding's code.
        #[schemars(extend("enum" = allowable_codes()))]
        pub code: String,
        /// The key it is about; every key by default.
        pub address: Option<AddressText>,
        /// Why it is let pass.
        pub reason: NonEmpty,
        /// The last day on which it is.
        pub until: Option<Day>,
    }

    /// How old a key may get.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct RequireRotationBlock {
        /// At most so old.
        pub every: Length,
    }

    /// Live keys that no state owns.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub struct ForeignBlock {
        /// Ids or names of those that are known, with `*` for any characters.
        pub known: Option<Vec<NonEmpty>>,
        /// What is said about the others; the default is `warn`.
        pub others: Option<Verdict>,
    }
}

use blocks::{
    EnvironmentBlock, ExceptionBlock, ManifestFile, PatternBlock, PolicyBlock, RequireRotationBlock,
    RotateBlock,
};

fn with_description(mut schema: Schema, description: &str) -> Schema {
    schema.insert("description".into(), json!(description));
    schema
}

fn full_with_scopes() -> Value {
    json!({ "properties": { "access": { "const": "full" } }, "required": ["access", "scopes"] })
}

/// The codes of findings that a person may let pass.
fn allowable_codes() -> Vec<&'static str> {
    Code::VARIANTS.iter().copied().filter(|code| code.is_allowable()).map(Code::as_str).collect()
}

/// A schema that the derive cannot say.
macro_rules! schema {
    ($($name:ident => |$generator:ident| $schema:expr;)*) => { $(
        struct $name;
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )* };
}

schema! {
    ScopeList => |generator| json_schema!({
        "description": "Scopes; at least one.",
        "type": "array",
        "minItems": 1,
        "items": generator.subschema_for::<ScopeText>(),
    });
    SinkList => |generator| json_schema!({
        "description": "Names of sinks; one whose settings differ here is written `{ NAME: { field: value } }`.",
        "type": "array",
        "items": { "anyOf": [generator.subschema_for::<Name>(), generator.subschema_for::<SinkOverride>()] },
    });
    SinkOverride => |_generator| json_schema!({
        "description": "A sink, with the settings that differ here.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "propertyNames": { "pattern": format!("^{NAME}$") },
        "additionalProperties": {
            "description": "Fields of the sink's settings.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
        },
    });
    RotateChoice => |generator| json_schema!({
        "description": "`never`, or how often and how.",
        "anyOf": [{ "const": "never" }, generator.subschema_for::<RotateBlock>()],
    });
    EnvironmentMap => |generator| json_schema!({
        "description": "Environments by name, and patterns of environments.",
        "type": "object",
        "patternProperties": {
            format!("^{NAME}$"): generator.subschema_for::<EnvironmentBlock>(),
            r"^[a-z0-9-]*\*[a-z0-9*-]*$": generator.subschema_for::<PatternBlock>(),
        },
        "additionalProperties": false,
    });
    ExceptionMap => |generator| json_schema!({
        "description": "What differs for single keys, by `key` or `account/key`.",
        "type": "object",
        "patternProperties": {
            format!("^({NAME}/)?{NAME}$"): generator.subschema_for::<ExceptionBlock>(),
        },
        "additionalProperties": false,
    });
    RuleBlock => |generator| by_place(&generator.subschema_for::<Verdict>());
    RequireRotationChoice => |generator| json_schema!({
        "description": "How often keys are replaced at least, or `never` where that is not required.",
        "anyOf": [{ "const": "never" }, generator.subschema_for::<RequireRotationBlock>()],
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::redact::is_credential;

    /// Names of the fields that are credentials, and of the choices that are.
    fn credentials(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(object) => {
                for (name, field) in object.get("properties").and_then(Value::as_object).into_iter().flatten()
                {
                    let of = field.get("$ref").and_then(Value::as_str).unwrap_or_default();
                    if of.ends_with("/Credential") || of.ends_with("/CredentialBlock") {
                        found.push(name.clone());
                    }
                }
                object.values().for_each(|value| credentials(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| credentials(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What stands in such a field may be the credential itself, and is never quoted.
    #[test]
    fn every_field_that_is_a_credential_is_known_by_its_name() {
        let mut found = Vec::new();
        credentials(&manifest_schema(), &mut found);
        assert!(found.len() > 5, "{found:?}");
        let quoted: Vec<_> = found.into_iter().filter(|name| !is_credential(name)).collect();
        assert_eq!(quoted, Vec::<String>::new());
    }
}
