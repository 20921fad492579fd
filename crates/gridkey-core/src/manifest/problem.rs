//! Collects what is wrong with a manifest while it is read.

use std::collections::BTreeMap;

use crate::manifest::bounds::{MAX_MESSAGE, MAX_PROBLEMS};
use crate::manifest::read::node::Site;
use crate::text::diagnostic::{Diagnostic, DiagnosticSeverity, Label};
use crate::text::redact::{self, clean};
use crate::text::source::Position;

/// The problems found so far.
pub(crate) struct Problems {
    files: Vec<String>,
    found: Vec<Diagnostic>,
    /// Scopes that the catalogue does not have; an account may know them all the same.
    unknown_scopes: Vec<Diagnostic>,
    /// Places whose text is not shown.
    hidden: Vec<Site>,
    /// Secrets that the files hold: a message may quote a piece of a text in which nothing else tells what it is.
    secrets: Vec<String>,
    /// Where a problem goes that is one too many.
    spare: Diagnostic,
    left_out: LeftOut,
    /// A bound of the manifest is exceeded, so that the work on it is not begun.
    exceeded: bool,
}

/// Whether problems were left out, because there are more than anyone reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    None,
    Warnings,
    Errors,
}

/// Said at a place that is wrong for more than the first of what it stands for.
const AND_OTHERS: &str = " and others";

/// More secrets than this in one manifest are found by their form alone.
const MOST_SECRETS: usize = 100;

/// A problem that was just added, to be given more words.
pub(crate) struct Report<'a> {
    files: &'a [String],
    secrets: &'a [String],
    diagnostic: &'a mut Diagnostic,
}

/// What was found, sorted and without repetitions.
pub(crate) struct Found {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    pub unknown_scopes: Vec<Diagnostic>,
}

impl Problems {
    pub fn new(files: Vec<String>) -> Self {
        Self {
            files,
            found: Vec::new(),
            unknown_scopes: Vec::new(),
            hidden: Vec::new(),
            secrets: Vec::new(),
            spare: Diagnostic {
                severity: DiagnosticSeverity::Warning,
                code: "left_out",
                message: String::new(),
                labels: Vec::new(),
                help: None,
            },
            left_out: LeftOut::None,
            exceeded: false,
        }
    }

    pub fn error(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        self.push(DiagnosticSeverity::Error, code, site, message.as_ref())
    }

    pub fn warning(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        self.push(DiagnosticSeverity::Warning, code, site, message.as_ref())
    }

    pub fn unknown_scope(&mut self, site: Site, message: impl AsRef<str>) -> Report<'_> {
        let severity = DiagnosticSeverity::Error;
        let is_full = self.left_out != LeftOut::None || is_full(&mut self.unknown_scopes);
        let (files, secrets) = (&self.files[..], &self.secrets[..]);
        let diagnostic = diagnostic(files, secrets, severity, "unknown_scope", site, message.as_ref());
        let diagnostic = if is_full {
            self.left_out = LeftOut::Errors;
            self.spare = diagnostic;
            &mut self.spare
        } else {
            self.unknown_scopes.push_mut(diagnostic)
        };
        Report { files, secrets, diagnostic }
    }

    fn push(
        &mut self,
        severity: DiagnosticSeverity,
        code: &'static str,
        site: Site,
        message: &str,
    ) -> Report<'_> {
        let is_full = self.left_out != LeftOut::None || is_full(&mut self.found);
        let (files, secrets) = (&self.files[..], &self.secrets[..]);
        let diagnostic = diagnostic(files, secrets, severity, code, site, message);
        let diagnostic = if is_full {
            let left_out = match severity {
                DiagnosticSeverity::Error => LeftOut::Errors,
                DiagnosticSeverity::Warning => LeftOut::Warnings,
            };
            self.left_out = self.left_out.max(left_out);
            self.spare = diagnostic;
            &mut self.spare
        } else {
            self.found.push_mut(diagnostic)
        };
        Report { files, secrets, diagnostic }
    }

    /// More than a manifest may hold: it is not worked on then.
    pub fn exceeds(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        self.exceeded = true;
        self.error(code, site, message)
    }

    /// The same, where no place in a source stands for it.
    pub fn exceeds_nowhere(&mut self, code: &'static str, message: impl AsRef<str>, help: &str) {
        self.exceeded = true;
        self.error_nowhere(code, message, help);
    }

    pub fn has_exceeded(&self) -> bool {
        self.exceeded
    }

    /// An error that no place in a source stands for.
    pub fn error_nowhere(&mut self, code: &'static str, message: impl AsRef<str>, help: &str) {
        self.found.push(Diagnostic {
            severity: DiagnosticSeverity::Error,
            code,
            message: cleaned(message.as_ref(), &self.secrets),
            labels: Vec::new(),
            help: Some(cleaned(help, &self.secrets)),
        });
    }

    /// Has a text starred out wherever it would be quoted: it is a secret, or stands where one may.
    pub fn hide(&mut self, site: Site) {
        self.hidden.push(site);
    }

    /// Remembers the secrets in a text.
    pub fn learn_secrets(&mut self, text: &str) {
        let room = MOST_SECRETS.saturating_sub(self.secrets.len());
        // A few characters are a word that may stand anywhere.
        let found = redact::found(text).filter(|secret| secret.len() >= 6).take(room);
        self.secrets.extend(found.map(ToString::to_string));
    }

    pub fn hidden(&self) -> &[Site] {
        &self.hidden
    }

    pub fn position(&self, site: Site) -> Position {
        position(&self.files, site)
    }

    /// How many problems there are so far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    pub fn has_errors(&self) -> bool {
        self.left_out == LeftOut::Errors
            || self.found.iter().any(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error)
    }

    pub fn into_found(self) -> Found {
        let said = said_already(&self.found);
        let found = without_echoes(self.found, &said);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.severity == DiagnosticSeverity::Error);
        let mut found = Found {
            errors: in_order(errors),
            warnings: in_order(warnings),
            unknown_scopes: in_order(without_echoes(self.unknown_scopes, &said)),
        };
        let too_many = |list: &[Diagnostic]| list.len() > MAX_PROBLEMS;
        let errors = too_many(&found.errors) || too_many(&found.unknown_scopes);
        if errors || self.left_out == LeftOut::Errors {
            found.errors.truncate(MAX_PROBLEMS);
            found.unknown_scopes.truncate(MAX_PROBLEMS);
            found.errors.push(too_many_problems(DiagnosticSeverity::Error));
        }
        if too_many(&found.warnings) || self.left_out == LeftOut::Warnings {
            found.warnings.truncate(MAX_PROBLEMS);
            found.warnings.push(too_many_problems(DiagnosticSeverity::Warning));
        }
        found
    }
}

fn too_many_problems(severity: DiagnosticSeverity) -> Diagnostic {
    Diagnostic {
        severity,
        code: "too_many_problems",
        message: format!("there are more problems than the {MAX_PROBLEMS} that are kept"),
        labels: Vec::new(),
        help: Some("put these right, and look again".to_string()),
    }
}

/// Of what is at these places, nothing else is worth saying: a secret is also not a name, not a variable and so on.
fn says_it_all(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, "secret_in_manifest" | "text_too_long")
}

/// By file, where each of these begins and ends.
fn said_already(found: &[Diagnostic]) -> BTreeMap<String, BTreeMap<usize, usize>> {
    let mut said: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
    for label in found.iter().filter(|found| says_it_all(found)).flat_map(|found| &found.labels) {
        said.entry(label.file.clone()).or_default().insert(label.span.start, label.span.end);
    }
    said
}

fn without_echoes(
    found: Vec<Diagnostic>,
    said: &BTreeMap<String, BTreeMap<usize, usize>>,
) -> Vec<Diagnostic> {
    let echoes = |label: &Label| {
        let before = said.get(&label.file).and_then(|spans| spans.range(..label.span.end).next_back());
        before.is_some_and(|(_, end)| label.span.start < *end)
    };
    found
        .into_iter()
        .filter(|found| says_it_all(found) || !found.labels.first().is_some_and(&echoes))
        .collect()
}

/// Whether no problem more is kept. One that was found once in every environment counts once.
fn is_full(list: &mut Vec<Diagnostic>) -> bool {
    if list.len() < 2 * MAX_PROBLEMS {
        return false;
    }
    *list = in_order(std::mem::take(list));
    list.len() >= MAX_PROBLEMS
}

/// One mistake in a key is met once in every environment that has the key, and one in a sink once for every key that it
/// is for. It is said once.
fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|a, b| a.order().cmp(&b.order()));
    diagnostics.dedup_by(|again, kept| {
        let is_same = again.order() == kept.order();
        if let (true, Some(again), Some(kept)) = (is_same, again.labels.first(), kept.labels.first_mut())
            && again.text != kept.text
            && !kept.text.ends_with(AND_OTHERS)
        {
            kept.text.push_str(AND_OTHERS);
        }
        is_same
    });
    diagnostics
}

fn diagnostic(
    files: &[String],
    secrets: &[String],
    severity: DiagnosticSeverity,
    code: &'static str,
    site: Site,
    message: &str,
) -> Diagnostic {
    let labels = vec![label(files, site, String::new())];
    Diagnostic { severity, code, message: cleaned(message, secrets), labels, help: None }
}

/// A text without secrets, those included of which it has only what looks like nothing.
fn cleaned(text: &str, secrets: &[String]) -> String {
    let known = secrets.iter().filter(|secret| text.contains(secret.as_str()));
    let text = known.fold(text.to_string(), |text, secret| text.replace(secret, &"*".repeat(secret.len())));
    let text = clean(&text);
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn label(files: &[String], site: Site, text: String) -> Label {
    Label {
        file: files[site.file].clone(),
        span: site.start..site.end,
        position: position(files, site),
        text,
    }
}

fn position(files: &[String], site: Site) -> Position {
    Position { file: files[site.file].clone(), line: site.line, column: site.column }
}

impl Report<'_> {
    /// What to do about it.
    pub fn help(self, text: impl AsRef<str>) -> Self {
        self.diagnostic.help = Some(cleaned(text.as_ref(), self.secrets));
        self
    }

    /// What to say at the place itself.
    pub fn here(self, text: impl AsRef<str>) -> Self {
        self.diagnostic.labels[0].text = cleaned(text.as_ref(), self.secrets);
        self
    }

    /// Another place that it is about.
    pub fn also(self, site: Site, text: impl AsRef<str>) -> Self {
        let text = cleaned(text.as_ref(), self.secrets);
        self.diagnostic.labels.push(label(self.files, site, text));
        self
    }
}
