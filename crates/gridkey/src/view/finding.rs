//! Findings as people read them: how much they matter, what they are about, and the way out.

use gridkey_core::plan::{Finding, Severity};

use super::style::{Style, Tone};
use super::words::safe;

/// A finding as lines, each ended by a line break.
pub(crate) fn text(finding: &Finding, style: Style) -> String {
    let Finding { severity, code, account, address, message, help, position } = finding;
    let head = style.paint(tone(*severity), format!("{} [{code}]", word(*severity)));
    let about = match (account, address) {
        (Some(account), Some(address)) => format!(" {account} {address}:"),
        (Some(account), None) => format!(" {account}:"),
        (None, Some(address)) => format!(" {address}:"),
        (None, None) => ":".to_string(),
    };
    let mut text = format!("{head}{about} {}\n", safe(message));
    if let Some(position) = position {
        text.push_str(&format!("    at {}\n", safe(position.to_string())));
    }
    if let Some(help) = help {
        text.push_str(&format!("    help: {}\n", safe(help)));
    }
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocks => "blocks",
        Severity::BlocksAccount => "blocks account",
        Severity::Allowed => "allowed",
        Severity::Warns => "warning",
    }
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Blocks | Severity::BlocksAccount => Tone::Bad,
        Severity::Allowed | Severity::Warns => Tone::Changed,
    }
}
