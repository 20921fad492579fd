//! `scopes`: the catalogue.

use std::collections::BTreeSet;

use gridkey_core::Scope;
use gridkey_core::catalogue::{Catalogue, Entry, Level, ScopeKind};

use serde::Serialize;

use crate::args::{ScopesCommand, TextOrJson};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::view::table::{Cell, Table};

/// The version of the documents; a field that is added does not raise it.
const FORMAT_VERSION: u32 = 1;

/// Scopes of the catalogue.
#[derive(Serialize)]
struct Scopes<'a> {
    format_version: u32,
    scopes: Vec<&'a Entry>,
}

/// What a text stands for.
#[derive(Serialize)]
struct Explained<'a> {
    format_version: u32,
    /// What SendGrid's page for API keys calls it, where it was asked for by that name.
    name: Option<String>,
    /// What to write into `scopes` of a manifest.
    manifest: Vec<String>,
    scopes: Vec<&'a Entry>,
}

pub fn run(command: &ScopesCommand) -> Result<Exit, CommandError> {
    let catalogue = Catalogue::builtin();
    match command {
        ScopesCommand::List { pattern, form } => {
            let scopes = match pattern {
                None => catalogue.entries().map(|entry| entry.scope.clone()).collect(),
                Some(pattern) => covered(catalogue, pattern)?,
            };
            match form.format() {
                TextOrJson::Text => print::text(&table(catalogue, &scopes)),
                TextOrJson::Json => print::json(&Scopes {
                    format_version: FORMAT_VERSION,
                    scopes: entries(catalogue, &scopes).collect(),
                }),
            }
        }
        ScopesCommand::Explain { scope, form } => explain(catalogue, scope, form.format())?,
    }
    Ok(Exit::Done)
}

fn explain(catalogue: &Catalogue, text: &str, format: TextOrJson) -> Result<(), CommandError> {
    let (name, scopes) = match covered(catalogue, text) {
        Ok(scopes) => (None, scopes),
        Err(unknown) => {
            let (name, scopes) = catalogue.under_name(text).ok_or(unknown)?;
            (Some(name), scopes)
        }
    };
    let words = match &name {
        None => vec![text.to_string()],
        Some(_) => match catalogue.pattern_of(&scopes) {
            Some(pattern) => vec![pattern.to_string()],
            None => scopes.iter().map(ToString::to_string).collect(),
        },
    };
    match format {
        TextOrJson::Json => print::json(&Explained {
            format_version: FORMAT_VERSION,
            name: name.filter(|name| !name.is_empty()),
            manifest: words,
            scopes: entries(catalogue, &scopes).collect(),
        }),
        TextOrJson::Text => {
            print::text(&table(catalogue, &scopes));
            print::text(&in_words(text, name.as_deref(), &words, &scopes));
        }
    }
    Ok(())
}

/// What there is to say below the table.
fn in_words(text: &str, name: Option<&str>, words: &[String], scopes: &BTreeSet<Scope>) -> String {
    let mut said = String::new();
    if let Some(name) = name {
        if !name.is_empty() {
            let what = if scopes.len() == 1 { "it" } else { "them" };
            said.push_str(&format!("SendGrid's page for API keys shows {what} as {name}.\n"));
        }
        let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        said.push_str(&format!("In a manifest: scopes: [{}]\n", list.join(", ")));
    }
    match (scopes.len(), scopes.first()) {
        (1, Some(only)) => said.push_str(kind_of(only)),
        (count, _) if name.is_none() => said.push_str(&format!("`{text}` covers {count} scopes.\n")),
        (_, _) => {}
    }
    said
}

/// What a text stands for: one scope, or those that a pattern covers.
fn covered(catalogue: &Catalogue, text: &str) -> Result<BTreeSet<Scope>, CommandError> {
    let scope = Scope::new(text);
    if catalogue.contains(&scope) {
        return Ok([scope].into());
    }
    let unknown = || {
        let error = CommandError::new(format!("unknown scope `{text}`"));
        let meant = catalogue.suggest(text).map(|scope| scope.to_string());
        match meant.or_else(|| catalogue.suggest_name(text)) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error.help("`gridkey scopes list` shows all that are known"),
        }
    };
    if !Catalogue::is_pattern(text) {
        return Err(unknown());
    }
    catalogue.expand(text).map_err(|error| unknown().because(&error))
}

fn entries<'a>(catalogue: &'a Catalogue, scopes: &BTreeSet<Scope>) -> impl Iterator<Item = &'a Entry> {
    scopes.iter().filter_map(|scope| catalogue.get(scope.as_str()))
}

fn table(catalogue: &Catalogue, scopes: &BTreeSet<Scope>) -> String {
    let mut table = Table::new();
    for entry in entries(catalogue, scopes) {
        let Entry { scope, kind, level, group, category } = entry;
        let row = [
            scope.to_string(),
            kind_in_words(*kind).to_string(),
            level_in_words(*level).to_string(),
            group.to_string(),
            category.as_deref().unwrap_or_default().to_string(),
        ];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    table.to_text(print::style(), "")
}

fn kind_in_words(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Restricted => "restricted",
        ScopeKind::Billing => "billing",
        ScopeKind::Automatic => "automatic",
        ScopeKind::Unassignable => "unassignable",
    }
}

fn level_in_words(level: Level) -> &'static str {
    match level {
        Level::Read => "read",
        Level::Write => "write",
        Level::Flag => "flag",
    }
}

fn kind_of(scope: &Scope) -> &'static str {
    if scope.is_automatic() {
        "SendGrid puts it on keys by itself: gridkey never asks for it and never compares it.\n"
    } else if scope.is_billing() {
        "Only a key with `access: billing` can hold it, with no others beside.\n"
    } else {
        "A restricted key can hold it, if the managing key does.\n"
    }
}
