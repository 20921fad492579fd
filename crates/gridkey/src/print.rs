//! The only place that writes to standard output and standard error, besides the progress bar.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use gridkey_core::text::diagnostic::Diagnostics;
use gridkey_core::text::redact::redact;
use serde::Serialize;
use terminal_size::{Height, Width, terminal_size_of};
use tokio::sync::oneshot;

use crate::view::events::timed;
use crate::view::words::on_one_line;
use crate::view::wrap::wrapped;
use crate::view::{self, Style, Tone};

/// Whether colour is wanted on standard output, as `NO_COLOR` and its relatives say.
pub fn style() -> Style {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => Style::Plain,
        _ => Style::Coloured,
    }
}

/// The same of standard error.
pub fn error_style() -> Style {
    match anstream::AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => Style::Plain,
        _ => Style::Coloured,
    }
}

/// Why standard output took less than it was given; the first of the reasons.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Data, to standard output. Whoever closed it early has read enough; any other failure is kept for the end of the run.
pub fn out(text: &str) {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // A later one says no more than the first.
            let _ = LOST.set(error);
        }
        Ok(()) | Err(_) => {}
    }
}

/// A terminal that says less does not know how wide it is.
const NARROWEST: usize = 20;

/// Data for programs, to standard output: one document.
pub fn json(document: &impl Serialize) {
    let text = serde_json::to_string_pretty(document).expect("it is plain data with text keys");
    out(&format!("{text}\n"));
}

/// Data for people, to standard output, in lines that fit where they are shown.
pub fn text(text: &str) {
    match width(terminal_size_of(io::stdout())) {
        Some(width) => out(&wrapped(text, width)),
        None => out(text),
    }
}

/// How wide lines may be: as wide as the terminal, or what `COLUMNS` says where there is none. Where neither is known, as
/// in a pipe or a log, what reads it goes by lines.
fn width(terminal: Option<(Width, Height)>) -> Option<usize> {
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width = terminal.map(|(Width(width), _)| usize::from(width)).or_else(said);
    width.filter(|width| *width >= NARROWEST)
}

/// Why some of the data did not get to standard output, where it did not.
pub fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// Talk, to standard error. What looks like a secret is starred out, whatever it comes from: a server's words, a
/// command's, an argument.
pub fn say(line: &str) {
    let line = redact(line);
    // What has lines already was laid out by whoever made it.
    let is_one = !line.contains('\n') && !manner().json;
    let line = match width(terminal_size_of(io::stderr())).filter(|_| is_one) {
        Some(width) => wrapped(&line, width),
        None => line,
    };
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// What is wrong with a text that a person wrote, to standard error.
pub fn diagnostics(found: &Diagnostics) {
    say(&view::diagnostics::render(found, error_style(), width(terminal_size_of(io::stderr()))));
}

/// Talk that nobody has to hear who asked for quiet.
pub fn note(line: &str) {
    if !manner().quiet {
        say(line);
    }
}

/// How this process talks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    pub quiet: bool,
    /// Errors as lines of JSON.
    pub json: bool,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// Settles how this process talks, once its arguments are known.
pub fn talk(manner: Manner) {
    // There is one command line.
    let _ = MANNER.set(manner);
}

fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// An error for machines, among the events.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    event: &'static str,
    message: &'a str,
    causes: &'a [String],
    help: Option<&'a str>,
}

/// What failed, the chain of causes, and what to do.
pub fn error(message: &str, causes: &[String], help: Option<&str>) {
    if manner().json {
        say(&timed(&ErrorEvent { event: "error", message, causes, help }));
        return;
    }
    let style = error_style();
    let mut lines = vec![format!("{} {}", style.paint(Tone::Bad, "error:"), on_one_line(message))];
    lines.extend(causes.iter().map(|cause| format!("  because {}", on_one_line(cause))));
    lines.extend(help.map(|help| format!("  {} {}", style.paint(Tone::Strong, "help:"), on_one_line(help))));
    let text = lines.join("\n");
    match width(terminal_size_of(io::stderr())) {
        Some(width) => say(&wrapped(&text, width)),
        None => say(&text),
    }
}

/// Asks on the terminal; anything but `yes` is a no.
pub fn ask(question: &str) -> bool {
    ask_for(&format!("{question} Only `yes` is taken for a yes")) == "yes"
}

/// The same, as long as nothing else comes first; `None` where it does.
pub async fn ask_until(question: &'static str, end: impl Future<Output = ()>) -> Option<bool> {
    let (answered, answer) = oneshot::channel();
    // A read of the terminal cannot be taken back, so nothing waits for the thread: it ends with the process.
    std::thread::spawn(move || answered.send(ask(question)));
    tokio::select! {
        answer = answer => answer.ok(),
        () = end => None,
    }
}

/// Asks on the terminal for a line; nothing where it cannot be had.
pub fn ask_for(what: &str) -> String {
    let mut error = io::stderr().lock();
    if write!(error, "{what}: ").and_then(|()| error.flush()).is_err() {
        return String::new();
    }
    drop(error);
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) => answer.trim().to_string(),
        Err(_) => String::new(),
    }
}

/// Whether a person can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
