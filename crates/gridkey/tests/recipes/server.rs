//! Servers and programs that tests start, and stop by their own process id.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::page::root;

/// For machines that do many things at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is stopped when it goes out of sight.
pub struct Server {
    process: Child,
    lines: Receiver<String>,
}

impl Server {
    /// Starts it. Both of its outputs are read to their end, so that it never waits for a reader.
    pub fn start(mut command: Command) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer).process_group(0);
        let process = command.spawn().unwrap();
        drop(command);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { process, lines }
    }

    /// The line in which it says this.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return line;
            }
            said.push(line);
        }
        panic!("it did not say {text:?}:\n{}", said.join("\n"))
    }

    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port of this machine that is free, as is the one after it, which some servers take too.
pub fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// Where `.ci/run` put a program.
pub fn installed(path: &str) -> PathBuf {
    root().join("target/recipes").join(path)
}

/// Programs by name, from `target/recipes` or from `PATH`. `None`, and a word about it, where one is missing, unless
/// `GRIDKEY_REQUIRE_…` says that it has to be there.
pub fn programs<const N: usize>(required: &str, names: [&str; N]) -> Option<[PathBuf; N]> {
    let folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let mut found = Vec::new();
    for name in names {
        let places = folders.iter().map(|folder| folder.join(name));
        let Some(path) = std::iter::once(installed(name)).chain(places).find(|path| path.is_file()) else {
            let reason = format!("no {name} on this machine");
            assert!(std::env::var_os(format!("GRIDKEY_REQUIRE_{required}")).is_none(), "{reason}");
            println!("skipped: {reason}");
            return None;
        };
        found.push(path.canonicalize().unwrap());
    }
    found.try_into().ok()
}
