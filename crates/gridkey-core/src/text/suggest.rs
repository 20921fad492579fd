//! Lists of names for messages, and what a misspelt name probably meant.

/// Names in backticks, for messages.
pub(crate) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Some names in backticks, and how many more there are.
pub(crate) fn some_of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<S> = names.into_iter().collect();
    let shown = list(names.iter().take(SHOWN));
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `, did you mean …?` where one of the known names is close, else nothing.
pub(crate) fn did_you_mean<S: AsRef<str>>(text: &str, known: impl IntoIterator<Item = S>) -> String {
    match closest(text, known) {
        Some(name) => format!(", did you mean `{name}`?"),
        None => String::new(),
    }
}

/// The known name that a text most probably meant.
pub fn closest<S: AsRef<str>>(text: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    /// Names, scopes and addresses are shorter; comparing takes the product of two lengths.
    const LONGEST: usize = 200;
    /// A manifest can come to a hundred thousand addresses, and have a thousand texts that are none of them.
    const COMPARED: usize = 5_000;
    if text.len() > LONGEST {
        return None;
    }
    // A quarter of the letters, and one typo in any case: more is another word.
    let length = text.chars().count();
    let allowed = (length / 4).clamp(1, 4);
    known
        .into_iter()
        .filter(|name| name.as_ref().chars().take(LONGEST + 1).count().abs_diff(length) <= allowed)
        .take(COMPARED)
        .map(|name| (strsim::damerau_levenshtein(text, name.as_ref()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.as_ref().cmp(y.as_ref())))
        .map(|(_, name)| name.as_ref().to_string())
}
