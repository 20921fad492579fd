//! Patterns in the rules of a policy. One that can match nothing is an error: it would forbid, know or allow nothing,
//! and look as if it did.

use crate::access::Scope;
use crate::catalogue::{Catalogue, ExpandError};
use crate::manifest::policy::ForbiddenScope;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::At;

/// Reports a pattern that nothing can match.
fn matches_nothing(text: &At<String>, why: &str, help: &str, problems: &mut Problems) {
    problems.error("unmatchable_pattern", text.site, format!("`{text}` can match nothing: {why}")).help(help);
}

/// A scope or a pattern of scopes that is forbidden. One that is only newer than the catalogue is warned of.
pub(crate) fn of_scopes(item: At<String>, what: &str, problems: &mut Problems) -> Option<ForbiddenScope> {
    let catalogue = Catalogue::builtin();
    let refused = if item.starts_with("set:") {
        let help = "write the scopes or a pattern such as `api_keys.*`".to_string();
        Some(("invalid_scope_pattern", format!("{what} names scopes, not sets"), help))
    } else if Catalogue::is_pattern(&item) {
        unmatchable(catalogue, &item).map(|(message, help)| ("invalid_scope_pattern", message, help))
    } else {
        impossible(catalogue, &item).map(|(message, help)| ("invalid_scope", message, help))
    };
    if let Some((code, message, help)) = refused {
        problems.error(code, item.site, message).help(help);
        return None;
    }
    if !Catalogue::is_pattern(&item) && !catalogue.contains(&Scope::new(item.value.as_str())) {
        let meant = catalogue.suggest(&item).map(|meant| format!(", did you mean `{meant}`?"));
        let meant = meant.unwrap_or_default();
        problems.warning("unknown_scope", item.site, format!("unknown scope `{item}`{meant}"));
    }
    Some(ForbiddenScope(item.value))
}

/// Why a pattern forbids nothing, and what to write.
fn unmatchable(catalogue: &Catalogue, pattern: &str) -> Option<(String, String)> {
    let error = match catalogue.expand(pattern) {
        Ok(_) => return None,
        // What is under a prefix depends on the text alone, so this covers billing scopes.
        Err(ExpandError::Billing(_)) if pattern.ends_with(".*") => return None,
        Err(error) => error,
    };
    let prefix = pattern.rsplit_once(':').map_or(pattern, |(prefix, _)| prefix);
    let help = match &error {
        ExpandError::Billing(_) => {
            return Some((
                format!("`{pattern}` matches no scope: a level does not cover billing scopes"),
                format!("write `{prefix}.read` alone, or `{prefix}.*` for all of them"),
            ));
        }
        ExpandError::Nothing { .. } if catalogue.expand(&format!("{prefix}.*")).is_ok() => {
            format!("no scope of `{prefix}` is of that level; `{prefix}.*` stands for all of them")
        }
        ExpandError::Nothing { .. }
        | ExpandError::Form(_)
        | ExpandError::Level { .. }
        | ExpandError::Everything(_) => "`gridkey scopes list` shows the scopes there are".to_string(),
    };
    Some((error.to_string(), help))
}

/// Why no key can have a scope, and what to write.
fn impossible(catalogue: &Catalogue, text: &str) -> Option<(String, String)> {
    if Scope::new(text).is_automatic() {
        return Some((
            format!("`{text}` cannot be forbidden: SendGrid puts it on keys by itself"),
            "take it out; it is never asked for".to_string(),
        ));
    }
    // All scopes that SendGrid has are of this form, and so newer ones may be expected to be.
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if text.split('.').all(part) {
        return None;
    }
    let meant = catalogue.suggest(&text.to_ascii_lowercase().replace([' ', '-', '/'], "."));
    let meant = meant.map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
    Some((
        format!("`{text}` is not a scope{meant}"),
        "a scope is words of `a-z`, `0-9` and `_` with `.` between them, such as `mail.send`".to_string(),
    ))
}

/// What names of keys at SendGrid look like.
pub(crate) fn of_names(text: At<String>, problems: &mut Problems) -> Option<String> {
    let (why, help) = if text.trim() != text.value {
        ("a name has no spaces at its ends", "take the spaces out")
    } else if text.chars().any(char::is_control) {
        ("a name has no line breaks and no other control characters", "take them out")
    } else if text.contains("[gridkey:") {
        ("`[gridkey:` marks keys that are being made", "a rule is about the name that a key has afterwards")
    } else {
        return Some(text.value);
    };
    matches_nothing(&text, why, help, problems);
    None
}

/// Ids or names of foreign keys.
pub(crate) fn of_foreign(text: At<String>, problems: &mut Problems) -> Option<String> {
    if text.chars().any(char::is_control) {
        let why = "an id or a name has no line breaks and no other control characters";
        matches_nothing(&text, why, "write the name with `*` where they stand", problems);
        return None;
    }
    Some(text.value)
}

/// A command, word by word.
pub(crate) fn of_commands(text: At<String>, problems: &mut Problems) -> Option<String> {
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        matches_nothing(&text, "a command has no control characters", "take them out", problems);
        return None;
    }
    Some(text.value)
}

/// A server, by scheme, host and port, as they are in lower case.
pub(crate) fn of_endpoints(text: At<String>, problems: &mut Problems) -> Option<String> {
    let (scheme, host) = match text.split_once("://") {
        Some((scheme, host)) => (Some(scheme), host.trim_end_matches('/')),
        None => (None, text.trim_end_matches('/')),
    };
    let of_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]_*".contains(c);
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.*".contains(c);
    let lower = text.to_ascii_lowercase();
    let (why, help) = if host.contains('/') {
        let server = host.split('/').next().unwrap_or_default();
        let scheme = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
        let server = format!("{scheme}{server}").to_ascii_lowercase();
        ("scheme, host and port are matched, and no path", format!("write `{server}`"))
    } else if host.is_empty() {
        ("it has no host", "write `https://HOST`".to_string())
    } else if let Some(odd) = host.chars().find(|c| !of_host(*c)) {
        let help = format!("take `{}` out: an address that has it is never allowed", odd.escape_default());
        ("scheme, host and port are matched, and nothing else", help)
    } else if scheme.is_some_and(|scheme| scheme.is_empty() || !scheme.chars().all(of_scheme)) {
        ("it has no scheme", format!("write `https://{host}`"))
    } else if scheme.is_none() && !host.starts_with('*') {
        ("it has no scheme", format!("write `https://{}`", host.to_ascii_lowercase()))
    } else if lower != text.value {
        ("addresses are matched in lower case", format!("write `{lower}`"))
    } else {
        return Some(text.value);
    };
    matches_nothing(&text, why, &help, problems);
    None
}
