//! Variables in dotenv files. A file is edited line by line: every other line stays byte for byte as it was.

use zeroize::Zeroizing;

/// Whether a line assigns the variable, and where its value starts.
fn value_start(line: &str, variable: &str) -> Option<usize> {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let (name, skipped) = match trimmed.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => {
            let name = rest.trim_start();
            (name, trimmed.len() - name.len())
        }
        _ => (trimmed, 0),
    };
    let rest = name.strip_prefix(variable)?;
    let after = rest.trim_start_matches([' ', '\t']);
    let value = after.strip_prefix('=')?;
    let _ = value;
    Some(indent + skipped + variable.len() + (rest.len() - after.len()) + 1)
}

/// The value between quotes, or up to a comment.
fn unquoted(raw: &str) -> &str {
    let raw = raw.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = raw.strip_prefix(quote) {
            return inner.split(quote).next().unwrap_or(inner);
        }
    }
    match raw.find(" #") {
        Some(at) => raw[..at].trim_end(),
        None => raw,
    }
}

/// The variable's value; of several assignments the last one counts.
pub(crate) fn get(text: &str, variable: &str) -> Option<Zeroizing<String>> {
    let mut lines = text.lines().rev();
    lines.find_map(|line| {
        value_start(line, variable).map(|at| Zeroizing::new(unquoted(&line[at..]).to_string()))
    })
}

/// The text with the variable set: the last assignment is changed, or one is added at the end.
pub(crate) fn set(text: &str, variable: &str, secret: &str) -> Zeroizing<String> {
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let last =
        text.split_inclusive('\n').enumerate().filter(|(_, line)| value_start(line, variable).is_some());
    let last = last.map(|(number, _)| number).last();
    let mut new = Zeroizing::new(String::with_capacity(text.len() + variable.len() + secret.len() + 4));
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match value_start(line, variable).filter(|_| Some(number) == last) {
            Some(at) => {
                let raw = &line[at..];
                let quote = raw.trim_start().chars().next().filter(|first| matches!(first, '"' | '\''));
                new.push_str(&line[..at]);
                new.extend(quote);
                new.push_str(secret);
                new.extend(quote);
                new.push_str(line_ending(line));
            }
            None => new.push_str(line),
        }
    }
    if last.is_none() {
        if !new.is_empty() && !new.ends_with('\n') {
            new.push_str(ending);
        }
        new.push_str(variable);
        new.push('=');
        new.push_str(secret);
        new.push_str(ending);
    }
    new
}

fn line_ending(line: &str) -> &str {
    if line.ends_with("\r\n") {
        "\r\n"
    } else if line.ends_with('\n') {
        "\n"
    } else {
        ""
    }
}

/// The text without any assignment of the variable.
pub(crate) fn remove(text: &str, variable: &str) -> Zeroizing<String> {
    let kept = text.split_inclusive('\n').filter(|line| value_start(line, variable).is_none());
    Zeroizing::new(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# settings\nA=1\n\nexport KEY=\"old\" # kept? no\r\nB = two\nKEY2=x";

    #[test]
    fn other_lines_stay_as_they_were() {
        let new = set(FILE, "KEY", "SG.new");
        assert_eq!(&**new, "# settings\nA=1\n\nexport KEY=\"SG.new\"\r\nB = two\nKEY2=x");
        assert_eq!(get(&new, "KEY").as_deref().map(String::as_str), Some("SG.new"));
        assert_eq!(get(&new, "KEY2").as_deref().map(String::as_str), Some("x"));
        assert_eq!(&**remove(&new, "KEY"), "# settings\nA=1\n\nB = two\nKEY2=x");
    }

    #[test]
    fn a_new_variable_is_added_at_the_end() {
        assert_eq!(&**set("", "KEY", "SG.new"), "KEY=SG.new\n");
        assert_eq!(&**set("A=1", "KEY", "SG.new"), "A=1\nKEY=SG.new\n");
        assert_eq!(&**set("A=1\r\n", "KEY", "SG.new"), "A=1\r\nKEY=SG.new\r\n");
    }

    #[test]
    fn values_are_read_as_shells_write_them() {
        for (line, value) in [
            ("KEY=plain", "plain"),
            ("KEY= spaced ", "spaced"),
            ("KEY='quoted # not a comment'", "quoted # not a comment"),
            ("KEY=plain # a comment", "plain"),
            ("  export  KEY = \"x\"", "x"),
            ("KEY=", ""),
            ("KEY=one\nKEY=two", "two"),
        ] {
            assert_eq!(get(line, "KEY").as_deref().map(String::as_str), Some(value), "{line}");
        }
        for other in ["#KEY=x", "KEYS=x", "MYKEY=x", "KEY", ""] {
            assert_eq!(get(other, "KEY"), None, "{other}");
        }
    }
}
