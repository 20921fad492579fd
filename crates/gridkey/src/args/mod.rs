//! Arguments, and what they say in help texts.

mod audit;
mod complete;
mod form;
mod habit;
mod help;
mod keys;
mod mistake;
mod state;
mod value;
mod whois;

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use gridkey_core::plan::{Allow, Due};
use gridkey_core::{Address, AddressPattern, Name};
use gridkey_engine::Concurrency;
use gridkey_sendgrid::BaseUrl;
use gridkey_sinks::FileKind;

pub use self::audit::{AuditArguments, AuditFormat, FailOn};
pub(crate) use self::complete::{answer as answer_completion, registration};
pub use self::form::{Form, Format, Length, TextOrJsonForm};
use self::keys::names_keys;
pub use self::keys::{KeyFilter, Narrowing, RetireArguments, RotateArguments};
pub(crate) use self::mistake::{Mistake, wants_json};
pub use self::state::{BookConfirmation, StateCommand};
use self::value::{address, base_url, duration, key_pattern, look_in, rate_limit};
pub use self::whois::{TextOrJson, WhoisArguments};
use crate::choice::KeyChoice;
use crate::environments::EnvironmentChoice;

/// Keeps the API keys of Twilio SendGrid accounts as a manifest says they should be.
#[derive(Debug, Parser)]
#[command(name = "gridkey", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Reads the command line.
///
/// A variable that is set to nothing is one that is not set: pipelines set what they have no value for. And an id may begin with a
/// hyphen, as one in 64 does, where a command takes one.
///
/// # Errors
/// What clap has to say, help and version among it.
pub fn read(
    given: impl IntoIterator<Item = OsString>,
    is_empty: impl Fn(&OsStr) -> bool,
) -> Result<Arguments, clap::Error> {
    let command = cli().mut_args(|argument| match argument.get_env() {
        Some(variable) if is_empty(variable) => argument.env(Resettable::Reset),
        Some(_) | None => argument,
    });
    let given = habit::ids_last(given.into_iter().collect());
    if let Some(error) = habit::one_dash(&command, &given) {
        return Err(error);
    }
    let matches = command.try_get_matches_from(given).map_err(habit::with_safe_guesses)?;
    let mut arguments = Arguments::from_arg_matches(&matches)?;
    if let Some((name, of)) = matches.subcommand() {
        // An environment from a variable says where a command works, and not that all of its keys are meant.
        let environment = of.value_source("environments") == Some(ValueSource::CommandLine);
        if !environment && matches!(arguments.command, Command::Audit(_) | Command::Whois(_)) {
            // They are about every key.
            arguments.global.environments.clear();
        }
        if let Err(message) = names_keys(&arguments.command, environment) {
            let mut all = cli();
            // Only then do the parts know what they are called with.
            all.build();
            let command = all.find_subcommand_mut(name).expect("it was just parsed");
            return Err(command.error(ErrorKind::MissingRequiredArgument, message));
        }
    }
    Ok(arguments)
}

/// Whether a variable is there and has no text.
pub fn is_set_to_nothing(variable: &OsStr) -> bool {
    std::env::var_os(variable).is_some_and(|value| value.is_empty())
}

/// The command line as clap sees it, for the reference and for completions.
pub fn cli() -> clap::Command {
    let command = Arguments::command();
    let page = help::page(&command);
    command.override_help(page)
}

/// What a manifest is called.
pub const DEFAULT_MANIFEST: &str = "gridkey.yaml";

/// The variable that says `--env`.
pub const ENVIRONMENTS: &str = "GRIDKEY_ENV";

/// The variable that says `--policy`.
pub const POLICY: &str = "GRIDKEY_POLICY";

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The manifest: a file, or a folder of *.yaml and *.yml files
    #[arg(long, short = 'f', global = true, env = "GRIDKEY_MANIFEST", default_value = DEFAULT_MANIFEST)]
    pub manifest: PathBuf,

    /// Only this environment, or those that a pattern such as `pr-*` matches (repeatable)
    #[arg(long = "env", global = true, env = ENVIRONMENTS, value_name = "NAME", value_delimiter = ',')]
    pub environments: Vec<EnvironmentChoice>,

    /// A file of policy rules that the manifest cannot loosen
    #[arg(long, global = true, env = POLICY, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// Work on an emulated SendGrid under .gridkey/emulator; nothing else is read or written
    #[arg(long, global = true)]
    pub emulator: bool,

    /// Use this address for SendGrid instead of the real ones; plain HTTP only to this machine
    #[arg(long, global = true, env = "GRIDKEY_SENDGRID_URL", value_name = "URL", value_parser = base_url)]
    pub sendgrid_url: Option<BaseUrl>,

    /// How long SendGrid's reads may trail its writes [default: 30s; 0s with --emulator]
    #[arg(long, global = true, env = "GRIDKEY_READ_LAG", value_name = "DURATION", value_parser = duration)]
    pub read_lag: Option<Duration>,

    /// How many keys of an account, reads and accounts are worked on at once [default: 4 keys, 8 of the others]
    #[arg(long, global = true, env = "GRIDKEY_CONCURRENCY", value_name = "COUNT")]
    pub concurrency: Option<NonZeroUsize>,

    /// How events and logs on standard error are written
    #[arg(long, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Work in this folder, as if started there
    #[arg(long, short = 'C', global = true, value_name = "DIR")]
    pub chdir: Option<PathBuf>,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorWhen,

    /// Say nothing on standard error but what failed
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more on standard error (repeatable)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// How much is under way at once.
    pub fn concurrency(&self) -> Concurrency {
        self.concurrency.map(Concurrency::of_each).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented manifest to start from
    Init(InitArguments),
    /// Check the manifest, without network or credential
    Validate(TextOrJsonForm),
    /// Show what would change
    Plan(PlanArguments),
    /// Show a plan that was saved with `plan --out`
    Show(ShowArguments),
    /// Carry out what a plan shows: of the manifest, or no more of it than saved plans approve
    Apply(ApplyArguments),
    /// Show what differs between state and what is live, and exit with 2 where something does
    Drift(DriftArguments),
    /// Show every key of every account, and what may be worrying about it
    Audit(AuditArguments),
    /// Say whose a key is that was found, or find every key in files
    Whois(WhoisArguments),
    /// Replace keys by new ones, and revoke the older ones after an overlap
    Rotate(RotateArguments),
    /// Decide about older keys that wait to be revoked
    Retire(RetireArguments),
    /// Revoke a live key that gridkey does not own
    Revoke(RevokeArguments),
    /// Adopt live keys
    Import(ImportArguments),
    /// Revoke every key of the chosen environments
    Destroy(DestroyArguments),
    /// The environments of the manifest, and those that state has keys in
    #[command(subcommand)]
    Environments(EnvironmentsCommand),
    /// What gridkey owns
    #[command(subcommand)]
    State(StateCommand),
    /// Lift the lock of an account's state
    #[command(hide = true)]
    ForceUnlock { account: Name },
    /// The catalogue of scopes
    #[command(subcommand)]
    Scopes(ScopesCommand),
    /// The kinds of sinks, and whether those of the manifest are ready
    #[command(subcommand)]
    Sinks(SinksCommand),
    /// Print the JSON Schema of manifests, policy files, plans, audits or answers of whois
    Schema {
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
    /// Serve an emulated SendGrid on this machine
    Emulator(EmulatorArguments),
    /// Print completions for a shell, which know the manifest's keys, environments and accounts
    Completions { shell: clap_complete::Shell },
    /// Lay manifests out, with their comments
    Fmt(FmtArguments),
    /// Print the manual page, or write all of them to a folder
    Man(ManArguments),
    /// Print the version, and what this build can deliver to
    Version,
}

#[derive(Debug, Args)]
pub struct FmtArguments {
    /// Files or folders, or `-` for standard input [default: the manifest]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Change nothing; name the files that would change, and exit with 2 where there are any
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct ManArguments {
    /// The folder to write a page for each command to
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What a schema describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    #[default]
    Manifest,
    Policy,
    Plan,
    Audit,
    Whois,
}

#[derive(Debug, Args)]
pub struct InitArguments {
    /// The folder to write to
    #[arg(default_value = ".")]
    pub folder: PathBuf,

    /// Write the live keys of an account, each with an entry that adopts it
    #[arg(long)]
    pub from_account: bool,

    #[command(flatten)]
    pub source: SourceAccount,
}

/// The account that `init --from-account` reads.
#[derive(Clone, Debug, Args)]
pub struct SourceAccount {
    /// What the account is called in the manifest
    #[arg(long, value_name = "NAME", default_value = "main", requires = "from_account")]
    pub account: Name,

    /// The environment variable with the managing key
    #[arg(long, value_name = "VARIABLE", default_value = "SENDGRID_API_KEY", requires = "from_account")]
    pub api_key_env: String,

    /// The subuser whose keys are meant
    #[arg(long, value_name = "NAME", requires = "from_account", conflicts_with = "account_id")]
    pub subuser: Option<String>,

    /// The account itself and every subuser of it, each with its keys
    #[arg(long, requires = "from_account", conflicts_with_all = ["subuser", "account_id"])]
    pub all_subusers: bool,

    /// The id of the customer account whose keys are meant
    #[arg(long, value_name = "ID", requires = "from_account")]
    pub account_id: Option<String>,

    /// Where the account lives
    #[arg(long, value_enum, default_value_t, requires = "from_account")]
    pub region: RegionChoice,

    /// Look for the secrets in every file at or below a path; `dotenv:PATH`, `json:PATH` or `yaml:PATH` takes each file for one of
    /// that kind (repeatable)
    #[arg(long, value_name = "[KIND:]PATH", requires = "from_account", value_parser = look_in)]
    pub look_in: Vec<(Option<FileKind>, PathBuf)>,
}

/// The two regions of SendGrid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RegionChoice {
    #[default]
    Global,
    Eu,
}

#[derive(Debug, Args)]
pub struct PlanArguments {
    #[command(flatten)]
    pub narrowing: Narrowing,

    #[command(flatten)]
    pub form: Form,

    /// Save the plan as JSON, to be shown or applied later
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Exit with 2 where something would change
    #[arg(long)]
    pub detailed_exitcode: bool,

    /// Leave the sinks alone; apply looks at them
    #[arg(long)]
    pub no_sinks: bool,

    /// Whether due work (rotations, retirements, expiries) is part of the plan
    #[arg(long, value_enum, default_value_t)]
    pub due: DueChoice,

    /// Replace the key at this address by a new one, or those that a pattern such as `prod/*` matches (repeatable)
    #[arg(long, alias = "replace", value_name = "ADDRESS", value_parser = key_pattern)]
    pub rotate: Vec<AddressPattern>,

    /// Show what changes from that manifest to this one, without credential, state, network or command
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["no_sinks", "due", "rotate"])]
    pub against: Option<PathBuf>,
}

/// What of a plan is left to the clock, as `--due` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DueChoice {
    #[default]
    Include,
    /// Leave it for another run, as in the plan of a pull request
    Exclude,
    /// Nothing else, as in a nightly job
    Only,
}

impl From<DueChoice> for Due {
    fn from(choice: DueChoice) -> Self {
        match choice {
            DueChoice::Include => Self::Include,
            DueChoice::Exclude => Self::Exclude,
            DueChoice::Only => Self::Only,
        }
    }
}

#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The plan file
    pub plan: PathBuf,

    #[command(flatten)]
    pub form: Form,
}

#[derive(Debug, Args)]
pub struct DriftArguments {
    #[command(flatten)]
    pub form: Form,

    /// Leave the sinks alone
    #[arg(long)]
    pub no_sinks: bool,

    /// Only the key at this address, or those that a pattern such as `prod/*` matches (repeatable)
    #[arg(long, alias = "target", value_name = "ADDRESS", value_parser = key_pattern)]
    pub only: Vec<AddressPattern>,

    #[command(flatten)]
    pub filter: KeyFilter,
}

#[derive(Debug, Args)]
pub struct ApplyArguments {
    /// Saved plans; only what they approve is done
    #[arg(value_name = "PLAN")]
    pub plans: Vec<PathBuf>,

    /// Leave alone what the plans do not approve, instead of stopping
    #[arg(long, requires = "plans")]
    pub approved_only: bool,

    /// Replace the key at this address by a new one, or those that a pattern matches (repeatable); where plans are given, one
    /// of them has to approve it
    #[arg(long, alias = "replace", value_name = "ADDRESS", value_parser = key_pattern)]
    pub rotate: Vec<AddressPattern>,

    /// Whether due work (rotations, retirements, expiries) is done
    #[arg(long, value_enum, default_value_t, conflicts_with = "plans")]
    pub due: DueChoice,

    /// Show counts, what blocks and what is revoked, without the details of each change
    #[arg(long)]
    pub summary: bool,

    #[command(flatten)]
    pub run: RunArguments,
}

#[derive(Debug, Args)]
pub struct DestroyArguments {
    #[command(flatten)]
    pub run: RunArguments,
}

#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// The key's id: the middle of `SG.<id>.<secret>`
    pub id: String,

    /// The account that it lives in
    #[arg(long, value_name = "NAME")]
    pub account: Name,

    /// Do not ask; the key's name has to be given with --name
    #[arg(long, short, alias = "auto-approve", requires = "name")]
    pub yes: bool,

    /// The key's name at SendGrid, to be sure that it is the right one
    #[arg(long, value_name = "KEY NAME", allow_hyphen_values = true)]
    pub name: Option<String>,

    /// How long to wait for another run that holds the lock
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub lock_timeout: Duration,
}

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The address that the key is to have
    #[arg(required_unless_present = "from_sinks", requires = "id", conflicts_with = "from_sinks", value_parser = address)]
    pub address: Option<Address>,

    /// The key's id: the middle of `SG.<id>.<secret>`
    pub id: Option<String>,

    /// Adopt what the sinks of the manifest's keys hold, as after a lost state
    #[arg(long)]
    pub from_sinks: bool,

    #[command(flatten)]
    pub confirm: Confirmation,
}

/// How a command that changes something is let go ahead.
#[derive(Clone, Debug, Args)]
pub struct Confirmation {
    /// Let a finding pass this once
    #[arg(long, value_name = "CODE[:ADDRESS]")]
    pub allow: Vec<Allow>,

    /// Do not ask
    #[arg(long, short, alias = "auto-approve")]
    pub yes: bool,

    /// How long to wait for another run that holds a lock
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub lock_timeout: Duration,
}

/// What every command that changes something takes.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub narrowing: Narrowing,

    /// Do not ask
    #[arg(long, short, alias = "auto-approve")]
    pub yes: bool,

    /// How long to wait for another run that holds a lock
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub lock_timeout: Duration,
}

impl RunArguments {
    pub fn keys(&self) -> KeyChoice {
        self.narrowing.keys()
    }

    pub fn confirmation(&self) -> Confirmation {
        Confirmation { allow: self.narrowing.allow.clone(), yes: self.yes, lock_timeout: self.lock_timeout }
    }
}

#[derive(Debug, Subcommand)]
pub enum EnvironmentsCommand {
    /// List them
    List(TextOrJsonForm),
}

#[derive(Debug, Subcommand)]
pub enum ScopesCommand {
    /// List scopes, or those that a pattern covers
    List {
        /// Such as `mail.*`, `templates:read` or `all:read`
        pattern: Option<String>,
        #[command(flatten)]
        form: TextOrJsonForm,
    },
    /// Say what is known of a scope, or what a pattern covers, or a name on SendGrid's page for API keys
    Explain {
        /// Such as `mail.send`, `templates:read`, "Mail Send" or "Template Engine: Read Access"
        scope: String,
        #[command(flatten)]
        form: TextOrJsonForm,
    },
}

#[derive(Debug, Subcommand)]
pub enum SinksCommand {
    /// List the kinds of places that secrets can go to
    List {
        #[command(flatten)]
        form: TextOrJsonForm,
    },
    /// Say what a kind of sink is, and what its settings are
    Explain {
        /// Such as `vault` or `kubernetes`
        kind: String,
        #[command(flatten)]
        form: TextOrJsonForm,
    },
    /// Ask every sink of the manifest whether it would take a key; nothing is written, and no account is asked
    Check {
        #[command(flatten)]
        form: TextOrJsonForm,
    },
}

#[derive(Debug, Args)]
pub struct EmulatorArguments {
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// How long every answer takes at least
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub latency: Duration,

    /// Creations and revocations per time, such as 1/3s
    #[arg(long, value_name = "COUNT/DURATION", value_parser = rate_limit)]
    pub rate_limit: Option<gridkey_emulator::RateLimit>,

    /// A JSON file with a list of faults
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,

    /// Keep keys in this file, and go on from it
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// The parent account whose managing key is printed [default: the data file's first, or `main`]
    #[arg(long, value_name = "NAME")]
    pub account: Option<Name>,

    /// A subuser of the parent account (repeatable)
    #[arg(long, value_name = "NAME")]
    pub subuser: Vec<String>,
}

#[cfg(test)]
mod tests;
