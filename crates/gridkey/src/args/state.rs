//! Arguments of the commands that look at state or change it alone.

use std::time::Duration;

use clap::{Args, Subcommand};
use gridkey_core::{Address, Name};

use super::TextOrJson;
use super::value::{address, duration};

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the addresses that gridkey owns
    List,
    /// Show what state says of an address
    Show {
        #[arg(value_parser = address)]
        address: Address,
        /// `json` is the document as it is stored
        #[arg(long, value_enum, default_value_t)]
        format: TextOrJson,
    },
    /// Give a key another address, in state alone
    #[command(alias = "mv")]
    Move {
        #[arg(value_parser = address)]
        from: Address,
        #[arg(value_parser = address)]
        to: Address,
        #[command(flatten)]
        confirm: BookConfirmation,
    },
    /// Let go of keys, which stay live
    #[command(alias = "rm")]
    Forget {
        #[arg(value_name = "ADDRESS", required = true, value_parser = address)]
        addresses: Vec<Address>,
        #[command(flatten)]
        confirm: BookConfirmation,
    },
    /// Lift the lock of an account's state, after its holder died
    Unlock { account: Name },
}

/// How a change of state alone is let go ahead.
#[derive(Clone, Debug, Args)]
pub struct BookConfirmation {
    /// Do not ask
    #[arg(long, short, alias = "auto-approve")]
    pub yes: bool,

    /// How long to wait for another run that holds the lock
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub lock_timeout: Duration,
}
