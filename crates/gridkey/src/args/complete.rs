//! What a shell completes besides the commands and options themselves: the names that the manifest has.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use gridkey_core::manifest::{Manifest, load};

use super::cli;
use crate::project::read_sources;

/// The variable by which a shell's completions ask.
const VARIABLE: &str = "GRIDKEY_COMPLETE";

/// Answers a shell that asks for completions; anything else goes on.
pub(crate) fn answer() {
    CompleteEnv::with_factory(with_names).var(VARIABLE).bin("gridkey").completer("gridkey").complete();
}

/// What makes a shell ask.
pub(crate) fn registration(shell: &str) -> Vec<u8> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(shell).expect("the shells are those that clap names");
    completer
        .write_registration(VARIABLE, "gridkey", "gridkey", "gridkey", &mut script)
        .expect("memory takes what it is given");
    script
}

/// The command line, with where the names come from.
fn with_names() -> clap::Command {
    fn names(command: clap::Command) -> clap::Command {
        let command = command.mut_args(|argument| match candidates(&argument) {
            Some(candidates) => argument.add(ArgValueCandidates::new(candidates)),
            None => argument,
        });
        let below: Vec<String> =
            command.get_subcommands().map(|below| below.get_name().to_string()).collect();
        below.into_iter().fold(command, |command, name| command.mut_subcommand(name, names))
    }
    names(cli())
}

/// Which names an argument takes.
fn candidates(argument: &clap::Arg) -> Option<fn() -> Vec<CompletionCandidate>> {
    let value = argument.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    match (argument.get_id().as_str(), value) {
        (_, Some("ADDRESS")) | ("address" | "from", _) => Some(addresses),
        ("environments", _) => Some(environments),
        ("account" | "accounts", _) => Some(accounts),
        ("owner" | "owners", _) => Some(owners),
        _ => None,
    }
}

/// The manifest that is most probably meant, where it can be read: no complaint belongs into a completion.
fn manifest() -> Option<Manifest> {
    let path = std::env::var_os("GRIDKEY_MANIFEST").filter(|path| !path.is_empty());
    let path = PathBuf::from(path.as_deref().unwrap_or(OsStr::new("gridkey.yaml")));
    let files = read_sources(&path).ok()?.files;
    Some(load(&files, &[]).ok()?.manifest)
}

fn all(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let names: std::collections::BTreeSet<String> = names.into_iter().collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn addresses() -> Vec<CompletionCandidate> {
    all(manifest()
        .into_iter()
        .flat_map(|manifest| manifest.keys.into_keys())
        .map(|address| address.to_string()))
}

fn environments() -> Vec<CompletionCandidate> {
    let names = manifest().into_iter().flat_map(|manifest| manifest.environments.into_keys());
    all(names.map(|name| name.to_string()))
}

fn accounts() -> Vec<CompletionCandidate> {
    all(manifest()
        .into_iter()
        .flat_map(|manifest| manifest.accounts.into_keys())
        .map(|name| name.to_string()))
}

fn owners() -> Vec<CompletionCandidate> {
    all(manifest().into_iter().flat_map(|manifest| manifest.keys.into_values()).filter_map(|key| key.owner))
}
