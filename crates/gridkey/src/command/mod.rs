//! The commands, one file each, and which argument runs which.

mod apply;
mod approve;
mod audit;
mod drift;
mod emulator;
mod fmt;
mod init;
mod lifecycle;
mod list;
mod look_in;
mod man;
mod manifest_from_account;
mod plan;
mod revoke;
mod scopes;
mod show;
mod sinks;
mod state;
mod state_edit;
mod subusers;
mod validate;
mod version;
mod whois;

use crate::args::{Arguments, Command, EnvironmentsCommand, SchemaOf, StateCommand, registration};
use crate::exit::{CommandError, Exit};
use crate::print;

/// Runs a command.
pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let Arguments { global, command } = arguments;
    match command {
        Command::Init(arguments) if arguments.from_account => {
            manifest_from_account::run(&global, &arguments).await
        }
        Command::Init(arguments) => init::run(&arguments),
        Command::Validate(form) => validate::run(&global, form.format()).await,
        Command::Plan(arguments) => plan::run(&global, &arguments).await,
        Command::Show(arguments) => show::run(&arguments),
        Command::Drift(arguments) => drift::run(&global, &arguments).await,
        Command::Apply(arguments) => apply::apply(&global, &arguments).await,
        Command::Audit(arguments) => audit::run(&global, &arguments).await,
        Command::Whois(arguments) => whois::run(&global, &arguments).await,
        Command::Rotate(arguments) => lifecycle::rotate(&global, &arguments).await,
        Command::Retire(arguments) => lifecycle::retire(&global, &arguments).await,
        Command::Import(arguments) => lifecycle::import(&global, &arguments).await,
        Command::Revoke(arguments) => revoke::run(&global, &arguments).await,
        Command::Destroy(arguments) => apply::destroy(&global, &arguments.run).await,
        Command::Environments(EnvironmentsCommand::List(form)) => {
            list::environments(&global, form.format()).await
        }
        Command::State(StateCommand::List) => state::list(&global).await,
        Command::State(StateCommand::Show { address, format }) => {
            state::show(&global, &address, format).await
        }
        Command::State(StateCommand::Move { from, to, confirm }) => {
            state_edit::move_key(&global, &from, &to, &confirm).await
        }
        Command::State(StateCommand::Forget { addresses, confirm }) => {
            state_edit::forget(&global, &addresses, &confirm).await
        }
        Command::State(StateCommand::Unlock { account }) | Command::ForceUnlock { account } => {
            state::unlock(&global, &account).await
        }
        Command::Scopes(arguments) => scopes::run(&arguments),
        Command::Sinks(arguments) => sinks::run(&global, &arguments).await,
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Manifest => gridkey_core::manifest::manifest_schema(),
                SchemaOf::Policy => gridkey_core::manifest::policy_schema(),
                SchemaOf::Plan => gridkey_core::plan::plan_schema(),
                SchemaOf::Audit => gridkey_core::audit::audit_schema(),
                SchemaOf::Whois => gridkey_core::whois::whois_schema(),
            };
            print::out(&format!("{schema:#}\n"));
            Ok(Exit::Done)
        }
        Command::Emulator(arguments) => emulator::run(&arguments).await,
        Command::Completions { shell } => {
            print::out(&String::from_utf8_lossy(&registration(&shell.to_string())));
            Ok(Exit::Done)
        }
        Command::Fmt(arguments) => fmt::run(&global, &arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Version => Ok(version::run()),
    }
}
