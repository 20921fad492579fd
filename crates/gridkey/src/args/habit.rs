//! What fingers type that know other tools: options with one dash, commands that are nearly those there are, and ids
//! that look like options.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use gridkey_core::KeyId;

/// Options of other tools, and what does that here.
const ELSEWHERE: [(&[&str], &str); 4] = [
    (
        &["-o", "--output"],
        "`--format` says in which form a command answers, as in `--format json`, and `plan --out FILE` saves a plan",
    ),
    (&["--dry-run"], "`gridkey plan` shows what would be done, and changes nothing"),
    (&["--check"], "`gridkey plan --detailed-exitcode` exits with 2 where something would change"),
    (&["--force"], "`--yes` leaves out the question, and `--allow CODE` lets a finding pass this once"),
];

/// Commands that take keys away: a guess at a misspelt word must not be one of them, as it may be run unread.
const NEVER_GUESSED: [&str; 3] = ["destroy", "retire", "revoke"];

/// An option that is given with one dash, as Terraform has it, and what it is here.
pub(super) fn one_dash(command: &clap::Command, given: &[OsString]) -> Option<clap::Error> {
    let mut before = "";
    for word in given.iter().skip(1).map(|word| word.to_str().unwrap_or_default()) {
        if word == "--" {
            return None;
        }
        let is_value = before == "--name";
        if let Some(meant) = two_dashes(command, word).filter(|_| !is_value) {
            let message = format!("`{word}` has one dash, and gridkey's options have two: `{meant}`");
            return Some(command.clone().error(ErrorKind::UnknownArgument, message));
        }
        before = word;
    }
    None
}

/// The option that a word with one dash means, where there is such.
fn two_dashes(command: &clap::Command, word: &str) -> Option<String> {
    let name_and_value = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'))?;
    let name = name_and_value.split('=').next().unwrap_or_default();
    (name.len() > 1 && (name == "version" || has_option(command, name))).then(|| format!("-{word}"))
}

fn has_option(command: &clap::Command, name: &str) -> bool {
    let is_called = |argument: &clap::Arg| {
        argument.get_long() == Some(name) || argument.get_all_aliases().is_some_and(|all| all.contains(&name))
    };
    command.get_arguments().any(is_called) || command.get_subcommands().any(|below| has_option(below, name))
}

/// The same error, without a guess that takes keys away.
pub(super) fn with_safe_guesses(mut error: clap::Error) -> clap::Error {
    let is_safe = |guess: &String| !NEVER_GUESSED.contains(&guess.as_str());
    let kept = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(guesses)) => {
            let guesses: Vec<String> = guesses.into_iter().filter(is_safe).collect();
            (!guesses.is_empty()).then_some(ContextValue::Strings(guesses))
        }
        Some(ContextValue::String(guess)) => Some(guess).filter(is_safe).map(ContextValue::String),
        other => other,
    };
    if let Some(kept) = kept {
        error.insert(ContextKind::SuggestedSubcommand, kept);
    }
    with_what_is_here(error)
}

/// The same error, with what is here for an option of another tool.
///
/// clap proposes to pass an option that it does not know as a value behind `--`, where it would be taken for the name
/// of a plan or a key. That helps nobody, as no value begins with a hyphen but ids, which are known.
fn with_what_is_here(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(unknown)) => unknown.clone(),
        _ => return error,
    };
    let kept: Vec<StyledStr> = match error.remove(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => {
            tips.into_iter().filter(|tip| !tip.to_string().contains("as a value, use")).collect()
        }
        _ => Vec::new(),
    };
    let here = ELSEWHERE.iter().find(|(options, _)| options.contains(&unknown.as_str()));
    let tips: Vec<StyledStr> = here.map(|(_, here)| StyledStr::from(*here)).into_iter().chain(kept).collect();
    if here.is_some() {
        // What is spelt alike is something else.
        error.remove(ContextKind::SuggestedArg);
    }
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// Ids that begin with a hyphen, behind the `--` that ends options.
pub(super) fn ids_last(given: Vec<OsString>) -> Vec<OsString> {
    let takes_ids = given.iter().any(|word| word == "revoke" || word == "import" || word == "whois");
    if !takes_ids || given.iter().any(|word| word == "--") {
        return given;
    }
    let mut ids = Vec::new();
    let mut words: Vec<OsString> = Vec::new();
    for word in given {
        let is_value = words.last().is_some_and(|before| before == "--name");
        if !is_value && word.to_str().is_some_and(is_id_with_hyphen) {
            ids.push(word)
        } else {
            words.push(word)
        }
    }
    if !ids.is_empty() {
        words.push("--".into());
    }
    words.extend(ids);
    words
}

/// Ids are base64 for URLs, all of one length, and no option has (a test sees to it).
pub(super) fn is_id_with_hyphen(word: &str) -> bool {
    word.starts_with('-')
        && word.len() == KeyId::LENGTH
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::{cli, read};
    use super::*;

    fn said(words: &str) -> String {
        let given = words.split(' ').map(OsString::from);
        read(given, |_| false).expect_err("it is refused").to_string()
    }

    #[test]
    fn an_option_with_one_dash_is_shown_with_two() {
        for (words, meant) in [
            ("gridkey plan -out=p.json", "--out=p.json"),
            ("gridkey apply -auto-approve", "--auto-approve"),
            ("gridkey plan -target=prod/a", "--target=prod/a"),
            ("gridkey -chdir=infra plan", "--chdir=infra"),
            ("gridkey plan -json", "--json"),
            ("gridkey plan -detailed-exitcode", "--detailed-exitcode"),
            ("gridkey apply -replace prod/a", "--replace"),
            ("gridkey -version", "--version"),
        ] {
            let said = said(words);
            assert!(said.contains(&format!("`{meant}`")), "{words}: {said}");
        }
    }

    #[test]
    fn an_option_of_another_tool_is_told_what_is_here() {
        for (words, here) in [
            ("gridkey plan -o json", "`--format json`"),
            ("gridkey state list --output=json", "`--format json`"),
            ("gridkey apply --dry-run", "`gridkey plan`"),
            ("gridkey destroy --force", "`--yes`"),
        ] {
            let said = said(words);
            assert!(said.contains(here) && !said.contains("as a value"), "{words}: {said}");
        }
        let said = said("gridkey apply --nothing-like-it");
        assert!(said.contains("unexpected argument") && !said.contains("-- --"), "{said}");
    }

    #[test]
    fn short_options_are_what_they_are() {
        for words in
            ["gridkey plan -vv", "gridkey plan -fgridkey.yaml", "gridkey -Cinfra plan", "gridkey apply -y"]
        {
            assert!(read(words.split(' ').map(OsString::from), |_| false).is_ok(), "{words}");
        }
    }

    #[test]
    fn no_guess_takes_keys_away() {
        let mut word = String::new();
        for name in NEVER_GUESSED {
            assert!(cli().find_subcommand(name).is_some(), "{name} is a command");
            for at in 0..name.len() {
                word.clear();
                word.push_str(&name[..at]);
                word.push_str(&name[at + 1..]);
                let said = said(&format!("gridkey {word}"));
                assert!(
                    !NEVER_GUESSED.iter().any(|name| said.contains(&format!("'{name}'"))),
                    "{word}: {said}"
                );
            }
        }
        assert!(said("gridkey aply").contains("'apply'"));
    }
}
