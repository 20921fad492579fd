//! Findings as people read them: how much they matter, what they are about, and the way out.

use std::collections::BTreeMap;

use gridkey_core::plan::{Code, Finding, Severity};

use super::fold::{STAND_IN, left_open};
use super::style::{Style, Tone};
use super::words::{count, on_one_line, safe};

/// A finding as lines, each ended by a line break.
pub(crate) fn text(finding: &Finding, style: Style) -> String {
    let Finding { severity, code, account, address, message, help, position } = finding;
    let head = style.paint(tone(*severity), format!("{} [{code}]", word(*severity)));
    let about = match (account, address) {
        (Some(account), Some(address)) => format!(" {account} {address}:"),
        (Some(account), None) => format!(" {account}:"),
        (None, Some(address)) => format!(" {address}:"),
        (None, None) => ":".to_string(),
    };
    let mut text = format!("{head}{about} {}\n", on_one_line(message));
    if let Some(position) = position {
        text.push_str(&format!("    at {}\n", safe(position.to_string())));
    }
    if let Some(help) = help {
        text.push_str(&format!("    help: {}\n", on_one_line(help)));
    }
    text
}

/// Fewer findings that say the same are shown each by itself.
const FEWEST: usize = 4;

/// How many addresses are listed.
const NAMED: usize = 24;

/// Findings in the order given; those that say the same of several addresses are one, at the place of the first.
pub(super) fn texts(findings: &[&Finding], style: Style) -> String {
    let mut alike: BTreeMap<Saying<'_>, Vec<usize>> = BTreeMap::new();
    for (index, finding) in findings.iter().enumerate() {
        alike.entry(Saying::of(finding)).or_default().push(index);
    }
    let mut shown: BTreeMap<usize, String> = BTreeMap::new();
    for members in alike.values() {
        match members.len() < FEWEST || findings[members[0]].address.is_none() {
            true => shown.extend(members.iter().map(|index| (*index, text(findings[*index], style)))),
            false => {
                let members: Vec<&Finding> = members.iter().map(|index| findings[*index]).collect();
                let first = findings.iter().position(|finding| std::ptr::eq(*finding, members[0]));
                shown.insert(first.unwrap_or_default(), together(&members, style));
            }
        }
    }
    shown.into_values().collect()
}

/// What a finding says, but of which address.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Saying<'a> {
    severity: Severity,
    code: Code,
    account: Option<&'a str>,
    message: String,
    help: Option<String>,
}

impl<'a> Saying<'a> {
    fn of(finding: &'a Finding) -> Self {
        let Finding { severity, code, account, address: _, message, help, position: _ } = finding;
        Self {
            severity: *severity,
            code: *code,
            account: account.as_ref().map(|account| account.as_str()),
            message: general(message, finding),
            help: help.as_ref().map(|help| general(help, finding)),
        }
    }
}

fn general(text: &str, finding: &Finding) -> String {
    let address = finding.address.as_ref().map(ToString::to_string);
    address.map_or_else(|| text.to_string(), |address| left_open(text, &address))
}

/// Several findings that say the same, of which the first speaks for all.
fn together(members: &[&Finding], style: Style) -> String {
    let first = members[0];
    // No `*`: in a command it would stand for every key there is.
    let of_any = |text: &String| general(text, first).replace(STAND_IN, "ADDRESS");
    let head = style.paint(tone(first.severity), format!("{} [{}]", word(first.severity), first.code));
    let account = first.account.as_ref().map(|account| format!(" {account}")).unwrap_or_default();
    let mut text =
        format!("{head}{account} {}: {}\n", count(members.len(), "key"), on_one_line(of_any(&first.message)));
    let names: Vec<String> = members
        .iter()
        .take(NAMED)
        .filter_map(|finding| finding.address.as_ref())
        .map(ToString::to_string)
        .collect();
    let more = match members.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    text.push_str(&format!("    of {}{more}\n", names.join(", ")));
    if let Some(help) = &first.help {
        text.push_str(&format!("    help: {}\n", on_one_line(of_any(help))));
    }
    text
}

pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocks => "blocks",
        Severity::BlocksAccount => "blocks account",
        Severity::Allowed => "allowed",
        Severity::Warns => "warning",
    }
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Blocks | Severity::BlocksAccount => Tone::Bad,
        Severity::Allowed | Severity::Warns => Tone::Changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(address: &str, message: &str) -> Finding {
        Finding {
            severity: Severity::Warns,
            code: Code::SecretUnknown,
            account: None,
            address: Some(address.parse().expect("an address")),
            message: message.to_string(),
            help: Some(format!("`gridkey rotate {address}` makes one")),
            position: None,
        }
    }

    #[test]
    fn findings_that_say_the_same_of_several_keys_are_one() {
        let of = |address: &str| finding(address, &format!("nobody has the secret of `{address}`"));
        let mut all: Vec<Finding> = ["a", "prod/b", "prod/c"].into_iter().map(of).collect();
        let few: Vec<&Finding> = all.iter().collect();
        assert_eq!(texts(&few, Style::Plain).matches("warning").count(), 3);
        all.insert(1, finding("prod/x", "it is another matter"));
        all.push(of("prod/d"));
        let shown = texts(&all.iter().collect::<Vec<_>>(), Style::Plain);
        insta::assert_snapshot!(shown, @"
        warning [secret_unknown] 4 keys: nobody has the secret of `ADDRESS`
            of a, prod/b, prod/c, prod/d
            help: `gridkey rotate ADDRESS` makes one
        warning [secret_unknown] prod/x: it is another matter
            help: `gridkey rotate prod/x` makes one
        ");
    }
}
