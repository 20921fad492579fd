//! `sinks`: the kinds of places that secrets can go to, and whether those of a manifest are ready.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream;
use gridkey_core::manifest::manifest_schema;
use gridkey_core::plan::Selection;
use gridkey_core::text::suggest::closest;
use gridkey_core::{Address, LocationId, SinkKind, SinkLocation};
use gridkey_engine::ports::{Readiness, SinkError, SinkWriter};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Global, SinksCommand, TextOrJson};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::view::Tone;
use crate::view::table::{Cell, Table};
use crate::view::words::{count, on_one_line, safe};

/// The version of the documents; a field that is added does not raise it.
const FORMAT_VERSION: u32 = 1;

/// The definition of places where credentials are found.
const CREDENTIAL: &str = "Credential";

/// The kinds that there are.
#[derive(Serialize)]
struct Kinds {
    format_version: u32,
    kinds: Vec<Kind>,
}

/// A kind of sink, in the words of the manifest's schema.
#[derive(Serialize)]
struct Kind {
    kind: SinkKind,
    description: String,
    /// Whether this build delivers there.
    in_this_build: bool,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Setting {
    name: String,
    required: bool,
    description: String,
}

/// What a check found.
#[derive(Serialize)]
struct Checked {
    format_version: u32,
    sinks: Vec<CheckedSink>,
}

#[derive(Serialize)]
struct CheckedSink {
    location: SinkLocation,
    keys: BTreeSet<Address>,
    readiness: Verdict,
    /// Why it is not ready, or why nothing proves that it is.
    why: Option<String>,
    help: Option<String>,
}

/// How sure it is that a key could be written.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Proven,
    Plausible,
    Refused,
}

pub async fn run(global: &Global, command: &SinksCommand) -> Result<Exit, CommandError> {
    match command {
        SinksCommand::List { form } => {
            list(form.format());
            Ok(Exit::Done)
        }
        SinksCommand::Explain { kind, form } => explain(kind, form.format()),
        SinksCommand::Check { form } => check(global, form.format()).await,
    }
}

fn list(format: TextOrJson) {
    let kinds: Vec<Kind> = SinkKind::ALL.into_iter().map(kind).collect();
    match format {
        TextOrJson::Json => print::json(&Kinds { format_version: FORMAT_VERSION, kinds }),
        TextOrJson::Text => {
            let mut table = Table::new();
            for Kind { kind, description, in_this_build, settings: _ } in kinds {
                let here = if in_this_build { "" } else { "not in this build" };
                table.row(
                    vec![Cell::new(kind.as_str()), Cell::new(description), Cell::toned(Tone::Changed, here)],
                    Vec::new(),
                );
            }
            print::text(&table.to_text(print::style(), ""));
        }
    }
}

fn explain(name: &str, format: TextOrJson) -> Result<Exit, CommandError> {
    let Some(known) = SinkKind::ALL.into_iter().find(|kind| kind.as_str() == name) else {
        let error = CommandError::usage(format!("there is no kind of sink `{name}`"));
        return Err(match closest(name, SinkKind::ALL.iter().map(|kind| kind.as_str())) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error.help("`gridkey sinks list` shows all of them"),
        });
    };
    let found = kind(known);
    match format {
        TextOrJson::Json => print::json(&Kinds { format_version: FORMAT_VERSION, kinds: vec![found] }),
        TextOrJson::Text => {
            print::text(&format!("{known}: {}\n\n", found.description));
            let mut table = Table::new();
            for Setting { name, required, description } in found.settings {
                let required = if required { "required" } else { "" };
                table.row(
                    vec![Cell::toned(Tone::Strong, name), Cell::new(required)],
                    vec![Cell::new(description)],
                );
            }
            print::text(&table.to_text(print::style(), "  "));
            print::text(&format!("\n{}\n", page(known)));
            if let Some(feature) = gridkey_sinks::feature(known).filter(|_| !found.in_this_build) {
                print::text(&format!(
                    "This build cannot deliver there: it is without the feature `{feature}`.\n"
                ));
            }
        }
    }
    Ok(Exit::Done)
}

/// Where the book says more.
fn page(kind: SinkKind) -> String {
    match kind {
        SinkKind::Dotenv | SinkKind::Json | SinkKind::Yaml | SinkKind::Command => {
            "More of files and commands: docs/manifest.md".to_string()
        }
        SinkKind::Age
        | SinkKind::Sops
        | SinkKind::Vault
        | SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::GcpSecretManager
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => {
            format!("Permissions, what a check proves, and what happens at a rotation: docs/sinks/{kind}.md")
        }
    }
}

/// What the schema says of a kind.
fn kind(kind: SinkKind) -> Kind {
    let schema = manifest_schema();
    let definitions = &schema["$defs"];
    let found = choices(&definitions["SinkSettings"]).find(|(name, ..)| *name == kind.as_str());
    let (description, block) =
        found.map_or((&Value::Null, ""), |(_, description, block)| (description, block));
    let mut settings = Vec::new();
    add_settings(definitions, block, "", &mut settings);
    Kind { kind, description: one_line(description), in_this_build: gridkey_sinks::supports(kind), settings }
}

/// The choices of a definition: each with its name, its description, and the name of its block.
fn choices(definition: &Value) -> impl Iterator<Item = (&str, &Value, &str)> {
    let choices = definition["oneOf"].as_array().into_iter().flatten();
    choices.filter_map(|choice| {
        let (name, value) = choice["properties"].as_object()?.iter().next()?;
        Some((name.as_str(), &choice["description"], referred(value)))
    })
}

/// The name of the definition that a field is of.
fn referred(field: &Value) -> &str {
    let path = field["$ref"].as_str().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// The settings of a block, each followed by those below it.
fn add_settings(definitions: &Value, block: &str, above: &str, all: &mut Vec<Setting>) {
    let block = &definitions[block];
    let required: BTreeSet<&str> =
        block["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (field, setting) in block["properties"].as_object().into_iter().flatten() {
        let name = format!("{above}{field}");
        add(definitions, (&name, required.contains(field.as_str())), setting, referred(setting), all);
    }
}

fn add(
    definitions: &Value,
    (name, required): (&str, bool),
    setting: &Value,
    block: &str,
    all: &mut Vec<Setting>,
) {
    let mut description = one_line(&setting["description"]);
    if block == CREDENTIAL {
        description.push_str(
            " It is found at `{ env: VARIABLE }`, `{ file: PATH }` or `{ command: [PROGRAM, …] }`.",
        );
    }
    all.push(Setting { name: name.to_string(), required, description });
    if block == CREDENTIAL || block.is_empty() {
        return;
    }
    add_settings(definitions, block, &format!("{name}."), all);
    for (choice, description, block) in choices(&definitions[block]) {
        let setting = json!({ "description": description });
        add(definitions, (&format!("{name}.{choice}"), false), &setting, block, all);
    }
}

fn one_line(description: &Value) -> String {
    description.as_str().unwrap_or_default().replace('\n', " ")
}

/// Asks every sink of the manifest whether it would take a key, and writes nothing.
async fn check(global: &Global, format: TextOrJson) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let selection = project.selection(None, false);
    let wanted = wanted(&project, &selection);
    let sinks: &dyn SinkWriter = project.sinks.as_ref();
    let mut checked: Vec<CheckedSink> = stream::iter(wanted.into_values())
        .map(|(location, keys)| async move {
            let found = sinks.check(&location).await;
            judged(location, keys, found)
        })
        .buffer_unordered(project.concurrency.checks.get())
        .collect()
        .await;
    checked.sort_by(|a, b| a.location.cmp(&b.location));
    let refused = checked.iter().filter(|sink| sink.readiness == Verdict::Refused).count();
    let all = checked.len();
    match format {
        TextOrJson::Json => print::json(&Checked { format_version: FORMAT_VERSION, sinks: checked }),
        TextOrJson::Text if checked.is_empty() => print::say("the manifest has no sinks"),
        TextOrJson::Text => print::text(&table(&checked).to_text(print::style(), "")),
    }
    if refused == 0 {
        return Ok(Exit::Done);
    }
    let not_ready = match refused {
        1 => format!("1 of {} is not ready", count(all, "location")),
        refused => format!("{refused} of {} are not ready", count(all, "location")),
    };
    Err(CommandError::new(not_ready)
        .help("nothing was written; an apply would stop here before it makes a key"))
}

/// The locations of a selection's keys, each with the keys that go there.
fn wanted(
    project: &Project,
    selection: &Selection,
) -> BTreeMap<LocationId, (SinkLocation, BTreeSet<Address>)> {
    let mut wanted: BTreeMap<LocationId, (SinkLocation, BTreeSet<Address>)> = BTreeMap::new();
    let keys = project.manifest().keys.values();
    for key in keys.filter(|key| selection.has(project.manifest(), &key.address)) {
        for location in &key.sinks {
            let entry = wanted.entry(location.id());
            entry.or_insert_with(|| (location.clone(), BTreeSet::new())).1.insert(key.address.clone());
        }
    }
    wanted
}

fn judged(
    location: SinkLocation,
    keys: BTreeSet<Address>,
    found: Result<Readiness, SinkError>,
) -> CheckedSink {
    let (readiness, why, help) = match found {
        Ok(Readiness::Proven) => (Verdict::Proven, None, None),
        Ok(Readiness::Plausible(why)) => (Verdict::Plausible, Some(why), None),
        Err(SinkError { fault: _, message, help }) => (Verdict::Refused, Some(message), help),
    };
    CheckedSink { location, keys, readiness, why, help }
}

fn table(checked: &[CheckedSink]) -> Table {
    let mut table = Table::new();
    for CheckedSink { location, keys, readiness, why, help } in checked {
        let verdict = match readiness {
            Verdict::Proven => Cell::toned(Tone::Added, "ready"),
            Verdict::Plausible => Cell::toned(Tone::Changed, "seems ready"),
            Verdict::Refused => Cell::toned(Tone::Bad, "not ready"),
        };
        let below = why.iter().map(|why| Cell::new(on_one_line(why)));
        let help = help.iter().map(|help| Cell::new(format!("help: {}", on_one_line(help))));
        table.row(
            vec![verdict, Cell::new(safe(location.to_string())), Cell::new(count(keys.len(), "key"))],
            below.chain(help).collect(),
        );
    }
    table
}
