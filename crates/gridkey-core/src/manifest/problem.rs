//! Collects what is wrong with a manifest while it is read.

use crate::manifest::read::node::Site;
use crate::text::diagnostic::{Diagnostic, DiagnosticSeverity, Label};
use crate::text::redact::clean;
use crate::text::source::Position;

/// The problems found so far.
pub(crate) struct Problems {
    files: Vec<String>,
    found: Vec<Diagnostic>,
    /// Scopes that the catalogue does not have; an account may know them all the same.
    unknown_scopes: Vec<Diagnostic>,
}

/// A problem that was just added, to be given more words.
pub(crate) struct Report<'a> {
    files: &'a [String],
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
        Self { files, found: Vec::new(), unknown_scopes: Vec::new() }
    }

    pub fn error(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        push(&self.files, &mut self.found, DiagnosticSeverity::Error, code, site, message.as_ref())
    }

    pub fn warning(&mut self, code: &'static str, site: Site, message: impl AsRef<str>) -> Report<'_> {
        push(&self.files, &mut self.found, DiagnosticSeverity::Warning, code, site, message.as_ref())
    }

    pub fn unknown_scope(&mut self, site: Site, message: impl AsRef<str>) -> Report<'_> {
        let error = DiagnosticSeverity::Error;
        push(&self.files, &mut self.unknown_scopes, error, "unknown_scope", site, message.as_ref())
    }

    /// An error that no place in a source stands for.
    pub fn error_nowhere(&mut self, code: &'static str, message: impl AsRef<str>, help: &str) {
        self.found.push(Diagnostic {
            severity: DiagnosticSeverity::Error,
            code,
            message: clean(message.as_ref()),
            labels: Vec::new(),
            help: Some(clean(help)),
        });
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

fn push<'a>(
    files: &'a [String],
    list: &'a mut Vec<Diagnostic>,
    severity: DiagnosticSeverity,
    code: &'static str,
    site: Site,
    message: &str,
) -> Report<'a> {
    let labels = vec![label(files, site, "")];
    let diagnostic = Diagnostic { severity, code, message: clean(message), labels, help: None };
    Report { files, diagnostic: list.push_mut(diagnostic) }
}

fn label(files: &[String], site: Site, text: &str) -> Label {
    Label {
        file: files[site.file].clone(),
        span: site.start..site.end,
        position: position(files, site),
        text: clean(text),
    }
}

fn position(files: &[String], site: Site) -> Position {
    Position { file: files[site.file].clone(), line: site.line, column: site.column }
}

impl Report<'_> {
    /// What to do about it.
    pub fn help(self, text: impl AsRef<str>) -> Self {
        self.diagnostic.help = Some(clean(text.as_ref()));
        self
    }

    /// What to say at the place itself.
    pub fn here(self, text: impl AsRef<str>) -> Self {
        self.diagnostic.labels[0].text = clean(text.as_ref());
        self
    }

    /// Another place that it is about.
    pub fn also(self, site: Site, text: impl AsRef<str>) -> Self {
        self.diagnostic.labels.push(label(self.files, site, text.as_ref()));
        self
    }
}
