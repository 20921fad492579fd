//! What gridkey must know of the settings of a sink without reaching it.

use std::time::Duration;

use serde_json::Value;

use crate::credential::Credential;

/// A setting that cannot be as it is, by its field, and what it can be; no help where it is good.
pub(crate) type Fault = (&'static str, &'static str);

/// The field of a fault that is in no one setting: in what they say together, or in what is not said.
pub(crate) const TOGETHER: &str = "";

/// Something that a sink reaches for, which a policy may forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached<'a> {
    Command(&'a [String]),
    Endpoint(&'a str),
}

/// When programs that read a secret have the newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PickUp {
    Within(Duration),
    /// When they are started anew, which nothing sees to.
    AtStart,
}

/// One kind of settings.
pub(crate) trait Described {
    /// Where they point, as a person would, without what does not tell places apart. No two places have the same text:
    /// plans that were approved are compared by it.
    fn place(&self) -> String;

    /// The same in one spelling, after the name of the space that its texts are of; the kind's own and [`Self::place`]
    /// where there is none.
    fn reached(&self) -> Option<String> {
        None
    }

    /// The document that the location is a part of, where it has others beside it: writes to one document are made one
    /// at a time.
    fn container(&self) -> Option<String> {
        None
    }

    /// Whether the secret is the whole of its document, so that no other one can be a part of it.
    fn is_whole(&self) -> bool {
        false
    }

    /// Where in its file a secret stands, of a kind whose files have values within values.
    fn pointer(&self) -> Option<&str> {
        None
    }

    /// Whether what a location holds can ever be seen.
    fn is_readable(&self) -> bool {
        true
    }

    /// Whether it can be told which key a location has, though the value itself may never be seen.
    fn tells_key(&self) -> bool {
        self.is_readable()
    }

    /// Whether a put does more than write, which a run that breaks off may have left undone: then the same put does it.
    fn follows_up(&self) -> bool {
        false
    }

    /// How long it usually takes until every program that reads a secret there has the newer one.
    fn pick_up(&self) -> PickUp {
        PickUp::Within(Duration::from_secs(15 * 60))
    }

    /// What can be told to be wrong before the service is asked.
    fn faults(&self) -> Vec<Fault>;

    /// Which item of a list has the fault that is told of its field, counted from 0.
    fn faulty_item(&self, _field: &str) -> Option<usize> {
        None
    }

    /// What they run or talk to, as far as they say it. What the cloud's or the cluster's own configuration says is not
    /// the manifest's.
    fn reaches(&self) -> Vec<Reached<'_>> {
        Vec::new()
    }

    /// Variables of gridkey's environment that a program of theirs gets.
    fn environment(&self) -> &[String] {
        &[]
    }

    /// How the place is used, besides where it is: what an approval of a plan covers as well; `None` for all that they say.
    fn manner(&self) -> Option<Value> {
        None
    }
}

/// The help where something is not so; nothing where it is.
pub(crate) fn unless(good: bool, help: &'static str) -> &'static str {
    if good { "" } else { help }
}

/// The same of a setting that may be left out.
pub(super) fn unless_any<T>(
    setting: Option<&T>,
    good: impl Fn(&T) -> bool,
    help: &'static str,
) -> &'static str {
    unless(setting.is_none_or(good), help)
}

pub(crate) const VARIABLE: &str = "the name of a variable holds letters, digits and `_`, and starts with no digit; \
    placeholders in upper case (`{KEY}`) fit";

pub(super) use crate::text::is_variable;

pub(super) fn path(path: &str) -> &'static str {
    if path.contains('$') {
        return "variables are not expanded in paths: write it out; `~/` stands for the home folder";
    }
    if path.starts_with('~') && !path.starts_with("~/") {
        return "`~/` stands for the home folder, and for nobody else's; write the path out, or begin it with `./`";
    }
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    if is_own_name(name) {
        return "files of that name are gridkey's own, and go when an edit is done";
    }
    unless(!path.trim().is_empty() && !path.ends_with('/') && !path.contains('\0'), "it names a file")
}

pub(super) fn address(address: &str) -> &'static str {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    if rest.is_some_and(|rest| rest.contains(['@', '?', '#'])) {
        return "an address has a host and perhaps a path; no user, password or query stands in it";
    }
    if is_plain_elsewhere(address) {
        return "plain HTTP would show the secret to all on the way: use `https://`; `http://` is for this machine alone";
    }
    unless(rest.is_some_and(|rest| !rest.is_empty()), "an address starts with `https://`")
}

/// Whether an address is asked without TLS, and is not this machine's: adapters ask nobody else so.
pub(crate) fn is_plain_elsewhere(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://").filter(|rest| !rest.is_empty()) else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let name = host.strip_prefix('[').and_then(|host| host.split(']').next());
    let name = name.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    name != "localhost" && !name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// RFC 6901, without the pointer to the whole document.
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes =
        text.match_indices('~').all(|(at, _)| matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')));
    text.starts_with('/') && text.len() > 1 && escapes
}

pub(super) const POINTER: &str =
    "a JSON Pointer starts with `/`, and `~` stands only in `~0` and `~1`: `/sendgrid/api_key`";

/// The programs among credentials.
pub(super) fn programs<'a>(credentials: impl IntoIterator<Item = &'a Credential>) -> Vec<Reached<'a>> {
    let programs = credentials.into_iter().filter_map(|credential| match credential {
        Credential::Command(command) => Some(Reached::Command(command)),
        Credential::Env(_) | Credential::File(_) => None,
    });
    programs.collect()
}

/// Letters and digits of ASCII, and some others.
pub(super) fn only(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// A path without `.` segments, doubled slashes, and with `a/..` folded, so that two spellings of a
/// file are one location. It looks at the text alone: links are followed nowhere.
pub(super) fn normal_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // There is nothing above the root.
            ".." if parts.is_empty() && path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// A server's address in one spelling: scheme and host in lower case, without the scheme's own port.
pub(super) fn server(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_lowercase() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, host) = (scheme.to_lowercase(), host.to_lowercase());
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    format!("{scheme}://{}{path}", host.strip_suffix(port).unwrap_or(&host))
}

/// What stands behind host and port in an address, in its parts.
pub(super) fn path_parts(address: &str) -> Vec<&str> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').skip(1).filter(|part| !part.is_empty()).collect()
}

/// What gridkey's own files beside a sink's file are called: the lock of its folder, and temporary ones. They hold secrets, so what
/// a killed process left of them is cleared away.
pub const OWN_PREFIX: &str = ".gridkey-";
pub const OWN_SUFFIX: &str = ".tmp";

/// Whether a file's name is one of gridkey's own, which no sink may have.
pub fn is_own_name(name: &str) -> bool {
    name.starts_with(OWN_PREFIX) && name.ends_with(OWN_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_over_tls_unless_it_is_of_this_machine() {
        for good in [
            "https://vault.example.com",
            "http://localhost:8200",
            "http://127.0.0.1:8200/",
            "http://127.9.9.9",
            "http://[::1]:8200/below",
        ] {
            assert_eq!(address(good), "", "{good}");
        }
        for plain in [
            "http://vault.example.com",
            "http://localhost.example.com",
            "http://10.0.0.7:8200",
            "http://[fd00::1]:8200",
            "http://127.0.0.1.example.com",
        ] {
            assert!(address(plain).contains("plain HTTP"), "{plain}");
        }
        assert!(address("https://user@vault.example.com").contains("no user"));
        assert!(address("vault.example.com").contains("starts with `https://`"));
        assert!(address("http://").contains("starts with `https://`"));
    }
}
