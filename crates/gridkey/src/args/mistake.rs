//! A command line that cannot be read, in parts, for those who read errors as JSON.

use std::ffi::OsString;

use clap::error::ErrorKind;

/// What is wrong with a command line, and what to do.
pub(crate) struct Mistake {
    pub message: String,
    pub help: Option<String>,
}

/// Whether a command line asks for errors as JSON. It is looked for in the words, as they could not be read as arguments.
pub(crate) fn wants_json(given: impl IntoIterator<Item = OsString>) -> bool {
    let words: Vec<OsString> = given.into_iter().take_while(|word| word != "--").collect();
    words.iter().any(|word| word == "--log-format=json")
        || words.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json")
}

impl Mistake {
    /// What clap prints is paragraphs: what is wrong, tips, how the command is called, and where to read more.
    pub(crate) fn of(error: &clap::Error) -> Self {
        if matches!(
            error.kind(),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        ) {
            let help = "`gridkey help` shows the commands there are".to_string();
            return Self { message: "no command is given".to_string(), help: Some(help) };
        }
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(|paragraph| {
            let words: Vec<&str> = paragraph.split_whitespace().collect();
            words.join(" ")
        });
        let message = paragraphs.next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(&message).to_string();
        let rest: Vec<String> =
            paragraphs.filter(|paragraph| !paragraph.starts_with("For more information")).collect();
        Self { message, help: (!rest.is_empty()).then(|| rest.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split(' ').map(OsString::from)
    }

    #[test]
    fn json_is_asked_for_in_either_spelling_and_not_behind_the_end_of_options() {
        assert!(wants_json(words("gridkey plan --oot --log-format json")));
        assert!(wants_json(words("gridkey --log-format=json plan --oot")));
        assert!(!wants_json(words("gridkey plan --oot")));
        assert!(!wants_json(words("gridkey plan --log-format text --out json")));
        assert!(!wants_json(words("gridkey whois -- --log-format json")));
    }

    #[test]
    fn a_mistake_has_a_message_and_a_help_on_one_line_each() {
        let error = read(words("gridkey plan --oot"), |_| false).expect_err("it is refused");
        let Mistake { message, help } = Mistake::of(&error);
        assert_eq!(message, "unexpected argument '--oot' found");
        let help = help.expect("a help");
        assert!(help.contains("'--out'") && help.contains("Usage:") && !help.contains('\n'), "{help}");
        for line in ["gridkey", "gridkey --log-format json"] {
            let error = read(words(line), |_| false).expect_err("it is refused");
            assert_eq!(Mistake::of(&error).message, "no command is given", "{line}");
        }
    }
}
