//! `policy`: rules over plans. All of them are read; those without a gate yet are passed on by name.

use jiff::civil::Date;

use crate::manifest::document::Document;
use crate::manifest::model::{Allowance, Policy, Rule, Share, Vanished, Verdict};
use crate::manifest::node::{At, Entry, Node};
use crate::manifest::problem::{Problems, did_you_mean, list};
use crate::manifest::walk::block::{Block, Field, mapping};
use crate::manifest::walk::history::address;
use crate::manifest::walk::value::{address_pattern, length, names, percent};
use crate::plan::Code;

const VERDICTS: [(&str, Verdict); 3] =
    [("allow", Verdict::Allow), ("warn", Verdict::Warn), ("deny", Verdict::Deny)];

const VANISHED: [(&str, Vanished); 2] = [("recreate", Vanished::Recreate), ("block", Vanished::Block)];

pub(crate) fn policy(field: &Field<'_>, document: &mut Document, problems: &mut Problems) {
    let Some(block) = Block::read(field.node, field.key.site, "`policy`", "PolicyBlock", problems) else {
        return;
    };
    let share =
        |name: &str, problems: &mut Problems| block.get(name).and_then(|field| share(&field, problems));
    document.policy = Policy {
        full_access: block
            .get("full_access")
            .map(|field| rule(&field, &mut document.selectors, problems))
            .unwrap_or_default(),
        vanished: block
            .choice("vanished", &VANISHED, problems)
            .map(|choice| choice.value)
            .unwrap_or_default(),
        max_deletions: share("max_deletions", problems),
        max_rotations: share("max_rotations", problems),
        max_recreations: share("max_recreations", problems),
        allow: block.get("allow").map(|field| allowances(&field, problems)).unwrap_or_default(),
        unsupported: unsupported(&block, document, problems),
    };
}

/// Rules whose gates do not exist yet: their form is checked, and that they are there is passed on.
fn unsupported(
    block: &Block<'_>,
    document: &mut Document,
    problems: &mut Problems,
) -> Vec<(String, crate::manifest::Position)> {
    let mut found = Vec::new();
    let mut rule = |name: &str, problems: &mut Problems, read: &mut dyn FnMut(&Field<'_>, &mut Problems)| {
        if let Some(field) = block.get(name) {
            read(&field, problems);
            found.push((name.to_string(), problems.position(field.key.site)));
        }
    };
    rule("forbid_scopes", problems, &mut |field, problems| {
        field.some_texts(problems);
    });
    rule("require_rotation", problems, &mut |field, problems| {
        let block =
            Block::read(field.node, field.key.site, "`require_rotation`", "RequireRotationBlock", problems);
        if let Some(every) = block.as_ref().and_then(|block| block.get("every")) {
            length(&every, problems);
        }
    });
    rule("require_sink", problems, &mut |field, problems| {
        document.required_sinks = names(field, problems);
    });
    rule("require_owner", problems, &mut |field, problems| {
        field.bool(problems);
    });
    rule("name_pattern", problems, &mut |field, problems| {
        field.text(problems);
    });
    rule("foreign", problems, &mut |field, problems| {
        if let Some(block) = Block::read(field.node, field.key.site, "`foreign`", "ForeignBlock", problems) {
            block.texts("known", problems);
            block.choice("others", &VERDICTS, problems);
        }
    });
    rule("allow_commands", problems, &mut |field, problems| {
        field.texts(problems);
    });
    rule("allow_endpoints", problems, &mut |field, problems| {
        field.texts(problems);
    });
    found
}

/// `{ default: deny, prod/breakglass: allow }`
fn rule(field: &Field<'_>, selectors: &mut Vec<At<String>>, problems: &mut Problems) -> Rule {
    let mut rule = Rule::default();
    for Entry { key, node } in mapping(field.node, &field.what, problems).unwrap_or_default() {
        let value = Field { key, node, what: format!("`{key}` of {}", field.what) };
        let verdict = value.choice(&VERDICTS, problems);
        if key.value == "default" {
            rule.default = verdict.map(|verdict| verdict.value).unwrap_or_default();
        } else if let (Some(selector), Some(verdict)) = (address_pattern(key, problems), verdict) {
            rule.exceptions.insert(selector.value.clone(), verdict.value);
            selectors.push(selector);
        }
    }
    rule
}

fn share(field: &Field<'_>, problems: &mut Problems) -> Option<Share> {
    let block = Block::read(field.node, field.key.site, field.what.as_str(), "ShareBlock", problems)?;
    let default = Share::default();
    Some(Share {
        percent: block.get("share").and_then(|field| percent(&field, problems)).unwrap_or(default.percent),
        at_least: block
            .get("at_least")
            .and_then(|field| field.integer(0..=100_000, problems))
            .map_or(default.at_least, |least| least.value),
    })
}

fn allowances(field: &Field<'_>, problems: &mut Problems) -> Vec<Allowance> {
    let items = field.items(problems).unwrap_or_default();
    items.iter().filter_map(|node| allowance(node, problems)).collect()
}

fn allowance(node: &Node, problems: &mut Problems) -> Option<Allowance> {
    let block = Block::read(node, node.site, "an entry of `allow`", "AllowBlock", problems)?;
    let code = block.text("code", problems).and_then(|text| code(&text, problems));
    let address = block.text("address", problems).and_then(|text| address(&text, problems));
    let reason = block.text("reason", problems);
    let until = block.text("until", problems).and_then(|text| date(&text, problems));
    // An exception that lost its address or its last day would let more pass than was meant.
    let narrowed = (block.get("address").is_none() || address.is_some())
        && (block.get("until").is_none() || until.is_some());
    narrowed.then_some(())?;
    Some(Allowance {
        code: code?.as_str().to_string(),
        address,
        reason: reason?.value,
        until,
        position: problems.position(node.site),
    })
}

fn code(text: &At<String>, problems: &mut Problems) -> Option<Code> {
    let allowable = || Code::ALL.into_iter().filter(|code| code.is_allowable()).map(Code::as_str);
    match Code::ALL.into_iter().find(|code| code.as_str() == text.value) {
        Some(code) if code.is_allowable() => Some(code),
        Some(code) => {
            problems
                .error("not_allowable", text.site, format!("the finding `{code}` cannot be allowed"))
                .help(format!("those that can are {}", list(allowable())));
            None
        }
        None => {
            let meant = did_you_mean(text, allowable());
            problems
                .error("unknown_code", text.site, format!("there is no finding `{text}`{meant}"))
                .help(format!("those that can be allowed are {}", list(allowable())));
            None
        }
    }
}

fn date(text: &At<String>, problems: &mut Problems) -> Option<Date> {
    match text.parse::<Date>().ok().filter(|date| date.to_string() == text.value) {
        Some(date) => Some(date),
        None => {
            problems
                .error("invalid_date", text.site, format!("`{text}` is not a day"))
                .help("write year, month and day, such as `2027-01-31`");
            None
        }
    }
}
