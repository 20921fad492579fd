//! Diagnostics: what is wrong with a text that a person wrote, where it is, and what to do about it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::Range;

use crate::text::redact::printable;
use crate::text::source::Position;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticSeverity {
    Error,
    Warning,
}

impl DiagnosticSeverity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong, or odd.
///
/// *Guarantees:* no part of it quotes a SendGrid key, and none holds a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: DiagnosticSeverity,
    /// Stable, in snake case.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// The places it is about; the first is where it stands.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in a source that a diagnostic points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub file: String,
    /// In bytes of the file.
    pub span: Range<usize>,
    pub position: Position,
    /// What there is to say about the place; can be empty.
    pub text: String,
}

/// The texts that labels point into, fit to be shown: what looks like a secret is starred out, byte for
/// byte, so that spans stay right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<String, String>);

/// Everything that is wrong with a manifest, ordered by file and position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest has {}", count(errors.len()))]
pub struct Diagnostics {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    pub sources: Sources,
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_string() } else { format!("{errors} errors") }
}

impl Diagnostic {
    /// Where it stands, if anywhere.
    pub fn position(&self) -> Option<&Position> {
        self.labels.first().map(|label| &label.position)
    }

    /// The diagnostic as plain text: message, place, the quoted line and a caret, and help.
    pub fn to_text(&self, sources: &Sources) -> String {
        let Self { severity, code: _, message, labels, help } = self;
        let mut text = format!("{}: {message}\n", severity.as_str());
        let width = labels.iter().map(|label| label.position.line.to_string().len()).max().unwrap_or(1);
        let margin = " ".repeat(width);
        for (index, label) in labels.iter().enumerate() {
            let arrow = if index == 0 { "-->" } else { ":::" };
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{margin}{arrow} {}", label.position);
            if let Some((line, caret)) = sources.quote(label) {
                let _ = writeln!(text, "{margin} |");
                let _ = writeln!(text, "{:>width$} | {line}", label.position.line);
                let _ = writeln!(text, "{}", format!("{margin} | {caret} {}", label.text).trim_end());
            }
        }
        if let Some(help) = help {
            let _ = writeln!(text, "{margin} = help: {help}");
        }
        text
    }

    /// Order of reading: by file, position, then the rest.
    pub(crate) fn order(&self) -> (Option<&Position>, DiagnosticSeverity, &'static str, &str) {
        (self.position(), self.severity, self.code, &self.message)
    }
}

impl Diagnostics {
    /// All of them as plain text, errors first.
    pub fn to_text(&self) -> String {
        let all = self.errors.iter().chain(&self.warnings);
        all.map(|diagnostic| diagnostic.to_text(&self.sources)).collect::<Vec<_>>().join("\n")
    }
}

/// A quoted line is cropped to this many characters: a manifest can be one line of a megabyte.
const LINE_SHOWN: usize = 120;

impl Sources {
    pub(crate) fn insert(&mut self, name: &str, shown: String) {
        self.0.insert(name.to_string(), shown);
    }

    /// A file's text, fit to be shown.
    pub fn get(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    /// The line that a label points at, and the carets below it.
    fn quote(&self, label: &Label) -> Option<(String, String)> {
        let text = self.get(&label.file).filter(|text| !text.is_empty())?;
        // By the span and not by counting lines: a large file can have many errors.
        let (before, after) = text.split_at_checked(label.span.start)?;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = after.find('\n').map_or(text.len(), |at| label.span.start + at);
        let line = text[start..end].trim_end_matches('\r');
        let column = label.position.column.saturating_sub(1);
        let left = line.chars().count().saturating_sub(column);
        let wanted = label.span.end.saturating_sub(label.span.start);
        let marked = line.chars().skip(column).scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            Some(*bytes)
        });
        let marked = marked.take_while(|bytes| *bytes <= wanted).count().clamp(1, left.max(1));
        let from = if column + marked > LINE_SHOWN { column.saturating_sub(LINE_SHOWN / 4) } else { 0 };
        let cut = |shown: String| if from > 0 { format!("…{shown}") } else { shown };
        let shown: String = line.chars().skip(from).take(LINE_SHOWN).map(printable).collect();
        let marked = marked.min(LINE_SHOWN);
        let indent = " ".repeat(column - from + usize::from(from > 0));
        Some((cut(shown).trim_end().to_string(), format!("{indent}{}", "^".repeat(marked))))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::redact::redact;

    fn diagnostic(line: usize, column: usize, span: Range<usize>) -> Diagnostic {
        let position = Position { file: "a.yaml".into(), line, column };
        Diagnostic {
            severity: DiagnosticSeverity::Error,
            code: "test",
            message: "it is wrong".into(),
            labels: vec![Label { file: "a.yaml".into(), span, position, text: "here".into() }],
            help: Some("put it right".into()),
        }
    }

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.insert("a.yaml", redact(text));
        sources
    }

    #[test]
    fn a_diagnostic_quotes_its_line_and_points_below_it() {
        let text = diagnostic(2, 6, 14..19).to_text(&sources("version: 1\nß: äbcd\n"));
        let expected = "error: it is wrong\n --> a.yaml:2:6\n  |\n2 | ß: äbcd\n  |      ^^ here\n  = help: put it right\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_secret_is_never_quoted() {
        let secret = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
        let text = format!("api_key: {secret} # {secret}\n");
        assert_eq!(redact(&text).len(), text.len());
        let shown = diagnostic(1, 10, 9..78).to_text(&sources(&text));
        assert!(!shown.contains("aaa") && !shown.contains("bbb"), "{shown}");
        assert_eq!(redact("the SG. prefix"), "the SG. prefix");
    }

    #[test]
    fn a_long_line_is_cropped_around_the_place() {
        let text = format!("{}x{}", "a".repeat(5000), "b".repeat(5000));
        let shown = diagnostic(1, 5001, 5000..5001).to_text(&sources(&text));
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[3].chars().count() < 140);
        let caret = lines[4].chars().position(|c| c == '^').expect("a caret");
        assert_eq!(lines[3].chars().nth(caret), Some('x'));
    }
}
