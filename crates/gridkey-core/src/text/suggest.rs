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
pub(crate) fn closest<S: AsRef<str>>(text: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    // A quarter of the letters, and one typo in any case: more is another word.
    let allowed = (text.chars().count() / 4).clamp(1, 4);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(text, name.as_ref()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.as_ref().cmp(y.as_ref())))
        .map(|(_, name)| name.as_ref().to_string())
}
