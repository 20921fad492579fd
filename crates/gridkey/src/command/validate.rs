//! `validate`: the manifest alone, without network or credential.

use std::path::Path;

use gridkey_core::Name;
use gridkey_core::manifest::{Loaded, Manifest, Position, StoreSettings, load};
use gridkey_core::plan::{Finished, finished};
use gridkey_core::text::diagnostic::{Diagnostic, Diagnostics};
use serde::Serialize;

use crate::args::{Global, TextOrJson};
use crate::environments::EnvironmentChoice;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Sources, open_store, read_policy, read_sources, states, undeliverable};
use crate::view;

/// What there is to say of a manifest; the version does not rise with a field that is added.
#[derive(Default, Serialize)]
struct Report {
    format_version: u32,
    valid: bool,
    keys: usize,
    environments: usize,
    accounts: usize,
    diagnostics: Vec<Told>,
    /// Sinks that this build cannot deliver to.
    undeliverable: Vec<String>,
    /// Entries of `moved`, `import` and `removed` that are carried out, and can go.
    finished: Vec<Done>,
}

/// Something that is wrong, or odd.
#[derive(Serialize)]
struct Told {
    severity: &'static str,
    code: &'static str,
    message: String,
    help: Option<String>,
    position: Option<Position>,
}

#[derive(Serialize)]
struct Done {
    entry: String,
    position: Position,
}

pub async fn run(global: &Global, format: TextOrJson) -> Result<Exit, CommandError> {
    if let Some(path) = &global.policy {
        read_policy(path)?;
    }
    let Sources { files, base } = read_sources(&global.manifest)?;
    let requested: Vec<Name> = global.environments.iter().filter_map(EnvironmentChoice::name).collect();
    let (manifest, found) = match load(&files, &requested) {
        Ok(loaded) => {
            // Offline, the account cannot be asked whether it knows the scope after all.
            let Loaded { manifest, unknown_scopes: errors, warnings, sources, .. } = loaded;
            (Some(manifest), Diagnostics { errors, warnings, sources })
        }
        Err(diagnostics) => (None, diagnostics),
    };
    let mut report = Report {
        format_version: 1,
        valid: found.errors.is_empty(),
        diagnostics: found.errors.iter().chain(&found.warnings).map(told).collect(),
        ..Report::default()
    };
    if let Some(manifest) = manifest.filter(|_| report.valid) {
        report.keys = manifest.keys.len();
        report.environments = manifest.environments.len();
        report.accounts = manifest.accounts.len();
        report.undeliverable = undeliverable(&manifest);
        report.finished = finished_entries(&manifest, &base).await;
    }
    match format {
        TextOrJson::Json => print::json(&report),
        TextOrJson::Text => say(&report, &found),
    }
    Ok(if report.valid { Exit::Done } else { Exit::Error })
}

fn told(diagnostic: &Diagnostic) -> Told {
    Told {
        severity: diagnostic.severity.as_str(),
        code: diagnostic.code,
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        position: diagnostic.position().cloned(),
    }
}

fn say(report: &Report, found: &Diagnostics) {
    let Report {
        valid,
        keys,
        environments,
        accounts,
        undeliverable,
        finished,
        diagnostics,
        format_version: _,
    } = report;
    if !diagnostics.is_empty() {
        print::diagnostics(found);
    }
    if !valid {
        return;
    }
    print::text(&format!(
        "The manifest is valid: {} in {} and {}.\n",
        view::words::count(*keys, "key"),
        view::words::count(*environments, "environment"),
        view::words::count(*accounts, "account"),
    ));
    for line in undeliverable {
        print::say(&format!("{line}: plans of them are blocked"));
    }
    for Done { entry, position } in finished {
        print::say(&format!("{position}: `{entry}` is carried out, and can go"));
    }
}

/// Which entries of `moved`, `import` and `removed` can go. Only a local state can tell without a network.
async fn finished_entries(manifest: &Manifest, base: &Path) -> Vec<Done> {
    let history = manifest.moved.len() + manifest.import.len() + manifest.removed.len();
    if history == 0 || !matches!(manifest.state, StoreSettings::Local(_)) {
        return Vec::new();
    }
    let Ok(store) = open_store(manifest, base) else { return Vec::new() };
    let Ok(states) = states(store.as_ref()).await else { return Vec::new() };
    if states.is_empty() {
        return Vec::new();
    }
    let all = finished(manifest, &states).into_iter();
    all.map(|Finished { entry, position }| Done { entry, position }).collect()
}
