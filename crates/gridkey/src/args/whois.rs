//! Arguments of `whois`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub struct WhoisArguments {
    /// IDs of keys: the middle of `SG.<id>.<secret>`; without one, keys and ids are read from standard input, one a line
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// Find every key in these files and folders, or those that are named; `-` is standard input
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub scan: Vec<PathBuf>,

    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,

    /// Exit with 3 where a key that was found is live
    #[arg(long)]
    pub fail_on_live: bool,

    /// Leave the sinks alone
    #[arg(long)]
    pub no_sinks: bool,
}

const AFTER: &str = "A key never belongs on the command line, where other users and the shell's history see it:

  gridkey whois < key.txt
  pbpaste | gridkey whois
  git log -p --all | gridkey whois --scan -

Exit codes of this command: 0 found, 1 not found anywhere (one of several is enough), 3 not found, and an account that
may have it could not be read; with --scan 0 whatever is found, and 3 with --fail-on-live for a live key or one that may be";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    #[default]
    Text,
    Json,
}
