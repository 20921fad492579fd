//! JSON as people keep it in settings files (`appsettings.json`, `tsconfig.json`, those of editors): with comments, and a comma
//! behind the last item.

use zeroize::Zeroizing;

/// A text that may have such things. Each form has as many bytes: where something stands in one is where it stands in the others.
pub(super) struct Relaxed<'t> {
    pub text: &'t str,
    /// With blanks in the place of comments.
    pub bare: Zeroizing<String>,
    /// With blanks in the place of commas before a closing bracket as well: JSON, if it is any at all.
    pub strict: Zeroizing<String>,
}

impl<'t> Relaxed<'t> {
    pub fn new(text: &'t str) -> Self {
        let mut bytes = Zeroizing::new(text.as_bytes().to_vec());
        let mut last_commas = Vec::new();
        let mut comma = None;
        let mut at = 0;
        while at < bytes.len() {
            let end = end_of_token(&bytes, at);
            match bytes[at] {
                b'/' if end > at + 1 => blank(&mut bytes[at..end]),
                b']' | b'}' => last_commas.extend(comma.take()),
                // A comma that follows no value is no last one.
                b',' => comma = follows_value(&bytes[..at]).then_some(at),
                byte if !byte.is_ascii_whitespace() => comma = None,
                _ => {}
            }
            at = end;
        }
        let bare = text_of(bytes.clone());
        last_commas.into_iter().for_each(|comma| bytes[comma] = b' ');
        Self { text, bare, strict: text_of(bytes) }
    }
}

fn text_of(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    Zeroizing::new(text.expect("comments are replaced whole, so that no character is cut"))
}

/// Where a text, a comment, or else a single byte ends. What is never closed is for the parser to tell.
fn end_of_token(bytes: &[u8], at: usize) -> usize {
    match (bytes[at], bytes.get(at + 1)) {
        (b'"', _) => end_of_text(bytes, at),
        (b'/', Some(b'/')) => end_of_line(bytes, at),
        (b'/', Some(b'*')) => end_of_comment(bytes, at).unwrap_or(at + 1),
        _ => at + 1,
    }
}

/// Line ends stay, as messages count lines.
fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

fn follows_value(before: &[u8]) -> bool {
    let last = before.iter().rfind(|byte| !byte.is_ascii_whitespace());
    last.is_some_and(|byte| !matches!(byte, b'{' | b'[' | b',' | b':'))
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut escaped = false;
    let inside = bytes[start + 1..].iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    inside.map_or(bytes.len(), |inside| start + inside + 2)
}

fn end_of_line(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes.len(), |end| start + end)
}

fn end_of_comment(bytes: &[u8], start: usize) -> Option<usize> {
    let inside = bytes[start + 2..].windows(2).position(|pair| pair == b"*/")?;
    Some(start + 2 + inside + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_last_commas_become_blanks_and_all_else_stays_where_it_is() {
        for (text, after) in [
            ("{}", "{}"),
            ("// ä\n{}", "     \n{}"),
            ("{\"a\": 1, // one, }\r\n}", "{\"a\": 1           \r\n}"),
            ("[1, /* two\n */ 2,]", "[1,       \n    2 ]"),
            ("{\"a\": [1,],\n}", "{\"a\": [1 ] \n}"),
            ("{\"a\": \"// no, }\", \"b\\\"/*\": \",]\"}", "{\"a\": \"// no, }\", \"b\\\"/*\": \",]\"}"),
            // What is broken is for the parser to tell.
            ("[1,,]", "[1,,]"),
            ("{,}", "{,}"),
            ("[1, /* open", "[1, /* open"),
            ("{\"a\": \"open", "{\"a\": \"open"),
            ("[1 / 2]", "[1 / 2]"),
        ] {
            assert_eq!(Relaxed::new(text).strict.as_str(), after, "{text}");
            assert_eq!(Relaxed::new(text).bare.len(), text.len());
        }
    }
}
