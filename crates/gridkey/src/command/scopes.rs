//! `scopes`: the catalogue.

use std::collections::BTreeSet;

use gridkey_core::Scope;
use gridkey_core::catalogue::{Catalogue, Entry, Level, ScopeKind};

use crate::args::ScopesCommand;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::view::table::{Cell, Table};

pub fn run(command: &ScopesCommand) -> Result<Exit, CommandError> {
    let catalogue = Catalogue::builtin();
    match command {
        ScopesCommand::List { pattern: None } => {
            let all = catalogue.entries().map(|entry| entry.scope.clone()).collect();
            print::out(&table(catalogue, &all));
        }
        ScopesCommand::List { pattern: Some(pattern) } => {
            print::out(&table(catalogue, &covered(catalogue, pattern)?))
        }
        ScopesCommand::Explain { scope } => explain(catalogue, scope)?,
    }
    Ok(Exit::Done)
}

fn explain(catalogue: &Catalogue, text: &str) -> Result<(), CommandError> {
    let (name, scopes) = match covered(catalogue, text) {
        Ok(scopes) => {
            print::out(&table(catalogue, &scopes));
            match (scopes.len(), scopes.first()) {
                (1, Some(only)) => print::out(kind_of(only)),
                (count, _) => print::out(&format!("`{text}` covers {count} scopes.\n")),
            }
            return Ok(());
        }
        Err(unknown) => catalogue.under_name(text).ok_or(unknown)?,
    };
    print::out(&table(catalogue, &scopes));
    let list: Vec<String> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    let pattern = catalogue.pattern_of(&scopes).map(|pattern| format!("\"{pattern}\""));
    let words = pattern.unwrap_or_else(|| list.join(", "));
    if !name.is_empty() {
        let what = if scopes.len() == 1 { "it" } else { "them" };
        print::out(&format!("SendGrid's page for API keys shows {what} as {name}.\n"));
    }
    print::out(&format!("In a manifest: scopes: [{words}]\n"));
    if let (1, Some(only)) = (scopes.len(), scopes.first()) {
        print::out(kind_of(only));
    }
    Ok(())
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

fn table(catalogue: &Catalogue, scopes: &BTreeSet<Scope>) -> String {
    let mut table = Table::new();
    for entry in scopes.iter().filter_map(|scope| catalogue.get(scope.as_str())) {
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
