//! `validate`: the manifest alone, without network or credential.

use std::path::Path;

use gridkey_core::Name;
use gridkey_core::manifest::{Manifest, StoreSettings, load};
use gridkey_core::plan::finished;
use gridkey_core::text::diagnostic::Diagnostics;

use crate::args::Global;
use crate::environments::EnvironmentChoice;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Sources, open_store, read_policy, read_sources, states, undeliverable};
use crate::view;

pub async fn run(global: &Global) -> Result<Exit, CommandError> {
    if let Some(path) = &global.policy {
        read_policy(path)?;
    }
    let Sources { files, base } = read_sources(&global.manifest)?;
    let requested: Vec<Name> = global.environments.iter().filter_map(EnvironmentChoice::name).collect();
    let diagnostics = match load(&files, &requested) {
        Ok(loaded) => {
            // Offline, the account cannot be asked whether it knows the scope after all.
            let found = Diagnostics {
                errors: loaded.unknown_scopes,
                warnings: loaded.warnings,
                sources: loaded.sources,
            };
            if found.errors.is_empty() {
                if !found.warnings.is_empty() {
                    print::diagnostics(&found);
                }
                let manifest = &loaded.manifest;
                print::text(&format!(
                    "The manifest is valid: {} in {} and {}.\n",
                    view::words::count(manifest.keys.len(), "key"),
                    view::words::count(manifest.environments.len(), "environment"),
                    view::words::count(manifest.accounts.len(), "account"),
                ));
                for line in undeliverable(manifest) {
                    print::say(&format!("{line}: plans of them are blocked"));
                }
                say_finished(manifest, &base).await;
                return Ok(Exit::Done);
            }
            found
        }
        Err(diagnostics) => diagnostics,
    };
    print::diagnostics(&diagnostics);
    Ok(Exit::Error)
}

/// Which entries of `moved`, `import` and `removed` can go. Only a local state can tell without a network.
async fn say_finished(manifest: &Manifest, base: &Path) {
    let history = manifest.moved.len() + manifest.import.len() + manifest.removed.len();
    if history == 0 || !matches!(manifest.state, StoreSettings::Local(_)) {
        return;
    }
    let Ok(store) = open_store(manifest, base) else { return };
    let Ok(states) = states(store.as_ref()).await else { return };
    if states.is_empty() {
        return;
    }
    for finished in finished(manifest, &states) {
        print::say(&format!("{}: `{}` is carried out, and can go", finished.position, finished.entry));
    }
}
