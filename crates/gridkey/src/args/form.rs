//! Arguments that say in which form a plan is shown.

use clap::{Args, ValueEnum};

use super::value::comment_id;
use super::whois::TextOrJson;

/// In which form a plan is shown.
#[derive(Clone, Debug, Args)]
pub struct Form {
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Short for `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Counts, what blocks and what is revoked, without the details of each change
    #[arg(long, conflicts_with_all = ["format", "json"])]
    summary: bool,

    /// What the hidden marker of a Markdown comment names, so that it is found and edited in place
    #[arg(long, value_name = "ID", default_value = "plan", value_parser = comment_id)]
    pub comment_id: String,
}

impl Form {
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    pub fn length(&self) -> Length {
        Length::of(self.summary)
    }
}

/// How much of a plan people are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Whole,
    Summary,
}

impl Length {
    /// As `--summary` says it.
    pub fn of(summary: bool) -> Self {
        if summary { Self::Summary } else { Self::Whole }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
    /// For a comment on a pull request
    Markdown,
    /// One self-contained page
    Html,
    /// Findings on lines of the manifest, for code review
    Sarif,
}

/// In which form a command answers that has these two.
#[derive(Clone, Debug, Args)]
pub struct TextOrJsonForm {
    #[arg(long, value_enum, default_value_t)]
    format: TextOrJson,

    /// Short for `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl TextOrJsonForm {
    pub fn format(&self) -> TextOrJson {
        if self.json { TextOrJson::Json } else { self.format }
    }
}
