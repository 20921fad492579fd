//! Servers and programs that tests start, and stop by their own process id.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// For machines that do many things at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is stopped when it goes out of sight.
pub struct Server {
    process: Child,
    lines: Mutex<Receiver<String>>,
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
        Self { process, lines: Mutex::new(lines) }
    }

    /// The line in which it says this.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        let mut said = Vec::new();
        let lines = self.lines.lock().unwrap();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return line;
            }
            said.push(line);
        }
        panic!("it did not say {text:?}:\n{}", said.join("\n"))
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

/// A program that `.ci/run` put below `target/` (`recipes/openbao/bin/bao`), or one of that name in `PATH`.
pub fn program(path: &str) -> Result<PathBuf, String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(path);
    let folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let mut places = std::iter::once(installed).chain(folders.iter().map(|folder| folder.join(name)));
    let found = places.find(|path| path.is_file()).ok_or_else(|| format!("no {name} on this machine"))?;
    // A program of a virtual environment finds its own things by the path that it was called by.
    std::path::absolute(found).map_err(|error| error.to_string())
}
