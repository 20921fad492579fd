//! Dotenv files as people write them: comments, `export`, quotes, CRLF, and the last assignment wins.

use std::ops::Range;

use gridkey_core::KeyId;
use zeroize::Zeroizing;

use super::{FormatError, Held, is_plain, join, line_end, splice};

/// `NAME=value`, as it stands in the text.
struct Assignment<'t> {
    name: &'t str,
    /// The lines it takes, with their end.
    lines: Range<usize>,
    /// The value, inside its quotes.
    value: Range<usize>,
    /// Whether the line may hold more than this, for a shell that reads it.
    more: bool,
}

/// What the variable is set to; quotes are taken off, and nothing in them is interpreted.
pub(crate) fn get(text: &str, variable: &str) -> Result<Held, FormatError> {
    check_name(variable)?;
    let last = assignments(text).into_iter().rfind(|assignment| assignment.name == variable);
    if let Some(last) = &last {
        understood(text, last)?;
    }
    Ok(last.map_or(Held::Nothing, |last| Held::Text(Zeroizing::new(text[last.value].to_string()))))
}

/// The variables that are set to a SendGrid key.
pub(crate) fn holding_keys(text: &str) -> Result<Vec<String>, FormatError> {
    let mut names: Vec<String> = assignments(text)
        .into_iter()
        .filter(|assignment| KeyId::of_secret(&text[assignment.value.clone()]).is_some())
        .map(|assignment| assignment.name.to_string())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Changes the assignment that counts, the last one, within the quotes it has; adds a line where there
/// is none.
pub(crate) fn set(text: &str, variable: &str, value: &str) -> Result<Zeroizing<String>, FormatError> {
    check_name(variable)?;
    if !is_plain(value) && !is_base64(value) {
        return Err(FormatError::new("the secret has characters that dotenv files do not agree on"));
    }
    let before = assignments(text);
    let after = match before.iter().rfind(|assignment| assignment.name == variable) {
        Some(last) => {
            understood(text, last)?;
            splice(text, last.value.clone(), value)
        }
        None => {
            no_continuation(text, text.len())?;
            if let Some(message) = open_quote(text) {
                return Err(FormatError::new(format!("{message}; what is added would be a part of it")));
            }
            let end = line_end(text);
            // A text whose last line has no end keeps it so.
            let (before, after) = if text.is_empty() || text.ends_with('\n') { ("", end) } else { (end, "") };
            join(&[text, before, variable, "=", value, after])
        }
    };
    verify(text, &after, variable, Some(value))?;
    Ok(after)
}

/// Takes out every assignment of the variable, as an earlier one would count otherwise.
pub(crate) fn clear(text: &str, variable: &str) -> Result<Zeroizing<String>, FormatError> {
    check_name(variable)?;
    let mut cleared = Zeroizing::new(String::with_capacity(text.len()));
    let mut kept = 0;
    for assignment in assignments(text).into_iter().filter(|assignment| assignment.name == variable) {
        understood(text, &assignment)?;
        cleared.push_str(&text[kept..assignment.lines.start]);
        kept = assignment.lines.end;
    }
    cleared.push_str(&text[kept..]);
    if kept == text.len()
        && !text.ends_with('\n')
        && let Some(whole) = cleared.strip_suffix('\n')
    {
        let whole = whole.strip_suffix('\r').unwrap_or(whole).len();
        cleared.truncate(whole);
    }
    verify(text, &cleared, variable, None)?;
    Ok(cleared)
}

/// Every other variable must read as before, and this one as it was set.
fn verify(before: &str, after: &str, variable: &str, value: Option<&str>) -> Result<(), FormatError> {
    let others = |text: &'_ str| -> Zeroizing<Vec<String>> {
        let all = assignments(text).into_iter().filter(|assignment| assignment.name != variable);
        Zeroizing::new(all.flat_map(|one| [one.name.to_string(), text[one.value].to_string()]).collect())
    };
    let set = assignments(after).into_iter().rfind(|assignment| assignment.name == variable);
    if others(before) == others(after) && set.map(|set| &after[set.value]) == value {
        return Ok(());
    }
    Err(FormatError::new(format!(
        "`{variable}` cannot be changed without changing other lines; look for a quote that is not closed"
    )))
}

/// Base64 has characters that no reader of dotenv files takes for something else.
fn is_base64(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// The first quote that is not closed, in words.
pub(crate) fn open_quote(text: &str) -> Option<String> {
    let open = assignments(text).into_iter().find(|assignment| is_open(text, assignment))?;
    let line = line_of(text, open.lines.start);
    Some(format!("line {line} sets `{}` and has a quote that is not closed", open.name))
}

/// Whether a value begins with a quote that nothing ends.
fn is_open(text: &str, assignment: &Assignment<'_>) -> bool {
    let value = &text[assignment.value.clone()];
    let is_quoted = text[..assignment.value.start].ends_with(['"', '\'', '`']);
    let Some(quote) = value.chars().next().filter(|c| "\"'`".contains(*c)) else { return false };
    !is_quoted && !value[1..].contains(quote)
}

/// A shell takes a line behind a `\` for a part of the line before it, and other readers do not.
fn no_continuation(text: &str, at: usize) -> Result<(), FormatError> {
    let before = text[..at].strip_suffix('\n').unwrap_or(&text[..at]);
    let before = before.strip_suffix('\r').unwrap_or(before);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = &before[start..];
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes % 2 == 0 || line.trim_start_matches(is_blank).starts_with('#') {
        return Ok(());
    }
    let number = line_of(text, start);
    Err(FormatError::new(format!(
        "line {number} ends with `\\`, so a shell takes the next line for a part of it; put it in quotes"
    )))
}

/// A line of which a part alone is known is not changed: what follows would be lost.
fn understood(text: &str, assignment: &Assignment<'_>) -> Result<(), FormatError> {
    no_continuation(text, assignment.lines.start)?;
    if !assignment.more {
        return Ok(());
    }
    let line = line_of(text, assignment.lines.start);
    Err(FormatError::new(format!(
        "line {line} sets `{}` and has something else behind it; put that on a line of its own",
        assignment.name
    )))
}

/// Whether a shell would see more than one value in an unquoted text. Readers of dotenv files take all of it for the value.
fn has_more(raw: &str) -> bool {
    let assigns = |word: &str| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name.chars().all(is_of_name)
                && !name.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    raw.contains([';', '&', '|']) || raw.ends_with('\\') || raw.split(is_blank).skip(1).any(assigns)
}

fn check_name(variable: &str) -> Result<(), FormatError> {
    let starts = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && variable.chars().all(is_of_name) {
        return Ok(());
    }
    Err(FormatError::new(format!(
        "`{variable}` is not the name of a variable: it has letters, digits and `_`, and starts with no digit"
    )))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let assignment = assignment_at(text, at);
        at = assignment.as_ref().map_or_else(|| next_line(text, at), |assignment| assignment.lines.end);
        found.extend(assignment);
    }
    found
}

/// The assignment that starts on this line, which may go on over several where its value is quoted.
fn assignment_at(text: &str, start: usize) -> Option<Assignment<'_>> {
    let line = text[start..next_line(text, start)].trim_end_matches(['\r', '\n']);
    let mut rest = line.trim_start_matches(is_blank);
    if let Some(exported) = rest.strip_prefix("export").filter(|rest| rest.starts_with(is_blank)) {
        rest = exported.trim_start_matches(is_blank);
    }
    let name = &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())];
    let value = rest[name.len()..].trim_start_matches(is_blank).strip_prefix('=')?;
    if name.is_empty() {
        return None;
    }
    let after_equals = start + line.len() - value.len();
    let raw = value.trim_start_matches(is_blank);
    let raw_start = start + line.len() - raw.len();
    let (value, end, more) = quoted(text, raw_start).map_or_else(
        || {
            let value = &raw[..comment_in(raw, raw_start > after_equals).unwrap_or(raw.len())];
            let value = value.trim_end_matches(is_blank);
            let value_start = if value.is_empty() { after_equals } else { raw_start };
            (value_start..value_start + value.len(), start + line.len(), has_more(value))
        },
        |(value, end)| (value, end, false),
    );
    Some(Assignment { name, lines: start..next_line(text, end), value, more })
}

/// The inside of a quoted value, and the end of it; `None` where the quote is never closed, or closed in
/// the middle of something.
fn quoted(text: &str, start: usize) -> Option<(Range<usize>, usize)> {
    let quote = text[start..].chars().next().filter(|c| "\"'`".contains(*c))?;
    let mut escaped = false;
    let inside = text[start + 1..].find(|c| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && quote == '"' && !escaped;
        closes
    })?;
    let end = start + 1 + inside;
    let rest = text[end + 1..next_line(text, end)].trim();
    (rest.is_empty() || rest.starts_with('#')).then_some((start + 1..end, end))
}

/// Where a comment starts in an unquoted value: at a `#` that follows a blank.
fn comment_in(raw: &str, after_blank: bool) -> Option<usize> {
    let mut blank = after_blank;
    raw.find(|c| {
        let starts = c == '#' && blank;
        blank = is_blank(c);
        starts
    })
}

/// The number of the line that begins at a position.
fn line_of(text: &str, start: usize) -> usize {
    text[..start].matches('\n').count() + 1
}

fn next_line(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Entry;
    use super::*;

    fn read(text: &str) -> Option<String> {
        match Entry::Variable("KEY".to_string()).get(text).expect("a good name") {
            Held::Nothing => None,
            Held::Text(text) => Some(text.to_string()),
            Held::Other => panic!("a dotenv file holds text alone"),
        }
    }

    #[test]
    fn files_are_read_as_they_are_written() {
        for (text, value) in [
            ("", None),
            ("# KEY=no\nKEYS=no\nNOT_KEY=no\nKEY\n", None),
            ("KEY=v", Some("v")),
            ("KEY=v\r\nA=b\r\n", Some("v")),
            ("\u{feff}KEY=v\n", Some("v")),
            ("  export KEY = v  # note\n", Some("v")),
            ("exportKEY=v\n", None),
            ("KEY=\n", Some("")),
            ("KEY= # nothing yet\n", Some("")),
            ("KEY=a#b\n", Some("a#b")),
            ("KEY=\"v\" # note\n", Some("v")),
            ("KEY='v'\n", Some("v")),
            ("KEY=one\nKEY=two\n", Some("two")),
            ("A=\"two\nKEY=inside\nlines\"\n", None),
            ("A=\"an \\\" inside\"\nKEY=v\n", Some("v")),
            ("A=\"never closed\nKEY=v\n", Some("v")),
            ("A=don't\nKEY=v\nB=won't\n", Some("v")),
        ] {
            assert_eq!(read(text).as_deref(), value, "{text:?}");
        }
    }

    #[test]
    fn the_value_changes_and_nothing_around_it() {
        for (before, after) in [
            ("", "KEY=new\n"),
            ("A=1", "A=1\nKEY=new"),
            ("A=1\r\nB=2", "A=1\r\nB=2\r\nKEY=new"),
            ("A=1\r\n", "A=1\r\nKEY=new\r\n"),
            ("KEY=", "KEY=new"),
            ("KEY= # note\n", "KEY=new # note\n"),
            ("export KEY = 'old' # note\r\nA=1\r\n", "export KEY = 'new' # note\r\nA=1\r\n"),
            ("KEY=one\nKEY=two\n", "KEY=one\nKEY=new\n"),
            ("KEY=\"two\nlines\"\nA=1\n", "KEY=\"new\"\nA=1\n"),
        ] {
            assert_eq!(set(before, "KEY", "new").expect("it can be set").as_str(), after, "{before:?}");
        }
    }

    #[test]
    fn clearing_takes_out_every_assignment_and_no_other_line() {
        for (before, after) in [
            ("", ""),
            ("KEY=old", ""),
            ("A=1\nKEY=old", "A=1"),
            ("A=1\r\nKEY=old", "A=1"),
            ("A=1\n\nKEY=old", "A=1\n"),
            ("A=1\nKEY=old\n", "A=1\n"),
            ("# first\nKEY=one\nA=1\nexport KEY=\"two\nlines\"\r\n\nB=2", "# first\nA=1\n\nB=2"),
        ] {
            assert_eq!(clear(before, "KEY").expect("it can be cleared").as_str(), after, "{before:?}");
        }
    }

    #[test]
    fn what_a_dotenv_file_cannot_hold_is_refused() {
        for name in ["", "1A", "A B", "A=B", "A\nB", "Ä"] {
            let error = set("", name, "new").expect_err("no name").to_string();
            assert!(error.contains("is not the name of a variable"), "{error}");
        }
        for value in ["", "a b", "a\nB=1", "$(rm)", "a\"b", "a#b"] {
            let error = set("", "KEY", value).expect_err("no plain value").to_string();
            assert!(value.is_empty() || !error.contains(value), "{error}");
        }
    }

    #[test]
    fn nothing_is_added_behind_a_quote_that_is_open() {
        for text in ["B=\"open\n", "A=1\nB='open\nC=2\n", "B=`x"] {
            let error = set(text, "KEY", "new").expect_err(text).to_string();
            assert!(error.contains("a quote that is not closed"), "{text:?}: {error}");
        }
        for text in ["B=\"'x\"\n", "B=it's\n", "B=\"a\"b\n", "B='a\nb'\n", "# \"\n"] {
            set(text, "KEY", "new").expect(text);
        }
    }

    #[test]
    fn a_line_behind_a_backslash_is_neither_added_nor_changed() {
        for (text, what) in [
            ("B=1\\", "added"),
            ("B=1\\\n", "added"),
            ("A=0\r\nB=1\\\r\n", "added"),
            ("export B=\\\\\\\n", "added"),
            ("B=1\\\nKEY=old\n", "changed"),
            ("\\\nKEY=\n", "changed"),
        ] {
            let error = set(text, "KEY", "new").expect_err(what).to_string();
            assert!(error.contains("ends with `\\`"), "{text:?}: {error}");
            assert_eq!(clear(text, "KEY").is_err(), what == "changed", "{text:?}");
        }
        for text in ["B='1\\'\n", "# a comment \\\n", "B=1\\\\\n", "B=1\\\n\n", ""] {
            set(text, "KEY", "new").expect(text);
        }
    }

    #[test]
    fn a_line_that_sets_more_than_one_variable_is_refused_whole() {
        for text in [
            "export KEY=changeme; export REDIS_URL=redis://cache\n",
            "KEY=a B=b\n",
            "KEY=\"a\"; B=b\n",
            "KEY=a && B=b\n",
            "KEY=a | tee log\n",
            "KEY=a\\\nb\n",
        ] {
            let text = &format!("A=1\n{text}");
            for result in [
                get(text, "KEY").map(|_| ()),
                set(text, "KEY", "new").map(|_| ()),
                clear(text, "KEY").map(|_| ()),
            ] {
                let error = result.expect_err(text).to_string();
                assert!(error.starts_with("line 2 sets `KEY` and has something else"), "{text:?}: {error}");
            }
            let added = set(text, "OTHER", "new").expect("another line");
            assert!(added.starts_with(text.as_str()), "{added:?}");
        }
        for text in ["KEY=your key here\n", "KEY=a=b==\n", "KEY='a; b'\n", "KEY=\"a && b\" # note\n"] {
            set(text, "KEY", "new").expect("one value");
        }
    }

    /// Lines such as people write, and some that they should not.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "# [ -~]{0,12}",
            "(export )?[A-Z]{1,3} ?= ?[a-z#'\" ]{0,8}",
            "(export )?KEY=['\"]?[a-zA-Z.]{0,8}['\"]?( # note)?",
            "[A-Z]{1,3}=\"[a-z\\\\ ]{0,5}\"",
            "[ -~]{0,16}",
        ]
    }

    proptest! {
        #[test]
        fn other_lines_stay_as_they_were_byte_for_byte(
            lines in proptest::collection::vec((line(), prop_oneof![Just("\n"), Just("\r\n")]), 0..8),
            whole in any::<bool>(),
        ) {
            let mut text: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            if !whole {
                text.truncate(text.trim_end().len());
            }
            let entry = Entry::Variable("KEY".to_string());
            if entry.get(&text).is_err() {
                // What is not understood is not changed either.
                prop_assert!(set(&text, "KEY", "SG.new").is_err() && clear(&text, "KEY").is_err());
                return Ok(());
            }
            let had = read(&text).is_some();
            let Ok(after) = set(&text, "KEY", "SG.new") else { return Ok(()) };
            prop_assert_eq!(read(&after), Some("SG.new".to_string()));
            let at = after.rfind("SG.new").expect("it was set");
            if had {
                let tail = &after[at + "SG.new".len()..];
                prop_assert!(text.starts_with(&after[..at]) && text.ends_with(tail));
            } else {
                prop_assert!(after.starts_with(&text));
            }
            let again = set(&after, "KEY", "SG.new").expect("it was set");
            prop_assert_eq!(&again, &after);
            // Where quotes around the line do not close, taking it out could join them.
            if let Ok(cleared) = clear(&after, "KEY") {
                prop_assert_eq!(read(&cleared), None);
            }
        }
    }
}
