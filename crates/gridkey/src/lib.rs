//! The command line: arguments to engine to view. The only crate that prints, exits or reads the
//! environment.

mod args;
mod choice;
mod command;
mod credential;
mod emulated;
mod environments;
mod exit;
mod interrupt;
mod print;
mod project;
mod real_paths;
mod remote;
mod timer;
pub mod view;

use std::path::Path;
use std::process::ExitCode;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use args::cli;
use args::{ColorWhen, LogFormat};
use exit::Exit;
use view::Style;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    args::answer_completion();
    let arguments = match args::read(std::env::args_os(), args::is_set_to_nothing) {
        Ok(arguments) => arguments,
        Err(error) => {
            let wrong = error.use_stderr();
            if wrong && args::wants_json(std::env::args_os()) {
                print::talk(print::Manner { quiet: false, json: true });
                let args::Mistake { message, help } = args::Mistake::of(&error);
                print::error(&message, &[], help.as_deref());
                return Exit::Usage.into();
            }
            if wrong {
                // A key that was pasted where something else belongs is not repeated.
                print::say(error.render().to_string().trim_end());
                return Exit::Usage.into();
            }
            print::text(&match print::style() {
                Style::Plain => error.render().to_string(),
                Style::Coloured => error.render().ansi().to_string(),
            });
            return whole(Exit::Done).into();
        }
    };
    let global = &arguments.global;
    print::talk(print::Manner { quiet: global.quiet, json: global.log_format == LogFormat::Json });
    match global.color {
        ColorWhen::Auto => {}
        ColorWhen::Always => anstream::ColorChoice::Always.write_global(),
        ColorWhen::Never => anstream::ColorChoice::Never.write_global(),
    }
    if let Some(error) = global.chdir.as_ref().and_then(|folder| std::env::set_current_dir(folder).err()) {
        let folder = global.chdir.as_deref().unwrap_or(Path::new("."));
        print::error(&format!("the folder {} cannot be worked in: {error}", folder.display()), &[], None);
        return Exit::Error.into();
    }
    log(global.verbose, global.log_format);
    keep_memory_private();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::error(&format!("the runtime could not be started: {error}"), &[], None);
            return Exit::Error.into();
        }
    };
    let exit = match runtime.block_on(command::run(arguments)) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print();
            failure.exit
        }
    };
    // Work that blocks (a file being written) is waited for; nothing else may hold the process up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    whole(exit).into()
}

/// How a run ends that came to this, as what it printed may be lost: an empty review must not pass for one without changes.
fn whole(exit: Exit) -> Exit {
    match print::lost() {
        Some(error) => {
            print::error(&format!("standard output could not be written: {error}"), &[], None);
            exit.with_error()
        }
        None => exit,
    }
}

/// Secrets are in memory until they are delivered, so it is neither dumped when the process dies nor shown to other
/// processes of the user. Where the system does not let that be said, it goes on as it is.
fn keep_memory_private() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        if let Err(error) = none {
            tracing::debug!(%error, "core dumps could not be ruled out");
        }
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::debug!(%error, "the process could not be made private");
        }
    }
}

/// Logs of gridkey's own crates go to standard error. Those of the HTTP libraries stay out at every level:
/// what they would write is not known here, and a header is a credential.
fn log(verbose: u8, format: LogFormat) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let own =
        ["gridkey", "gridkey_core", "gridkey_engine", "gridkey_sendgrid", "gridkey_sinks", "gridkey_stores"];
    let filter = Targets::new().with_targets(own.map(|target| (target, level)));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry
            .with(
                tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).without_time(),
            )
            .init(),
        LogFormat::Json => {
            registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)).init();
        }
    }
}
