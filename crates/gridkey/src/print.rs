//! The only place that writes to standard output and standard error, besides the progress bar.

use std::io::{self, IsTerminal, Write};

use crate::view::words::safe;
use crate::view::{Style, Tone};

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

/// Data, to standard output. Whoever closed it early has read enough.
pub fn out(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Talk, to standard error.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// What failed, the chain of causes, and what to do.
pub fn error(message: &str, causes: &[String], help: Option<&str>) {
    let style = error_style();
    let mut lines = vec![format!("{} {}", style.paint(Tone::Bad, "error:"), safe(message))];
    lines.extend(causes.iter().map(|cause| format!("  because {}", safe(cause))));
    lines.extend(help.map(|help| format!("  {} {}", style.paint(Tone::Strong, "help:"), safe(help))));
    say(&lines.join("\n"));
}

/// Asks on the terminal; anything but `yes` is a no.
pub fn ask(question: &str) -> bool {
    let mut error = io::stderr().lock();
    if write!(error, "{question} Only `yes` is taken for a yes: ").and_then(|()| error.flush()).is_err() {
        return false;
    }
    drop(error);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// Whether somebody sits there to answer.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
