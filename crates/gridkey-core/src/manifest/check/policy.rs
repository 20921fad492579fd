//! `policy`: rules over plans, each for everything or by place.

use std::collections::BTreeMap;

use jiff::civil::Date;

use strum::VariantArray;

use crate::finding::Code;
use crate::manifest::bounds::MAX_PATTERNS;
use crate::manifest::check::block::{Block, Field, name_of, wrong_type};
use crate::manifest::check::history::{Meant, address};
use crate::manifest::check::pattern;
use crate::manifest::check::value::{address_pattern, length, percent};
use crate::manifest::document::Document;
use crate::manifest::policy::{
    Allowance, ForbiddenScope, Foreign, Policy, RequiredRotation, RequiredSink, Rule, Share, Vanished,
    Verdict,
};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Node, Value};
use crate::sink::SinkKind;
use crate::text::suggest::{did_you_mean, list};

const VERDICTS: [(&str, Verdict); 3] =
    [("allow", Verdict::Allow), ("warn", Verdict::Warn), ("deny", Verdict::Deny)];

const VANISHED: [(&str, Vanished); 2] = [("recreate", Vanished::Recreate), ("block", Vanished::Block)];

pub(crate) fn policy(field: &Field<'_>, meant: &Meant, document: &mut Document, problems: &mut Problems) {
    if let Some(block) = Block::read(field.node, field.key.site, "`policy`", "PolicyBlock", problems) {
        document.policy = rules(&block, Place::Manifest, meant, document, problems);
    }
}

/// The rules of a file of their own.
pub(crate) fn policy_file(root: &Node, problems: &mut Problems) -> Policy {
    // Selectors and sinks are those of any manifest that the file is used with.
    let mut document = Document::default();
    Block::read(root, root.site, "the policy", "PolicyBlock", problems)
        .map(|block| rules(&block, Place::File, &Meant::of(&Document::default()), &mut document, problems))
        .unwrap_or_default()
}

/// Where rules stand.
#[derive(Clone, Copy)]
enum Place {
    /// Beside the sinks that they may name.
    Manifest,
    /// In a file for any manifest.
    File,
}

fn rules(
    block: &Block<'_>,
    place: Place,
    meant: &Meant,
    document: &mut Document,
    problems: &mut Problems,
) -> Policy {
    let mut reader = Reader { block, selectors: Vec::new(), accounts: Vec::new(), problems };
    let required_sinks = std::cell::RefCell::new(Vec::new());
    let policy = Policy {
        full_access: reader.by_place("full_access", verdict),
        vanished: reader
            .rule("vanished", |field, problems| field.choice(&VANISHED, problems).map(|choice| choice.value)),
        max_deletions: reader.account_rule("max_deletions", share),
        max_rotations: reader.account_rule("max_rotations", share),
        max_recreations: reader.account_rule("max_recreations", share),
        forbid_scopes: reader.rule("forbid_scopes", forbidden),
        require_rotation: reader.rule("require_rotation", required_rotation),
        require_sink: reader.rule("require_sink", |field, problems| {
            let texts = field.texts(problems)?.value;
            let sinks = texts.iter().filter_map(|text| required_sink(text, place, problems));
            let sinks: Vec<At<RequiredSink>> = sinks.collect();
            let names = sinks.iter().filter_map(|sink| match &sink.value {
                RequiredSink::Name(name) => Some(At::new(name.clone(), sink.site)),
                RequiredSink::Kind(_) => None,
            });
            required_sinks.borrow_mut().extend(names);
            Some(sinks.into_iter().map(|sink| sink.value).collect())
        }),
        require_owner: reader.rule("require_owner", |field, problems| field.bool(problems)),
        name_pattern: reader
            .rule("name_pattern", |field, problems| pattern::of_names(field.text(problems)?, problems)),
        foreign: reader.account_rule("foreign", foreign),
        allow: block.get("allow").map(|field| allowances(&field, meant, reader.problems)).unwrap_or_default(),
        allow_commands: patterns(block, "allow_commands", pattern::of_commands, reader.problems),
        allow_endpoints: patterns(block, "allow_endpoints", pattern::of_endpoints, reader.problems),
    };
    document.selectors.append(&mut reader.selectors);
    document.account_selectors.append(&mut reader.accounts);
    document.required_sinks.append(&mut required_sinks.into_inner());
    policy
}

/// Reads rules, and remembers the selectors in them.
struct Reader<'r, 'n> {
    block: &'r Block<'n>,
    selectors: Vec<At<String>>,
    /// Selectors of rules that go by account.
    accounts: Vec<At<String>>,
    problems: &'r mut Problems,
}

impl Reader<'_, '_> {
    /// A rule about accounts as a whole: it goes by account and by nothing else, so another selector would hold
    /// for nothing.
    fn account_rule<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Field<'_>, &mut Problems) -> Option<T>,
    ) -> Rule<T> {
        let others = std::mem::take(&mut self.selectors);
        let rule = self.rule(name, read);
        for selector in std::mem::replace(&mut self.selectors, others) {
            if selector.contains(['/', '*']) {
                self.problems
                    .error("invalid_selector", selector.site, format!("`{selector}` is not an account"))
                    .help(format!("`{name}` goes by account: `default`, or the name of one"));
            } else {
                self.accounts.push(selector);
            }
        }
        rule
    }

    /// A value that holds everywhere, or one by place.
    fn rule<T>(&mut self, name: &str, read: impl Fn(&Field<'_>, &mut Problems) -> Option<T>) -> Rule<T> {
        let Some(field) = self.block.get(name) else { return Rule::default() };
        if is_by_place(field.node) {
            return self.by_place(name, read);
        }
        Rule { default: read(&field, self.problems), exceptions: BTreeMap::new() }
    }

    /// `{ default: deny, prod/breakglass: allow }`
    fn by_place<T>(&mut self, name: &str, read: impl Fn(&Field<'_>, &mut Problems) -> Option<T>) -> Rule<T> {
        let mut rule = Rule::default();
        let Some(field) = self.block.get(name) else { return rule };
        let Value::Map(entries) = &field.node.value else {
            let given = if let Value::Text(text) = &field.node.value { text } else { "…" };
            let example =
                format!("write it by place: `{name}: {{ default: {given} }}`, or `{{ prod: {given} }}`");
            wrong_type(field.node, &field.what, "a mapping", self.problems).help(example);
            return rule;
        };
        if let Some(entry) = entries.iter().filter(|entry| entry.key.contains('*')).nth(MAX_PATTERNS) {
            let message = format!("{} has more than {MAX_PATTERNS} selectors with `*`", field.what);
            self.problems
                .exceeds("too_many_patterns", entry.key.site, message)
                .help("name environments or accounts");
            return rule;
        }
        for Entry { key, node } in entries {
            let value = Field { key, node, what: format!("`{key}` of {}", field.what) };
            let read = read(&value, self.problems);
            if key.value == "default" {
                rule.default = read;
            } else if let (Some(selector), Some(read)) = (address_pattern(key, self.problems), read) {
                rule.exceptions.insert(selector.value.clone(), read);
                self.selectors.push(selector);
            }
        }
        rule
    }
}

/// Whether a value is given by place: a mapping with a default, or one of mappings or lists. A block such as
/// `{ share: 30%, at_least: 3 }` is neither.
fn is_by_place(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    let known = ["share", "at_least", "every", "known", "others"];
    entries.iter().any(|entry| entry.key.value == "default" || matches!(entry.node.value, Value::Map(_)))
        || !entries.iter().any(|entry| known.contains(&entry.key.as_str()))
}

fn verdict(field: &Field<'_>, problems: &mut Problems) -> Option<Verdict> {
    field.choice(&VERDICTS, problems).map(|choice| choice.value)
}

/// Scopes and patterns, each of which must stand for something: a misspelt one would forbid nothing.
fn forbidden(field: &Field<'_>, problems: &mut Problems) -> Option<Vec<ForbiddenScope>> {
    let items = field.texts(problems)?.value;
    Some(items.into_iter().filter_map(|item| pattern::of_scopes(item, &field.what, problems)).collect())
}

fn is_kind(text: &str) -> bool {
    SinkKind::ALL.iter().any(|kind| kind.as_str() == text)
}

/// `kind:KIND`, or the name of a sink. In a policy file a bare word is a kind: what a name stands for, the
/// manifest's author chooses.
fn required_sink(text: &At<String>, place: Place, problems: &mut Problems) -> Option<At<RequiredSink>> {
    let (prefix, word) = match (text.strip_prefix(RequiredSink::KIND), place) {
        (Some(kind), _) => (RequiredSink::KIND, kind),
        (None, Place::File) => ("", text.as_str()),
        (None, Place::Manifest) if text.contains('_') && is_kind(text) => {
            problems
                .error(
                    "invalid_name",
                    text.site,
                    format!("`{text}` is a kind of sinks, and not the name of one"),
                )
                .help(format!("write `kind:{text}`"));
            return None;
        }
        (None, Place::Manifest) => {
            let name = name_of(text, problems)?;
            return Some(At::new(RequiredSink::Name(name.value), name.site));
        }
    };
    if let Some(kind) = SinkKind::ALL.into_iter().find(|kind| kind.as_str() == word) {
        return Some(At::new(RequiredSink::Kind(kind), text.site));
    }
    let kinds = || SinkKind::ALL.into_iter().map(|kind| format!("{prefix}{kind}"));
    let question = did_you_mean(text, kinds());
    let message = format!("`{text}` is not a kind of sink{question}");
    problems.error("unknown_kind", text.site, message).help(format!("the kinds are {}", list(kinds())));
    None
}

/// `{ every: 90d }`, or `never` where none is required.
fn required_rotation(field: &Field<'_>, problems: &mut Problems) -> Option<RequiredRotation> {
    if matches!(&field.node.value, Value::Text(text) if text == "never") {
        return Some(RequiredRotation::NotRequired);
    }
    let block =
        Block::read(field.node, field.key.site, field.what.as_str(), "RequireRotationBlock", problems)?;
    let every = length(&block.get("every")?, problems)?;
    Some(RequiredRotation::Every(every.value))
}

fn foreign(field: &Field<'_>, problems: &mut Problems) -> Option<Foreign> {
    let block = Block::read(field.node, field.key.site, field.what.as_str(), "ForeignBlock", problems)?;
    let known = block.texts("known", problems).map(|known| known.value).unwrap_or_default();
    let others = block.choice("others", &VERDICTS, problems).map(|others| others.value);
    Some(Foreign {
        known: known.into_iter().filter_map(|known| pattern::of_foreign(known, problems)).collect(),
        others: others.unwrap_or_default(),
    })
}

fn patterns(
    block: &Block<'_>,
    name: &str,
    read: impl Fn(At<String>, &mut Problems) -> Option<String>,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let texts = block.texts(name, problems)?.value;
    Some(texts.into_iter().filter_map(|text| read(text, problems)).collect())
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

fn allowances(field: &Field<'_>, meant: &Meant, problems: &mut Problems) -> Vec<Allowance> {
    let items = field.items(problems).unwrap_or_default();
    items.iter().filter_map(|node| allowance(node, meant, problems)).collect()
}

fn allowance(node: &Node, meant: &Meant, problems: &mut Problems) -> Option<Allowance> {
    let block = Block::read(node, node.site, "an entry of `allow`", "AllowBlock", problems)?;
    let code = block.text("code", problems).and_then(|text| code(&text, problems));
    let address = block.text("address", problems).and_then(|text| address(&text, meant, problems));
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
    let allowable = || Code::VARIANTS.iter().copied().filter(|code| code.is_allowable()).map(Code::as_str);
    match Code::VARIANTS.iter().copied().find(|code| code.as_str() == text.value) {
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
                .error("unknown_code", text.site, format!("unknown finding `{text}`{meant}"))
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
