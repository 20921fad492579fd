//! Diagnostics of a manifest in the form that people read: the source, the place, and the way out.

use std::error::Error;
use std::fmt;

use gridkey_core::text::diagnostic::{Diagnostic, DiagnosticSeverity, Diagnostics, Label, Sources};
use gridkey_core::text::redact::redact;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode};

use super::style::Style;
use super::words::{count, safe};

/// A line longer than this is not drawn whole: a manifest can be one line of a megabyte.
const LINE_DRAWN: usize = 200;

/// Every diagnostic, errors first, and a last line that counts them; empty where there is none. Messages fit a width, and
/// lines of the source are as they are.
///
/// *Guarantees:* nothing that looks like a SendGrid key is shown, and no control character of the source.
pub fn render(diagnostics: &Diagnostics, style: Style, width: Option<usize>) -> String {
    let Diagnostics { errors, warnings, sources } = diagnostics;
    let all = errors.iter().chain(warnings);
    let mut parts: Vec<String> = all.map(|diagnostic| one(diagnostic, sources, style, width)).collect();
    let counts = [(errors.len(), "error"), (warnings.len(), "warning")];
    let counts: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(n, noun)).collect();
    if !counts.is_empty() {
        parts.push(format!("{}\n", counts.join(", ")));
    }
    parts.join("\n")
}

fn one(diagnostic: &Diagnostic, sources: &Sources, style: Style, width: Option<usize>) -> String {
    if diagnostic.labels.iter().any(|label| !can_be_drawn(label, sources)) {
        return diagnostic.to_text(sources);
    }
    let theme = match style {
        Style::Plain => GraphicalTheme::none(),
        Style::Coloured => GraphicalTheme::unicode(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_break_words(false);
    let handler = match width {
        Some(width) => handler.with_width(width),
        None => handler.with_wrap_lines(false),
    };
    let mut text = String::new();
    match handler.render_report(&mut text, &Shown::new(diagnostic, sources)) {
        Ok(()) => text,
        Err(fmt::Error) => diagnostic.to_text(sources),
    }
}

/// Whether the label's place is in its source, on lines that are short enough.
fn can_be_drawn(label: &Label, sources: &Sources) -> bool {
    let Label { file, span, position: _, text: _ } = label;
    let Some(source) = sources.get(file) else { return false };
    if source.get(span.clone()).is_none() {
        return false;
    }
    let start = source[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = source[span.end..].find('\n').map_or(source.len(), |at| span.end + at);
    source[start..end].lines().all(|line| line.len() <= LINE_DRAWN)
}

/// A diagnostic as miette takes it. It knows one source for each, so labels in other files are
/// diagnostics of their own, related to the first.
struct Shown {
    severity: Severity,
    code: Option<&'static str>,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Self>,
}

impl Shown {
    fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let Diagnostic { severity, code, message, labels, help } = diagnostic;
        let file = labels.first().map(|label| label.file.as_str());
        let (here, elsewhere): (Vec<&Label>, Vec<&Label>) =
            labels.iter().partition(|label| Some(label.file.as_str()) == file);
        Self {
            severity: match severity {
                DiagnosticSeverity::Error => Severity::Error,
                DiagnosticSeverity::Warning => Severity::Warning,
            },
            code: Some(code),
            message: safe(message),
            help: help.as_ref().map(safe),
            source: file.and_then(|file| source(file, sources)),
            labels: here.into_iter().map(span).collect(),
            related: elsewhere.into_iter().map(|label| Self::place(label, sources)).collect(),
        }
    }

    /// A place in another file.
    fn place(label: &Label, sources: &Sources) -> Self {
        let Label { file, span: at, position, text } = label;
        Self {
            severity: Severity::Advice,
            code: None,
            message: if text.is_empty() { safe(position.to_string()) } else { safe(text) },
            help: None,
            source: source(file, sources),
            labels: vec![LabeledSpan::new(None, at.start, at.len())],
            related: Vec::new(),
        }
    }
}

fn span(label: &Label) -> LabeledSpan {
    let Label { file: _, span, position: _, text } = label;
    LabeledSpan::new((!text.is_empty()).then(|| safe(text)), span.start, span.len())
}

fn source(file: &str, sources: &Sources) -> Option<NamedSource<String>> {
    sources.get(file).map(|text| NamedSource::new(safe(file), printable(&redact(text))))
}

/// The text without characters that a terminal would act upon; as many bytes as before, so that spans
/// stay right.
fn printable(text: &str) -> String {
    let kept = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    let shown = text.replace('\r', " ");
    shown.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if kept(c) {
            out.push(c)
        } else {
            out.extend(std::iter::repeat_n('?', c.len_utf8()))
        }
        out
    })
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Shown {}

impl miette::Diagnostic for Shown {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.related.iter().map(|shown| shown as &dyn miette::Diagnostic)))
    }
}

#[cfg(test)]
mod tests {
    use gridkey_core::manifest::{SourceFile, load};

    use super::*;

    fn rejected(text: &str) -> Diagnostics {
        let file = SourceFile { name: "gridkey.yaml".into(), bytes: text.into() };
        load(&[file], &[]).expect_err("a manifest that is wrong")
    }

    #[test]
    fn a_diagnostic_shows_the_line_and_the_place() {
        let found = rejected("version: 1\nproject: shop\nacounts: {}\n");
        insta::assert_snapshot!(render(&found, Style::Plain, None), @"
        unknown_field

          x unknown field `acounts` in the manifest, did you mean `accounts`?
           ,-[gridkey.yaml:3:1]
         2 | project: shop
         3 | acounts: {}
           : ^^^^^^^
           `----
          help: the fields are `version`, `project`, `state`, `accounts`, `sinks`, `scope_sets`, `defaults`, `environments`, `keys`, `moved`, `import`, `removed`, `policy`

        1 error
        ");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
        for style in [Style::Plain, Style::Coloured] {
            let shown = render(&rejected(&format!("version: 1\nproject: {secret}\n")), style, None);
            assert!(!shown.contains("aaa") && !shown.contains("bbb"), "{shown}");
        }
    }

    #[test]
    fn without_colour_there_are_no_escape_codes() {
        let found = rejected("version: 1\nproject: \"a\u{1b}[2J\"\nacounts: {}\n");
        assert!(!render(&found, Style::Plain, None).contains('\u{1b}'));
        assert!(render(&found, Style::Coloured, None).contains('\u{1b}'));
    }

    #[test]
    fn a_line_of_a_megabyte_is_cropped() {
        let found = rejected(&format!("version: 1\nprojects: {}\n", "a".repeat(1_000_000)));
        assert!(render(&found, Style::Coloured, None).len() < 10_000);
    }

    #[test]
    fn a_source_keeps_its_length_without_what_steers_a_terminal() {
        let text = "a\u{1b}[2J\u{85}\tß\r\n";
        assert_eq!(printable(text), "a?[2J??\tß \n");
        assert_eq!(printable(text).len(), text.len());
    }
}
