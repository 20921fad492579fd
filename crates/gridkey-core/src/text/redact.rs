//! The one place that stars out secrets, for every text that leaves gridkey.
//!
//! Secrets are recognised by their form: a SendGrid key, whole or without its `SG.`; the credentials in an address; what
//! follows `Bearer`, `password=` and their like; tokens with the prefixes of services; and long words that look random.

use std::ops::Range;

pub(crate) fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A message without control characters and without anything that looks like a secret.
pub(crate) fn clean(text: &str) -> String {
    redact(text).chars().map(printable).collect()
}

/// Whether a text holds anything that must not be shown, so that no other text is made of it either.
pub(crate) fn is_secret(text: &str) -> bool {
    !secrets(text).is_empty()
}

/// The same text with everything that looks like a secret starred out.
///
/// *Guarantees:* the result has as many bytes as the text.
pub fn redact(text: &str) -> String {
    let mut shown = text.to_string();
    for secret in secrets(text) {
        hide(&mut shown, secret);
    }
    shown
}

/// The same text with `…` for everything that looks like a secret, and for a secret that is known and its private
/// part, whatever they look like.
pub fn elide(text: &str, known: Option<&str>) -> String {
    let mut text = text.to_string();
    if let Some(known) = known.filter(|known| !known.is_empty()) {
        text = text.replace(known, "SG.…");
        if let Some(private) = private_part(known) {
            text = text.replace(private, "…");
        }
    }
    // Whatever begins like a key is taken for one, however short.
    let mut parts = text.split("SG.");
    let mut elided = parts.next().unwrap_or_default().to_string();
    for part in parts {
        elided.push_str("SG.…");
        elided.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-.…".contains(c)));
    }
    for secret in secrets(&elided).into_iter().rev() {
        elided.replace_range(secret, "…");
    }
    elided
}

/// The part of a key that is secret, where it is long enough to be told from a word.
fn private_part(key: &str) -> Option<&str> {
    const SHORTEST: usize = 16;
    key.rsplit('.').next().filter(|part| part.len() >= SHORTEST)
}

/// What a program said, as far as it can be quoted: words and a few short numbers. It was given a secret, and may have
/// said it in any form, so everything else stands as `…`.
pub fn quote(text: &str, known: Option<&str>) -> String {
    /// More of them may be a secret in digits.
    const NUMBERS: usize = 3;
    let text = elide(text, known);
    let known = known.unwrap_or_default().to_ascii_lowercase();
    let mut numbers = 0;
    let mut quoted: Vec<&str> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_number = !bare.is_empty() && bare.len() <= 4 && bare.bytes().all(|byte| byte.is_ascii_digit());
        numbers += usize::from(is_number);
        let is_elided = bare.is_empty() || bare == "SG";
        let kept = is_elided || (is_number && numbers <= NUMBERS) || is_phrase(bare, &known);
        match (kept, quoted.last()) {
            (true, _) => quoted.push(word),
            (false, Some(&"…")) => {}
            (false, _) => quoted.push("…"),
        }
    }
    quoted.join(" ")
}

/// Whether a text is words of a language with some punctuation between them, such as `not-found` or `secret/prod/mailer`.
fn is_phrase(text: &str, known: &str) -> bool {
    const PARTS: usize = 6;
    let mut parts = text.split(|c: char| "-_/.:='\"".contains(c));
    parts.clone().count() <= PARTS && parts.all(|part| is_word(part, known))
}

/// What programs say in names of errors and of services, where words stand together (`ParameterNotFound`) or in capitals
/// (`PERMISSION_DENIED`). Letters of either form may be a secret in some code, so these are known one by one.
const NAMING: &str = "\
    access account action actions already api argument authentication authorization authorized bad client \
    closed command config conflict connection credential credentials deadline decryption denied disabled \
    entity error exceeded exception exhausted exists expired failed failure file forbidden found gateway git \
    hub internal invalid invocation key lab limit lookup many missing name network no not operation parameter \
    path permission precondition quota rate refused request requests reset resource role rpc secret secrets \
    server service signature such throttled throttling timeout token too unauthenticated unauthorized \
    unavailable unknown unreachable unrecognized unsupported validation version";

/// Whether a text is made of such words alone: `ParameterNotFound`, `DENIED`.
fn is_naming(text: &str, known: &str) -> bool {
    let is_capital = |at: usize| text.as_bytes()[at].is_ascii_uppercase();
    let starts = match text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => vec![0],
        false => (0..text.len()).filter(|at| *at == 0 || is_capital(*at)).collect(),
    };
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut words = starts.iter().zip(ends).map(|(start, end)| text.get(*start..end).unwrap_or_default());
    text.is_ascii()
        && words.all(|word| {
            let word = word.to_ascii_lowercase();
            NAMING.split(' ').any(|one| one == word) && !known.contains(&word)
        })
}

/// Whether a text reads as a word, and is no part of the secret.
fn is_word(text: &str, known: &str) -> bool {
    const SHORT: [&str; 26] = [
        "", "a", "i", "s", "t", "am", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it",
        "me", "no", "of", "on", "or", "so", "to", "up",
    ];
    let lower = text.to_ascii_lowercase();
    if text.len() < 3 {
        return SHORT.contains(&lower.as_str());
    }
    let is_lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let cased = match text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => text.len() <= 6,
        false => text.get(1..).is_some_and(is_lower) && text.as_bytes()[0].is_ascii_alphabetic(),
    };
    let has_vowel = lower.bytes().any(|byte| b"aeiouy".contains(&byte)) || lower == "http";
    (cased && has_vowel && text.len() <= 16 && !known.contains(&lower)) || is_naming(text, known)
}

/// What the private keys of PEM begin with, behind their kind.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Whether a text is a private key: of age, of one of its plug-ins, or in PEM.
pub(crate) fn is_private_key(text: &str) -> bool {
    let upper = text.trim_start().to_ascii_uppercase();
    upper.starts_with("AGE-SECRET-KEY-") || upper.starts_with("AGE-PLUGIN-") || upper.contains(PRIVATE_KEY)
}

/// What looks like a secret in a text, each by itself.
pub(crate) fn found(text: &str) -> impl Iterator<Item = &str> {
    secrets(text).into_iter().map(|secret| &text[secret])
}

/// Stars out a range of bytes. Line breaks stay, so that lines keep their numbers.
pub(crate) fn hide(shown: &mut String, range: Range<usize>) {
    let Some(part) = shown.get(range.clone()) else { return };
    let stars: String = part.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
    shown.replace_range(range, &stars);
}

/// Stars out what may be a secret in a text that could not be read, where nothing tells which value a field has.
pub(crate) fn hide_unread(shown: &mut String) {
    let mut hidden = Vec::new();
    let mut start = 0;
    let mut goes_on = false;
    for line in shown.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        match credential_field(line) {
            Some(value) => hidden.push(start + value..end),
            None => hidden.extend(odd_words(line, goes_on).map(|word| start + word.start..start + word.end)),
        }
        // A secret that ends its line may be folded, and go on in the next.
        goes_on = line.trim_end().ends_with(['*', '\\'])
            || hidden.last().is_some_and(|last: &Range<usize>| last.end + 1 >= end && last.start >= start);
        start += line.len();
    }
    hidden.into_iter().for_each(|range| hide(shown, range));
}

/// Where in a line the value of a field begins that stands where a credential would.
fn credential_field(line: &str) -> Option<usize> {
    line.match_indices(':').find_map(|(at, _)| {
        let key = line[..at].trim_end_matches(['"', '\'', ' ']);
        let from = key.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let value = &line[at + 1..];
        let from = from.map_or(0, |at| at + key[at..].chars().next().map_or(1, char::len_utf8));
        let is_value = !value.trim().is_empty() && !value.trim_start().starts_with('{');
        (is_credential(&key[from..]) && is_value).then(|| at + 1 + (value.len() - value.trim_start().len()))
    })
}

/// Words of a line that no manifest has for names: with capitals inside, or with escapes.
fn odd_words(line: &str, goes_on: bool) -> impl Iterator<Item = Range<usize>> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || "_-+/=~.\\*%$!".contains(c);
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, c) in line.char_indices().filter(|(_, c)| of_word(*c)) {
        match words.last_mut().filter(|word| word.end == at) {
            Some(word) => word.end = at + c.len_utf8(),
            None => words.push(at..at + c.len_utf8()),
        }
    }
    let is_odd = |word: &str| {
        let mixed = word.as_bytes().windows(2).any(|two| {
            (two[0].is_ascii_lowercase() || two[0].is_ascii_digit()) && two[1].is_ascii_uppercase()
        });
        let lower = word.bytes().any(|byte| byte.is_ascii_lowercase());
        word.len() >= 6 && ((mixed && lower) || word.contains('\\'))
    };
    let odd: Vec<_> = words
        .into_iter()
        .enumerate()
        .filter(|(index, word)| is_odd(&line[word.clone()]) || (goes_on && *index == 0))
        .map(|(_, word)| word)
        .collect();
    odd.into_iter()
}

/// Whether a field of this name is, or was meant to be, one that says where a credential is found.
pub(crate) fn is_credential(field: &str) -> bool {
    const NAMES: [&str; 15] = [
        "apikey",
        "planapikey",
        "clientsecret",
        "jwt",
        "privatekey",
        "roleid",
        "secretid",
        "signingkey",
        "url",
        "password",
        "passwd",
        "token",
        "authorization",
        "credential",
        "bearer",
    ];
    if field.len() > 20 {
        return false;
    }
    let plain: String =
        field.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&plain.as_str())
        || NAMES[..2].iter().any(|name| strsim::damerau_levenshtein(name, &plain) <= 2)
}

/// Whether a text holds a whole SendGrid key.
pub(crate) fn holds_key(text: &str) -> bool {
    keys(text).iter().any(|key| is_whole(&text[key.clone()]))
}

/// Whether what follows `SG.` is an id and a secret.
pub(crate) fn is_whole(tail: &str) -> bool {
    tail.split('.').filter(|part| part.len() >= 16).count() >= 2
}

/// The byte ranges of what follows `SG.` in a text, where it is long enough to be more than a mention.
pub(crate) fn keys(text: &str) -> Vec<Range<usize>> {
    const SHORTEST: usize = 8;
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, start) in text.match_indices("SG.") {
        let from = at + start.len();
        if found.last().is_some_and(|last| last.end > from) {
            continue;
        }
        let length = run(&text[from..], |c| is_token(c) || c == '.');
        if length >= SHORTEST {
            found.push(from..going_on(text, from, from + length));
        }
    }
    found
}

/// The end of a key that is broken in the middle: folded over lines, or with a space in it.
fn going_on(text: &str, start: usize, end: usize) -> usize {
    /// An id, a dot and a secret.
    const WHOLE: usize = 66;
    let mut end = end;
    while end - start < WHOLE {
        let between = run(&text[end..], |c| c.is_whitespace() || "\\\"',#".contains(c));
        let next = &text[end + between..];
        let next = &next[..run(next, |c| is_token(c) || c == '.')];
        let is_odd =
            next.len() >= 5 && next.bytes().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if between == 0 || !is_odd {
            break;
        }
        end += between + next.len();
    }
    end
}

/// The byte ranges of everything that looks like a secret, in order, none of them within another.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = keys(text);
    of_addresses(text, &mut found);
    of_words(text, &mut found);
    of_prefixes(text, &mut found);
    of_private_keys(text, &mut found);
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in found {
        match apart.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => apart.push(range),
        }
    }
    apart
}

/// A character of a key, or of an escape of YAML that stands for one.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '\\')
}

/// How many bytes at the start of a text are of characters like these.
fn run(text: &str, good: impl Fn(char) -> bool) -> usize {
    text.find(|c| !good(c)).unwrap_or(text.len())
}

/// Credentials in addresses: `scheme://user:password@`, and a token alone before `@`.
fn of_addresses(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, start) in text.match_indices("://") {
        let from = at + start.len();
        let rest = &text[from..];
        let rest = &rest[..run(rest, |c| !c.is_whitespace() && !"\"'`<>".contains(c))];
        let Some(end) = rest.rfind('@') else { continue };
        let given = &rest[..end];
        let colon = given.find(':');
        // `https://host:8200/path@2` has a port and a path before its `@`, and no password.
        let is_path = given.find('/').is_some_and(|slash| {
            colon.is_none_or(|colon| {
                colon > slash || given[colon + 1..slash].bytes().all(|byte| byte.is_ascii_digit())
            })
        });
        // A user's name or a host that another is hidden behind has to be seen; a token alone is longer.
        let is_name = colon.is_none() && (given.len() < 8 || given.contains('.'));
        if !is_path && !is_name {
            found.push(from + colon.map_or(0, |colon| colon + 1)..from + end);
        }
    }
}

/// Words that look random, and the second half of `ID.SECRET`.
fn of_words(text: &str, found: &mut Vec<Range<usize>>) {
    /// SendGrid's secrets have 43 characters, its ids 22.
    const LONG: usize = 32;
    let mut at = 0;
    let mut before: Option<Range<usize>> = None;
    while at < text.len() {
        let length = run(&text[at..], is_token);
        if length > 0 {
            let word = &text[at..at + length];
            let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
            let random = length >= LONG
                && has(u8::is_ascii_lowercase)
                && has(u8::is_ascii_uppercase)
                && has(u8::is_ascii_digit);
            let of_id = before.as_ref().is_some_and(|id| {
                (20..=24).contains(&id.len()) && id.end + 1 == at && text.as_bytes()[id.end] == b'.'
            });
            if random || (of_id && length >= LONG) || is_key_in_digits(word) {
                found.push(at..at + length);
            }
            before = Some(at..at + length);
        }
        let other = &text[at + length..];
        at += length + run(other, |c| !is_token(c));
    }
}

/// Whether a word is a key, or the secret of one, in hexadecimal digits: each two of them are a character of one, as those of a digest are
/// not.
fn is_key_in_digits(word: &str) -> bool {
    /// 43 bytes, in two digits each.
    const SECRET: usize = 86;
    let of_key = |two: &[u8]| {
        let code = std::str::from_utf8(two).ok().and_then(|two| u8::from_str_radix(two, 16).ok());
        code.is_some_and(|code| matches!(code, b'-' | b'.' | b'_') || code.is_ascii_alphanumeric())
    };
    word.len() >= SECRET && word.as_bytes().chunks(2).all(of_key)
}

/// What stands between the first line of a private key in PEM and its last, or the end of the text.
fn of_private_keys(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices(PRIVATE_KEY) {
        let is_first = text[..at].rsplit("-----").next().is_some_and(|kind| kind.starts_with("BEGIN"));
        if is_first {
            let from = at + PRIVATE_KEY.len();
            let length = text[from..].find("-----END").unwrap_or(text.len() - from);
            found.push(from..from + length);
        }
    }
}

/// What follows the words and prefixes that stand before credentials.
fn of_prefixes(text: &str, found: &mut Vec<Range<usize>>) {
    /// The tokens of Vault, GitHub, GitLab, Slack, Stripe and age; each is longer than this.
    const SHORTEST: usize = 8;
    const TOKENS: [&str; 16] = [
        "hvs.",
        "hvb.",
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "sk_live_",
        "AGE-SECRET-KEY-1",
        "AGE-SECRET-KEY-PQ-1",
        "AGE-PLUGIN-",
        "age-secret-key-1",
        "age-secret-key-pq-1",
    ];
    const SETTINGS: [&str; 7] = ["password=", "passwd=", "pwd=", "token=", "secret=", "api_key=", "apikey="];
    let lower = text.to_ascii_lowercase();
    for prefix in TOKENS {
        for (at, _) in text.match_indices(prefix) {
            let from = at + prefix.len();
            let length = run(&text[from..], |c| is_token(c) || c == '.');
            if length >= SHORTEST {
                found.push(from..from + length);
            }
        }
    }
    for prefix in SETTINGS {
        for (at, _) in lower.match_indices(prefix) {
            let from = at + prefix.len();
            found.push(from..from + run(&text[from..], |c| !c.is_whitespace() && !"\"'`&;,".contains(c)));
        }
    }
    for scheme in ["bearer ", "basic "] {
        for (at, _) in lower.match_indices(scheme) {
            let from = at + scheme.len();
            let length = run(&text[from..], |c| !c.is_whitespace() && !"\"'`,;<>".contains(c));
            let word = &text[from..from + length];
            let is_header = lower[..at].trim_end().ends_with("authorization:");
            let is_odd = length >= SHORTEST && word.bytes().any(|byte| !byte.is_ascii_lowercase());
            if is_header || is_odd {
                found.push(from..from + length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ngeVfQFYQlKU0ufo8x5d1A";
    const SECRET: &str = "TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr";

    #[test]
    fn secrets_are_starred_out_whatever_stands_around_them() {
        for (text, secret) in [
            (format!("SG.{ID}.{SECRET}"), SECRET),
            (format!("({ID}.{SECRET})"), SECRET),
            (format!("it is {SECRET}, yes"), SECRET),
            ("postgres://user:hunter2@db/x".to_string(), "hunter2"),
            ("postgres://user:h/unt:e@r2@db:5432/x".to_string(), "h/unt:e@r2"),
            ("https://ghostoken@example.com".to_string(), "ghostoken"),
            ("Authorization: Bearer lowercase".to_string(), "lowercase"),
            ("bearer abcdef012345".to_string(), "abcdef012345"),
            ("host=db password=hunter2 user=me".to_string(), "hunter2"),
            ("https://x.example/?token=abc&x=1".to_string(), "abc"),
            ("hvs.CAESIJ1234567".to_string(), "CAESIJ1234567"),
            (format!("the body 53472e{}", "4f".repeat(66)), "4f4f"),
            (format!("{}, say", "6a".repeat(43)), "6a6a"),
            ("AGE-SECRET-KEY-PQ-1GFPYYSJZ".to_string(), "GFPYYSJZ"),
            ("age-secret-key-1gfpyysjz, say".to_string(), "gfpyysjz"),
            ("-----BEGIN PRIVATE KEY-----\nab+/cd\n-----END PRIVATE KEY-----".to_string(), "ab+/cd"),
            ("[\"-----BEGIN RSA PRIVATE KEY-----\\nab+/cd\"]".to_string(), "ab+/cd"),
        ] {
            let shown = redact(&text);
            assert_eq!(shown.len(), text.len());
            assert!(!shown.contains(secret), "{shown}");
            assert!(!elide(&text, None).contains(secret), "{}", elide(&text, None));
        }
    }

    #[test]
    fn what_a_program_said_is_quoted_without_the_secret_in_whatever_form() {
        let key = format!("SG.{ID}.{SECRET}");
        let cut = |text: &str, width: usize, between: &str| {
            let chunks: Vec<_> = text.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
            chunks.join(between)
        };
        let digits = |radix: fn(u8) -> String| key.bytes().map(radix).collect::<Vec<_>>();
        let mut forms = vec![
            digits(|byte| format!("{byte:02x}")).concat(),
            digits(|byte| format!("{byte:02X}")).join(":"),
            digits(|byte| format!("{byte:03o}")).join(" "),
            digits(|byte| byte.to_string()).join(", "),
            digits(|byte| format!("\\u{byte:04x}")).concat(),
            digits(|byte| format!("%{byte:02x}")).concat(),
            digits(|byte| format!("\u{1b}[1m{}", byte as char)).concat(),
            key.chars().rev().collect(),
            // Base64 and Base32.
            "U0cubmdlVmZRRllRbEtVMHVmbzh4NWQxQS5Ud0wyaUdBQmY5REhvVGYtMDlrcWVGOHRBbWJpaFl6cm5vcEtjLTFzNWNy"
                .to_string(),
            "KNDS43THMVLGMUKGLFIWYS2VGB2WM3ZYPA2WIMKBFZKHOTBSNFDUCQTGHFCEQ32UMYWTAOLLOFSUM".to_string(),
        ];
        for width in 1..12 {
            for between in ["\n", " ", "\nerror: part ", "', '"] {
                forms.push(cut(&key, width, between));
                forms.push(cut(&key.to_lowercase(), width, between));
            }
        }
        let secret = SECRET.to_lowercase();
        for said in forms {
            let shown = quote(&format!("cannot store: {said}"), Some(&key));
            assert!(shown.starts_with("cannot store: "), "{shown}");
            let shown = shown.to_lowercase();
            let mut pieces = secret.as_bytes().windows(3).map(String::from_utf8_lossy);
            assert!(!pieces.any(|piece| shown.contains(&*piece)), "{shown}");
            let letters = shown.replace("error: part", "").bytes().filter(u8::is_ascii_alphanumeric).count();
            assert!(letters < 25, "{shown}");
        }
        for said in [
            "permission denied",
            "Error: no such path secret/prod/mailer (HTTP 403)",
            "don't know the sink 'local': exit status 2",
            "An error occurred (ParameterNotFound) when reading",
            "rpc error: code = PERMISSION_DENIED: GitHub says no",
        ] {
            assert_eq!(quote(said, Some(&key)), said);
        }
        for said in ["TwLiGABfDHoTfRead", "PermissionTwl", "KNDSTHMVL", "NOTFOUNDKNDS"] {
            assert_eq!(quote(said, None), "…");
        }
        assert_eq!(quote("cannot open /tmp/x9f2/Ab3d9: not found", None), "cannot open … not found");
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "the SG. prefix",
            ID,
            "https://vault.internal:8200/v1/secret@2",
            "https://vault.internal:8200",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:sendgrid/prod/mailer",
            "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
            "SENDGRID_PRODUCTION_API_KEY_OF_THE_SHOP_2",
            "a bearer certificate, and basic knowledge",
            "-----END PRIVATE KEY-----\n and what follows",
            "me@example.com",
            "https://me@example.com",
            "https://vault.internal@evil.example",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
