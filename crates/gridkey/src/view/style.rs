//! Colour: which tone a piece of text has, and the escape codes for it where colour is wanted.

use anstyle::{AnsiColor, Color};
use gridkey_core::plan::Action;

/// Whether text is coloured. The words are the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Coloured,
}

/// What a piece of text is, as colour tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Neutral,
    Strong,
    Faint,
    Added,
    Removed,
    Changed,
    Renewed,
    Bad,
}

impl Tone {
    /// The tone of an action's sign and verb.
    pub fn of(action: Action) -> Self {
        match action {
            Action::Create | Action::Adopt => Self::Added,
            Action::Delete | Action::Retire => Self::Removed,
            Action::Update | Action::Recover | Action::Move | Action::Forget => Self::Changed,
            Action::Deliver | Action::Rotate => Self::Renewed,
            Action::Keep => Self::Neutral,
        }
    }

    fn style(self) -> anstyle::Style {
        let colour = |colour: AnsiColor| anstyle::Style::new().fg_color(Some(Color::Ansi(colour)));
        match self {
            Self::Neutral => anstyle::Style::new(),
            Self::Strong => anstyle::Style::new().bold(),
            Self::Faint => anstyle::Style::new().dimmed(),
            Self::Added => colour(AnsiColor::Green),
            Self::Removed => colour(AnsiColor::Red),
            Self::Changed => colour(AnsiColor::Yellow),
            Self::Renewed => colour(AnsiColor::Magenta),
            Self::Bad => colour(AnsiColor::Red).bold(),
        }
    }
}

impl Style {
    /// The text in a tone.
    pub fn paint(self, tone: Tone, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self == Self::Plain || tone == Tone::Neutral || text.is_empty() {
            return text.to_string();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}
