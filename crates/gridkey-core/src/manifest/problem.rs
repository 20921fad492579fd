//! Collects what is wrong with a manifest while it is read.

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
}

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
        Self { files, found: Vec::new(), unknown_scopes: Vec::new(), hidden: Vec::new(), secrets: Vec::new() }
    }

    pub fn error(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        self.push(DiagnosticSeverity::Error, code, site, message.as_ref())
    }

    pub fn warning(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        self.push(DiagnosticSeverity::Warning, code, site, message.as_ref())
    }

    pub fn unknown_scope(&mut self, site: Site, message: impl AsRef<str>) -> Report<'_> {
        let (files, secrets) = (&self.files[..], &self.secrets[..]);
        let diagnostic =
            diagnostic(files, secrets, DiagnosticSeverity::Error, "unknown_scope", site, message.as_ref());
        Report { files, secrets, diagnostic: self.unknown_scopes.push_mut(diagnostic) }
    }

    fn push(
        &mut self,
        severity: DiagnosticSeverity,
        code: &'static str,
        site: Site,
        message: &str,
    ) -> Report<'_> {
        let (files, secrets) = (&self.files[..], &self.secrets[..]);
        let diagnostic = diagnostic(files, secrets, severity, code, site, message);
        Report { files, secrets, diagnostic: self.found.push_mut(diagnostic) }
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
        self.found.iter().any(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error)
    }

    pub fn into_found(self) -> Found {
        let found = without_echoes(self.found);
        let (errors, warnings) =
            found.into_iter().partition(|found| found.severity == DiagnosticSeverity::Error);
        Found {
            errors: in_order(errors),
            warnings: in_order(warnings),
            unknown_scopes: in_order(self.unknown_scopes),
        }
    }
}

/// A secret is also no name, no variable and so on, which is not worth saying.
fn without_echoes(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let is_secret = |diagnostic: &Diagnostic| diagnostic.code == "secret_in_manifest";
    let secrets: Vec<_> =
        found.iter().filter(|found| is_secret(found)).flat_map(|found| found.labels.clone()).collect();
    let echoes = |label: &Label| {
        secrets.iter().any(|secret| {
            secret.file == label.file
                && secret.span.start < label.span.end
                && label.span.start < secret.span.end
        })
    };
    found.into_iter().filter(|found| is_secret(found) || !found.labels.first().is_some_and(&echoes)).collect()
}

/// One mistake in a key is met once in every environment that has the key, and said once.
fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|a, b| a.order().cmp(&b.order()));
    diagnostics.dedup_by(|a, b| a.order() == b.order());
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
    clean(&text)
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
