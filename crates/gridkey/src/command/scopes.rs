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
        ScopesCommand::Explain { scope } => {
            let scopes = covered(catalogue, scope)?;
            print::out(&table(catalogue, &scopes));
            let first = scopes.iter().next();
            if let (1, Some(only)) = (scopes.len(), first) {
                print::out(explain(only));
            } else {
                print::out(&format!("`{scope}` covers {} scopes.\n", scopes.len()));
            }
        }
    }
    Ok(Exit::Done)
}

/// What a text stands for: one scope, or those that a pattern covers.
fn covered(catalogue: &Catalogue, text: &str) -> Result<BTreeSet<Scope>, CommandError> {
    let scope = Scope::new(text);
    if catalogue.contains(&scope) {
        return Ok([scope].into());
    }
    let unknown = || {
        let error = CommandError::new(format!("unknown scope `{text}`"));
        match catalogue.suggest(text) {
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

fn explain(scope: &Scope) -> &'static str {
    if scope.is_automatic() {
        "SendGrid puts it on keys by itself: gridkey never asks for it and never compares it.\n"
    } else if scope.is_billing() {
        "Only a key with `access: billing` can hold it, with no others beside.\n"
    } else {
        "A restricted key can hold it, if the managing key does.\n"
    }
}
