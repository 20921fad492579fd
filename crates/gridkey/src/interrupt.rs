//! SIGINT and SIGTERM: the first stops new steps, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{CommandError, Exit};
use crate::print;

/// Both signals, as CI systems send one after the other.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, CommandError> {
        let listen = |kind| {
            signal(kind).map_err(|error| CommandError::new("signals cannot be listened for").because(&error))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Sets the switch at the first signal, and ends the process at the second: what was begun stands in
    /// state, so that is safe too.
    pub fn cancel(mut self, switch: watch::Sender<bool>) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            self.next().await;
            print::say("interrupted: finishing what is under way; once more to stop at once");
            let _ = switch.send(true);
            self.next().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        })
    }
}
