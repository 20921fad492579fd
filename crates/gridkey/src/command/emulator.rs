//! `emulator`: an emulated SendGrid as a server on this machine.

use std::path::Path;

use gridkey_emulator::{Announcement, FaultRule, Model, Server, ServerSettings, Settings, Snapshot};
use jiff::Timestamp;

use crate::args::EmulatorArguments;
use crate::emulated;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Signals;
use crate::print;

pub async fn run(arguments: &EmulatorArguments) -> Result<Exit, CommandError> {
    let mut signals = Signals::listen()?;
    let settings = Settings {
        write_rate_limit: arguments.rate_limit,
        faults: arguments.faults.as_deref().map(faults).transpose()?.unwrap_or_default(),
        ..Settings::default()
    };
    let snapshot = match &arguments.data {
        Some(path) => emulated::load(path)?,
        None => Snapshot::default(),
    };
    let first = snapshot.parents().next().map(str::to_string);
    let account = arguments.account.as_ref().map(ToString::to_string).or(first);
    let account = account.unwrap_or_else(|| "main".to_string());
    let mut model = Model::with_data(settings, rand::random(), snapshot);
    let api_key = model.parent(&account, Timestamp::now());
    for subuser in &arguments.subuser {
        model.child(&account, subuser);
    }
    let settings =
        ServerSettings { port: arguments.port, latency: arguments.latency, data: arguments.data.clone() };
    let server = Server::start(model, settings)
        .await
        .map_err(|error| CommandError::new("the emulator could not be started").because(&error))?;
    print::out(&format!("{}\n", Announcement { url: server.url(), api_key }.to_line()));
    print::say("press Ctrl-C to stop");
    signals.next().await;
    server.shutdown().await;
    Ok(Exit::Done)
}

fn faults(path: &Path) -> Result<Vec<FaultRule>, CommandError> {
    let failed = || CommandError::new(format!("the faults in {} cannot be used", path.display()));
    let bytes = std::fs::read(path).map_err(|error| failed().because(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| failed().because(&error))
}
