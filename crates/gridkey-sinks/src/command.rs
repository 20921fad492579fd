//! Commands that take a secret on standard input, and may show and remove it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use gridkey_core::inventory::SinkContent;
use gridkey_core::sink::{CommandSettings, is_given_to_every_command};
use gridkey_core::text::redact::quote;
use gridkey_engine::ports::{PutError, SinkError};
use gridkey_engine::secret::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::format::{Held, Standing};
use crate::stop::Stop;

/// A command that stores a secret is one request to some service, and people wait for it.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// When a secret that was put is looked for again: a service may show it a moment later.
const READ_BACK: [Duration; 3] = [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)];

/// The longest that one call can be under way: a look before the put, the put, the looks after it, and a little.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3 * TIME_LIMIT.as_secs() + 5);

/// How long the outputs of a command are still heard once it has ended: something that it left running may hold them
/// open for ever.
const GRACE: Duration = Duration::from_millis(500);

/// How much of each output is kept. A key has 69 bytes; what is longer is none.
pub(crate) const MAX_OUTPUT: usize = 8 << 10;

/// How much of what a command said goes into an error.
const MAX_QUOTED: usize = 400;

/// Runs the commands of command sinks.
///
/// *Guarantees*: no shell; the secret is on standard input, exactly, without a line end, and nowhere in
/// arguments or environment. A command that takes too long, or whose caller goes away, is killed with the processes it
/// started; one that puts or removes, also where this process is killed. What it prints is quoted in errors without anything like a key.
/// *Caveats*: a command that fails may have stored the secret all the same, so its put is unclear.
pub(crate) struct Commands {
    /// Where commands run, and what a program's path is relative to.
    folder: PathBuf,
    /// Where programs without a path are looked for.
    search_path: Vec<PathBuf>,
    limit: Duration,
    pub stop: Stop,
}

/// A command that has ended.
pub(crate) struct Ended {
    pub status: ExitStatus,
    pub output: Zeroizing<Vec<u8>>,
    pub errors: Zeroizing<Vec<u8>>,
    /// Whether all of the input was taken.
    pub fed: bool,
}

/// A command without a result.
pub(crate) enum Unended {
    NotStarted(String),
    Lost(String),
}

/// The arguments of `remove`, where the sink has it.
pub(crate) fn removal(settings: &CommandSettings) -> Result<&[String], SinkError> {
    settings.remove.as_deref().ok_or_else(|| {
        SinkError::unsupported("the command sink has no `remove`, so the value stays where it is")
    })
}

impl Commands {
    pub fn new(folder: &Path, search_path: Vec<PathBuf>) -> Self {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        Self { folder, search_path, limit: TIME_LIMIT, stop: Stop::default() }
    }

    /// Lets a command take longer, or less long.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Whether every program is there and can be run.
    pub fn check(&self, settings: &CommandSettings) -> Result<(), SinkError> {
        let CommandSettings { put, read, absent_exit: _, remove, env: _ } = settings;
        for argv in [Some(put), read.as_ref(), remove.as_ref()].into_iter().flatten() {
            let missing = self.missing(argv).map_err(SinkError::failed)?;
            if let Some(missing) = missing {
                return Err(SinkError::failed(format!(
                    "{missing}; install it, or correct the sink's command"
                )));
            }
        }
        Ok(())
    }

    /// What is said of a program that is not there.
    pub fn missing(&self, argv: &[String]) -> Result<Option<String>, String> {
        let (program, _) = split(argv)?;
        let is_there = self.candidates(program).iter().any(|path| is_executable(path));
        Ok((!is_there).then(|| match program.contains('/') {
            true => format!("`{}` is not an executable file", self.folder.join(program).display()),
            false => format!("`{program}` is in no folder of `PATH`"),
        }))
    }

    /// What the `read` command prints, without one line end.
    pub async fn read(&self, settings: &CommandSettings) -> Result<Held, SinkError> {
        let Some(argv) = &settings.read else {
            return Err(SinkError::unsupported("the command sink has no `read`"));
        };
        let Ended { status, output, errors, fed: _ } = match self.run(argv, &settings.env, Task::Read).await {
            Ok(ended) => ended,
            Err(Unended::NotStarted(message) | Unended::Lost(message)) => {
                return Err(SinkError::failed(message));
            }
        };
        if !status.success() {
            let says_absent = |code: &u8| status.code() == Some(i32::from(*code));
            if settings.absent_exit.iter().any(says_absent) {
                return Ok(Held::Nothing);
            }
            return Err(SinkError::failed(failure(argv, &settings.env, status, &errors, None)));
        }
        if output.len() > MAX_OUTPUT {
            let message = format!("`{}` printed more than {MAX_OUTPUT} bytes, which is not a key", argv[0]);
            return Err(SinkError::failed(message));
        }
        let Ok(text) = std::str::from_utf8(&output) else {
            return Err(SinkError::failed(format!("`{}` printed something that is not UTF-8", argv[0])));
        };
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        Ok(if text.is_empty() { Held::Nothing } else { Held::Text(Zeroizing::new(text.to_string())) })
    }

    /// Hands the secret to the `put` command, after a look at what it would replace where that is possible.
    pub async fn put(
        &self,
        settings: &CommandSettings,
        secret: &Secret,
        replaces: &SinkContent,
    ) -> Result<(), PutError> {
        if settings.read.is_some() {
            let held = self.read(settings).await.map_err(PutError::Refused)?;
            match held.standing(secret.expose(), Some(replaces)).map_err(PutError::refused)? {
                Standing::Same => return Ok(()),
                Standing::Replaceable => {}
            }
        }
        let ended = self.run(&settings.put, &settings.env, Task::Put(secret)).await;
        match ended {
            Ok(Ended { status, fed: true, .. }) if status.success() => {
                let proof = tokio::time::timeout(self.limit, self.prove(settings, secret)).await;
                proof
                    .unwrap_or_else(|_| Err(PutError::unclear("`read` did not give the secret back in time")))
            }
            Ok(Ended { status, .. }) if status.success() => {
                let program = &settings.put[0];
                Err(PutError::unclear(format!("`{program}` ended well without reading the secret")))
            }
            Ok(Ended { status, errors, .. }) => Err(PutError::unclear(failure(
                &settings.put,
                &settings.env,
                status,
                &errors,
                Some(secret.expose()),
            ))),
            Err(Unended::NotStarted(message)) => Err(PutError::refused(message)),
            Err(Unended::Lost(message)) => Err(PutError::unclear(message)),
        }
    }

    /// Reads back what was put, where there is a `read`: a `put` that ends well and stores nothing leaves a live key whose secret is
    /// nowhere, with every run.
    async fn prove(&self, settings: &CommandSettings, secret: &Secret) -> Result<(), PutError> {
        let Some(read) = &settings.read else { return Ok(()) };
        let mut found = "nothing";
        for pause in READ_BACK {
            tokio::time::sleep(pause).await;
            let held = self.read(settings).await.map_err(PutError::Unclear)?;
            found = match held {
                Held::Text(text) if text.as_str() == secret.expose() => return Ok(()),
                Held::Text(_) | Held::Other => "something else",
                Held::Nothing => "nothing",
            };
        }
        let (put, read) = (&settings.put[0], &read[0]);
        Err(PutError::unclear(format!("`{put}` ended well, and `read` (`{read}`) gives {found} back")))
    }

    /// Runs the `remove` command.
    pub async fn remove(&self, settings: &CommandSettings) -> Result<(), SinkError> {
        let argv = removal(settings)?;
        match self.run(argv, &settings.env, Task::Remove).await {
            Ok(Ended { status, .. }) if status.success() => Ok(()),
            Ok(Ended { status, errors, .. }) => {
                Err(SinkError::failed(failure(argv, &settings.env, status, &errors, None)))
            }
            Err(Unended::NotStarted(message) | Unended::Lost(message)) => Err(SinkError::failed(message)),
        }
    }

    /// Runs one program, and hears it out.
    pub async fn run(&self, argv: &[String], env: &[String], task: Task<'_>) -> Result<Ended, Unended> {
        let (input, changes) = match task {
            Task::Read => (None, false),
            Task::Put(secret) => (Some(secret.expose().as_bytes()), true),
            Task::Tell(document) => (Some(document), true),
            Task::Remove => (None, true),
        };
        let (program, arguments) = split(argv).map_err(Unended::NotStarted)?;
        let path = if program.contains('/') { self.folder.join(program) } else { PathBuf::from(program) };
        let mut command = Command::new(path);
        command.args(arguments).current_dir(&self.folder).kill_on_drop(true);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_given(name, env)));
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own, an interrupt at the terminal is for gridkey alone to act on.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| Unended::NotStarted(format!("`{program}` could not be started: {error}")))?;
        let group = Group::of(&child, changes);
        tokio::select! {
            biased;
            attended = attend(&mut child, input) => match attended {
                Ok(ended) => {
                    group.leave();
                    Ok(ended)
                }
                Err(error) => Err(Unended::Lost(format!("`{program}` was lost sight of: {error}"))),
            },
            () = tokio::time::sleep(self.limit) => {
                let limit = self.limit.as_secs();
                Err(Unended::Lost(format!("`{program}` did not end within {limit} seconds and was killed")))
            }
            () = self.stop.last_moment_is_over() => {
                Err(Unended::Lost(format!("`{program}` was killed, as the run was interrupted")))
            }
        }
    }

    /// Where a program may be.
    fn candidates(&self, program: &str) -> Vec<PathBuf> {
        if program.contains('/') {
            return vec![self.folder.join(program)];
        }
        self.search_path.iter().map(|folder| self.folder.join(folder).join(program)).collect()
    }
}

/// Feeds a command, hears it out, and waits for its end.
async fn attend(child: &mut Child, input: Option<&[u8]>) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        match (stdin, input) {
            // The pipe is closed as it is dropped here, which ends the command's input.
            (Some(mut stdin), Some(input)) => stdin.write_all(input).await.is_ok(),
            _ => true,
        }
    };
    let buffer = || Zeroizing::new(Vec::with_capacity(MAX_OUTPUT + 1));
    let (mut output, mut errors) = (buffer(), buffer());
    let (status, fed) = {
        let mut heard =
            pin!(async { tokio::try_join!(drain(stdout, &mut output), drain(stderr, &mut errors)) });
        let mut ended = pin!(async { tokio::join!(child.wait(), feed) });
        let (ended, all_heard) = tokio::select! {
            ended = &mut ended => (ended, None),
            all_heard = &mut heard => (ended.await, Some(all_heard)),
        };
        match all_heard {
            Some(all_heard) => drop(all_heard?),
            // What is not heard by then comes from something that the command left behind.
            None => drop(tokio::time::timeout(GRACE, heard).await.unwrap_or(Ok(((), ())))?),
        }
        ended
    };
    Ok(Ended { status: status?, output, errors, fed })
}

/// Reads to the end, so that the command never waits for us, and keeps a bounded beginning: one byte more
/// than it may have, where there was more.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut chunk = Zeroizing::new([0; 1 << 10]);
    loop {
        let count = pipe.read(chunk.as_mut()).await?;
        if count == 0 {
            return Ok(());
        }
        let room = MAX_OUTPUT + 1 - kept.len();
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}

fn split(argv: &[String]) -> Result<(&String, &[String]), String> {
    argv.split_first().ok_or_else(|| "the command is empty; name a program".to_string())
}

/// What a command's failure is called, with the beginning of what it said.
pub(crate) fn failure(
    argv: &[String],
    env: &[String],
    status: ExitStatus,
    errors: &[u8],
    secret: Option<&str>,
) -> String {
    let program = &argv[0];
    let ended = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    let said = quote(&String::from_utf8_lossy(errors), secret);
    let mut message = match said.char_indices().nth(MAX_QUOTED) {
        _ if said.is_empty() => format!("`{program}` ended with {ended}"),
        Some((end, _)) => format!("`{program}` ended with {ended}: {}…", &said[..end]),
        None => format!("`{program}` ended with {ended}: {said}"),
    };
    let unset: Vec<_> = env.iter().filter(|name| std::env::var_os(name).is_none()).collect();
    if let Some(first) = unset.first() {
        message.push_str(&match unset.len() - 1 {
            0 => format!("; `{first}`, which its `env` lists, is not set"),
            more => format!("; `{first}` and {more} more that its `env` lists are not set"),
        });
    }
    message
}

/// Whether a command gets a variable.
fn is_given(name: &OsStr, env: &[String]) -> bool {
    // Windows has one variable for all spellings.
    let name = if cfg!(windows) { name.to_ascii_uppercase() } else { name.to_owned() };
    let Some(name) = name.to_str() else { return false };
    let listed = |listed: &String| match cfg!(windows) {
        true => listed.eq_ignore_ascii_case(name),
        false => listed == name,
    };
    is_given_to_every_command(name) || env.iter().any(listed)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Elsewhere, the file's name says what can be run.
#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok() || fs::metadata(path.with_extension("exe")).is_ok()
}

/// What a command is run for.
pub(crate) enum Task<'s> {
    Read,
    Put(&'s Secret),
    /// To be told of a delivery.
    Tell(&'s [u8]),
    Remove,
}

/// The processes that a command started, killed together unless they are left alone.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
    /// Who kills them where this process is killed itself. A `put` that outlived its run would store a secret that the next
    /// run has given up by then; what only reads has none.
    #[cfg(unix)]
    watch: Option<Child>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child, changes: bool) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = id.and_then(rustix::process::Pid::from_raw);
        Self { leader, watch: leader.filter(|_| changes).and_then(watch) }
    }

    /// The command has ended by itself; what it left running on purpose goes on.
    fn leave(mut self) {
        self.leader = None;
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // A group that has just ended by itself is what was wanted.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
        // Before its input is closed, at which it would kill them.
        if let Some(watch) = &mut self.watch {
            let _ = watch.start_kill();
        }
    }
}

/// A shell that waits for the end of its input, which comes with the end of this process, and kills the group then. `None`
/// where there is no shell: there a command outlives a run that is killed.
#[cfg(unix)]
fn watch(leader: rustix::process::Pid) -> Option<Child> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "read -r _ || kill -s KILL -- \"-$1\"", "sh"])
        .arg(leader.as_raw_nonzero().to_string());
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().ok()
}

/// Elsewhere, the command alone is killed.
#[cfg(not(unix))]
impl Group {
    fn of(_child: &Child, _changes: bool) -> Self {
        Self {}
    }

    fn leave(self) {}
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn put(script: &str) -> CommandSettings {
        let put = ["sh", "-c", script].map(str::to_string).to_vec();
        CommandSettings { put, read: None, remove: None, absent_exit: Vec::new(), env: Vec::new() }
    }

    /// A lease must outlast the call: a look, the put, and the looks after it, each with its outputs heard out.
    #[test]
    fn no_call_is_under_way_for_longer_than_the_deadline() {
        assert!(DEADLINE >= 3 * (TIME_LIMIT + GRACE));
    }

    #[test]
    fn a_command_gets_its_locale_and_what_is_listed_and_no_more() {
        for (name, env, given) in [
            ("PATH", &[][..], true),
            ("LC_ALL", &[], true),
            ("SENDGRID_API_KEY", &[], false),
            ("VAULT_ADDR", &["VAULT_ADDR"], true),
            ("VAULT_TOKEN", &["VAULT_ADDR"], false),
        ] {
            let env: Vec<String> = env.iter().map(ToString::to_string).collect();
            assert_eq!(is_given(OsStr::new(name), &env), given, "{name} {env:?}");
        }
    }

    #[tokio::test]
    async fn one_byte_more_is_kept_than_an_output_may_have() {
        let mut kept = Vec::new();
        drain(Some(&[b'x'; 3 * MAX_OUTPUT][..]), &mut kept).await.unwrap();
        assert_eq!(kept.len(), MAX_OUTPUT + 1);
    }

    #[tokio::test]
    async fn a_slow_command_is_killed_and_its_put_is_unclear() {
        let folder = tempfile::tempdir().unwrap();
        let commands =
            Commands { limit: Duration::from_millis(50), ..Commands::new(folder.path(), Vec::new()) };
        let secret = Secret::from("SG.new".to_string());
        let result = commands.put(&put("sleep 60 & wait"), &secret, &SinkContent::Empty).await;
        let Err(PutError::Unclear(SinkError { message, .. })) = result else {
            panic!("it should be unclear: {result:?}")
        };
        assert!(message.contains("did not end within"), "{message}");
    }

    #[tokio::test]
    async fn a_put_is_believed_once_its_read_gives_the_secret_back() {
        let argv = |script: &str| Some(["sh", "-c", script].map(str::to_string).to_vec());
        for (script, read, error) in [
            ("cat > kept", "cat kept 2>/dev/null || true", None),
            ("cat > late; (sleep 0.1; mv late kept) >/dev/null 2>&1 &", "cat kept 2>/dev/null || true", None),
            ("cat > /dev/null", "true", Some("gives nothing back")),
            (
                "cat > /dev/null",
                "test -e asked && echo other; touch asked",
                Some("gives something else back"),
            ),
            ("cat > /dev/null; touch put", "test ! -e put", Some("ended with exit code 1")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let commands = Commands::new(folder.path(), Vec::new());
            let settings = CommandSettings { read: argv(read), ..put(script) };
            let secret = Secret::from("SG.new".to_string());
            let result = commands.put(&settings, &secret, &SinkContent::Empty).await;
            match (error, result) {
                (None, Ok(())) => {}
                (Some(words), Err(PutError::Unclear(SinkError { message, .. }))) => {
                    assert!(message.contains(words), "{message}")
                }
                (_, result) => panic!("{script} {read}: {result:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_command_that_leaves_something_running_has_ended_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let commands = Commands::new(folder.path(), Vec::new());
        let secret = Secret::from("SG.new".to_string());
        // It holds both outputs open, and is told to end as soon as the put has; it ends with the folder, too, where this fails.
        let settings =
            put("cat > kept; (while [ -e kept ] && [ ! -e done ]; do sleep 0.1; done; echo > went-on) &");
        let stored = commands.put(&settings, &secret, &SinkContent::Empty);
        let stored = tokio::time::timeout(Duration::from_secs(20), stored).await;
        fs::write(folder.path().join("done"), "").unwrap();
        stored.expect("it ends").unwrap();
        let went_on = async {
            while !folder.path().join("went-on").exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), went_on).await.expect("what it left running goes on");
        assert_eq!(fs::read_to_string(folder.path().join("kept")).unwrap(), "SG.new");
        let CommandSettings { put: read, .. } = put("cat kept; sleep 1000 2>&1 & echo $! > left");
        let settings = CommandSettings { read: Some(read), ..put("true") };
        let held = tokio::time::timeout(Duration::from_secs(20), commands.read(&settings)).await;
        let left = fs::read_to_string(folder.path().join("left")).unwrap();
        std::process::Command::new("kill").arg(left.trim()).status().unwrap();
        assert!(matches!(held.expect("it ends").unwrap(), Held::Text(text) if *text == "SG.new"));
    }

    #[tokio::test]
    async fn a_command_is_killed_with_what_it_started_when_its_caller_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (opened, has_opened) = tokio::sync::oneshot::channel();
        let reader = tokio::task::spawn_blocking(move || {
            let mut pipe = fs::File::open(pipe).unwrap();
            opened.send(()).unwrap();
            // Ends once no process is left that could write.
            std::io::Read::read_to_end(&mut pipe, &mut Vec::new()).unwrap();
        });
        let commands = Commands::new(folder.path(), Vec::new());
        let under_way = tokio::spawn(async move {
            let secret = Secret::from("SG.new".to_string());
            commands.put(&put("sleep 1000 > pipe & wait"), &secret, &SinkContent::Empty).await
        });
        has_opened.await.unwrap();
        under_way.abort();
        reader.await.unwrap();
        assert!(under_way.await.unwrap_err().is_cancelled());
    }
}
