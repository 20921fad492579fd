//! `environments list`: what the manifest has.

use gridkey_core::manifest::load;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Sources, read_sources};
use crate::view;
use crate::view::table::{Cell, Table};

pub fn environments(global: &Global) -> Result<Exit, CommandError> {
    let Sources { files, base: _ } = read_sources(&global.manifest)?;
    let loaded = load(&files, &global.environments).map_err(|diagnostics| {
        print::say(&view::diagnostics::render(&diagnostics, print::error_style()));
        CommandError::new("the manifest cannot be used")
    })?;
    let manifest = &loaded.manifest;
    let mut table = Table::new();
    for environment in manifest.environments.values() {
        let keys =
            manifest.keys.keys().filter(|address| address.environment.as_ref() == Some(&environment.name));
        let accounts: Vec<_> = environment.accounts.iter().map(ToString::to_string).collect();
        let row =
            [environment.name.to_string(), view::words::count(keys.count(), "key"), accounts.join(", ")];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    for pattern in manifest.patterns.values() {
        let accounts: Vec<_> = pattern.accounts.iter().map(ToString::to_string).collect();
        let row = [pattern.pattern.clone(), "on request".to_string(), accounts.join(", ")];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    if table.is_empty() {
        print::say("the manifest has no environments; every key exists once");
    } else {
        print::out(&table.to_text(print::style(), ""));
    }
    Ok(Exit::Done)
}
