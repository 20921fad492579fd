//! `validate`: the manifest alone, without network or credential.

use gridkey_core::diagnostic::Diagnostics;
use gridkey_core::manifest::load;

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Sources, read_policy, read_sources};
use crate::view;

pub fn run(global: &Global) -> Result<Exit, CommandError> {
    if let Some(path) = &global.policy {
        read_policy(path)?;
    }
    let Sources { files, base: _ } = read_sources(&global.manifest)?;
    let diagnostics = match load(&files, &global.environments) {
        Ok(loaded) => {
            // Offline, nobody can ask the account whether it knows the scope after all.
            let found = Diagnostics {
                errors: loaded.unknown_scopes,
                warnings: loaded.warnings,
                sources: loaded.sources,
            };
            if found.errors.is_empty() {
                print::say(&view::diagnostics::render(&found, print::error_style()));
                let manifest = &loaded.manifest;
                print::out(&format!(
                    "The manifest is valid: {} in {} and {}.\n",
                    view::words::count(manifest.keys.len(), "key"),
                    view::words::count(manifest.environments.len(), "environment"),
                    view::words::count(manifest.accounts.len(), "account"),
                ));
                return Ok(Exit::Done);
            }
            found
        }
        Err(diagnostics) => diagnostics,
    };
    print::say(&view::diagnostics::render(&diagnostics, print::error_style()));
    Ok(Exit::Error)
}
