//! A plan as a comment on a pull request: what to look at first, a table for each account, details folded.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::access::Scope;
use gridkey_core::plan::{Action, Capacity, Change, Finding, KeyValues, Plan, PlanKind, Risk, Severity};
use gridkey_core::{Access, Name};

use super::plan::lets_pass;
use super::style::Tone;
use super::table::Cell;
use super::words::{count, safe};
use super::{change, plan as plan_view};

/// How long a comment may be. GitHub refuses bodies of more than 65,536 characters; this counts bytes, of
/// which there are never fewer.
pub const LIMIT: usize = 65_000;

/// What is kept free for the words on what was cut.
const RESERVE: usize = 600;

/// How many lines of a kind are shown above the tables.
const LISTED: usize = 25;

/// The plan as Markdown. It starts with a hidden marker, by which the comment is found and edited in place.
pub fn markdown(plan: &Plan, comment_id: &str) -> String {
    let mut body = Body::default();
    body.add(format!("<!-- gridkey:{comment_id} -->\n### {}\n\n", title(plan)));
    body.add(format!("**{}**\n\n", prose(&clipped(&plan_view::summary(plan)))));
    let blocks = |finding: &&Finding| matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount);
    let (blocking, others): (Vec<_>, Vec<_>) = plan.findings.iter().partition(blocks);
    body.list("Blocked by", blocking.into_iter().map(finding).collect());
    body.list("Look at these first", risks(plan));
    body.list("Findings", others.into_iter().map(finding).collect());
    tables(plan, &mut body);
    details(plan, &mut body);
    footer(plan, &mut body);
    body.finish()
}

fn title(plan: &Plan) -> String {
    let project = &plan.project;
    match plan.kind {
        PlanKind::Plan => format!("gridkey plan of `{project}`"),
        PlanKind::Drift => format!("gridkey drift of `{project}`"),
        PlanKind::Comparison => format!("gridkey comparison of `{project}`"),
    }
}

/// A sentence that can name every account of a project, cut where it gets long.
fn clipped(sentence: &str) -> String {
    const SHOWN: usize = 2_000;
    if sentence.chars().count() <= SHOWN {
        return sentence.to_string();
    }
    format!("{}…", sentence.chars().take(SHOWN).collect::<String>())
}

/// A body that is filled up to its limit, and remembers what did not fit.
#[derive(Default)]
struct Body {
    text: String,
    /// Things that did not fit, by what they are.
    cut: BTreeMap<&'static str, usize>,
}

impl Body {
    /// Whether so much more fits.
    fn fits(&self, text: &str) -> bool {
        self.text.len() + text.len() + RESERVE <= LIMIT
    }

    fn add(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }

    /// Adds something whole, or counts it as cut.
    fn try_add(&mut self, what: &'static str, text: &str) {
        if self.fits(text) && !self.cut.contains_key(what) {
            self.add(text);
        } else {
            *self.cut.entry(what).or_default() += 1;
        }
    }

    fn list(&mut self, title: &str, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        self.add(format!("**{title}**\n\n"));
        for line in lines.iter().take(LISTED) {
            self.try_add("line", &format!("- {line}\n"));
        }
        if lines.len() > LISTED {
            self.add(format!("- and {} more\n", lines.len() - LISTED));
        }
        self.add("\n");
    }

    fn finish(mut self) -> String {
        let parts: Vec<String> = self.cut.iter().map(|(what, number)| count(*number, what)).collect();
        if !parts.is_empty() {
            self.text.push_str(&format!(
                "\n> Cut at {LIMIT} characters: {} left out here. The saved plan has everything; `gridkey show` \
                 renders it.\n",
                parts.join(" and "),
            ));
        }
        self.text
    }
}

fn finding(finding: &Finding) -> String {
    let Finding { severity, code, account, address, message, help, position } = finding;
    let sign = match severity {
        Severity::Blocks | Severity::BlocksAccount => "⛔ ",
        Severity::Allowed => "allowed: ",
        Severity::Warns => "",
    };
    let place = match (address, account) {
        (Some(address), _) => format!(" {}", code_span(&address.to_string())),
        (None, Some(account)) => format!(" {}", code_span(account.as_str())),
        (None, None) => String::new(),
    };
    let mut text = format!("{sign}`{code}`{place}: {}", prose(message));
    if let Some(help) = help {
        text.push_str(&format!(". *{}*", prose(help)));
    }
    if let Some(position) = position {
        text.push_str(&format!(" ({})", code_span(&position.to_string())));
    }
    text
}

/// What a reviewer should not overlook.
fn risks(plan: &Plan) -> Vec<String> {
    plan.risks().iter().map(|(risk, change)| risk_line(risk, change)).collect()
}

fn risk_line(risk: &Risk, change: &Change) -> String {
    let address = code_span(&change.address.to_string());
    match risk {
        Risk::Revokes(_) => format!("{address}: the key is revoked at once; whatever uses it fails"),
        Risk::FullAccess => format!("{address} gets **Full Access**"),
        Risk::ManagesKeys(scopes) => {
            format!("{address} can make or change API keys: {}", scope_spans(scopes))
        }
        Risk::Widened(scopes) => format!("{address} may do more than before: {}", scope_spans(scopes)),
        Risk::Overwrites { location, holder } => {
            let held = match holder {
                Some(id) => format!("the key {}", code_span(id.as_str())),
                None => "a value that is not a SendGrid key".to_string(),
            };
            format!("{address} overwrites {held} in {}", code_span(&location.to_string()))
        }
    }
}

fn scope_spans(scopes: &BTreeSet<Scope>) -> String {
    const NAMED: usize = 8;
    let named: Vec<String> = scopes.iter().take(NAMED).map(|scope| code_span(scope.as_str())).collect();
    match scopes.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn tables(plan: &Plan, body: &mut Body) {
    let accounts: BTreeSet<&Name> = plan.effective().map(|change| &change.account).collect();
    for account in accounts {
        let capacity = plan.accounts.get(account).and_then(|planned| planned.capacity.as_ref());
        let head = format!(
            "#### `{account}`{}\n\n| | address | access | scopes | sinks | owner |\n|---|---|---|---|---|---|\n",
            capacity.map(capacity_line).unwrap_or_default()
        );
        let mut changes = plan.effective().filter(|change| &change.account == account).peekable();
        let first = changes.peek().map(|change| row(change)).unwrap_or_default();
        // A heading without a row would say nothing.
        if body.fits(&format!("{head}{first}")) && !body.cut.contains_key("change") {
            body.add(head);
        }
        changes.for_each(|change| body.try_add("change", &row(change)));
        if !body.cut.contains_key("change") {
            body.add("\n");
        }
    }
}

/// `: 97 → 99 of 100 keys, peak 100`
fn capacity_line(capacity: &Capacity) -> String {
    let Capacity { limit, max_keys, live, foreign, ours: _, after, peak } = capacity;
    let mut text = format!(": {live} → {after} of {limit}, peak {peak}");
    if *foreign > 0 {
        text.push_str(&format!(", {foreign} foreign"));
    }
    if let Some(max_keys) = max_keys {
        text.push_str(&format!(", at most {max_keys} of this project"));
    }
    text
}

fn row(change: &Change) -> String {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let values = after.or(before);
    let sinks =
        values.map(|values| values.sinks.iter().map(|sink| sink_name(&sink.to_string())).collect::<Vec<_>>());
    let owner = values.and_then(|values| values.owner.as_deref()).map(code_span);
    format!(
        "| `{}` {} | {} | {} | {} | {} | {} |\n",
        change.action.sign(),
        change.action,
        cell(&code_span(&change.address.to_string())),
        access(before, after),
        scopes(change.action, before, after),
        cell(&sinks.unwrap_or_default().join("<br>")),
        cell(&owner.unwrap_or_default()),
    )
}

/// A location, without its middle where it is long: the sink's name and the end of the path tell most.
fn sink_name(location: &str) -> String {
    const HEAD: usize = 16;
    const TAIL: usize = 44;
    let length = location.chars().count();
    if length <= HEAD + TAIL {
        return code_span(location);
    }
    let head: String = location.chars().take(HEAD).collect();
    let tail: String = location.chars().skip(length - TAIL).collect();
    code_span(&format!("{head}…{tail}"))
}

fn access(before: Option<&KeyValues>, after: Option<&KeyValues>) -> String {
    let word = |values: &KeyValues| match values.access {
        Access::Full => "**full**".to_string(),
        Access::Restricted(_) | Access::Billing(_) => values.access.kind().to_string(),
    };
    match (before.map(word), after.map(word)) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
        (_, Some(word)) | (Some(word), None) => word,
        (None, None) => String::new(),
    }
}

/// How many scopes, and how many came and went: `3 (+2 −1)`.
fn scopes(action: Action, before: Option<&KeyValues>, after: Option<&KeyValues>) -> String {
    let set = |values: Option<&KeyValues>| {
        values.and_then(|values| values.access.scopes()).map(|scopes| scopes.as_set().clone())
    };
    let (before, after) = (set(before), set(after));
    let Some(shown) = after.as_ref().or(before.as_ref()).map(BTreeSet::len) else { return String::new() };
    if action == Action::Delete {
        return shown.to_string();
    }
    let (Some(before), Some(after)) = (before, after) else { return shown.to_string() };
    let parts = [("+", after.difference(&before).count()), ("−", before.difference(&after).count())];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, number)| *number > 0)
        .map(|(sign, number)| format!("{sign}{number}"))
        .collect();
    if parts.is_empty() { shown.to_string() } else { format!("{shown} ({})", parts.join(" ")) }
}

fn details(plan: &Plan, body: &mut Body) {
    let details: Vec<String> = plan.effective().filter_map(detail).collect();
    let opening = "<details><summary>What exactly changes</summary>\n\n";
    let closing = "\n</details>\n\n";
    match details.first() {
        None => return,
        Some(first) if !body.fits(&format!("{opening}{first}{closing}")) => {
            *body.cut.entry("detail").or_default() += details.len();
            return;
        }
        Some(_) => body.add(opening),
    }
    for (index, detail) in details.iter().enumerate() {
        let gap = if index > 0 { "\n" } else { "" };
        body.try_add("detail", &format!("{gap}{detail}"));
    }
    body.add(closing);
}

/// A change's lines as a `diff` block, which colours what comes and goes.
fn detail(change: &Change) -> Option<String> {
    let (_, below) = change::row(change);
    if below.is_empty() {
        return None;
    }
    let lines: Vec<String> = below.into_iter().map(|line| signed(change.action, line)).collect();
    let reasons: Vec<&str> = change.reasons.iter().map(|reason| reason.as_words()).collect();
    let text = lines.join("\n");
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    Some(format!(
        "{} {}, {}\n\n{fence}diff\n{text}\n{fence}\n",
        code_span(&change.address.to_string()),
        change.action,
        reasons.join("; "),
    ))
}

/// A line with the sign that colours it: everything about a key that is made comes, and what is taken away
/// goes.
fn signed(action: Action, line: Cell) -> String {
    let Cell { tone, text } = line;
    let has_sign = ["+ ", "- ", "~ "].iter().any(|sign| text.starts_with(sign));
    match tone {
        Tone::Removed if !has_sign => format!("- {text}"),
        Tone::Neutral | Tone::Added if action == Action::Create && !has_sign => format!("+ {text}"),
        _ => text,
    }
}

fn footer(plan: &Plan, body: &mut Body) {
    if !plan.allowed.is_empty() {
        for (title, needed) in [("Allowed this once", true), ("Allowed, and lets nothing pass here", false)] {
            let of = plan.allowed.iter().filter(|allow| lets_pass(allow, &plan.findings) == needed);
            let of: Vec<String> = of.map(|allow| code_span(&allow.to_string())).collect();
            if !of.is_empty() {
                body.try_add("line", &format!("{title}: {}\n\n", of.join(", ")));
            }
        }
    }
    let files = plan.computed_from.manifest.iter().take(3);
    let files: Vec<String> =
        files.map(|source| format!("{} ({})", code_span(&source.file), short(&source.sha256))).collect();
    let more = plan.computed_from.manifest.len().saturating_sub(files.len());
    let more = if more > 0 { format!(" and {}", count(more, "more file")) } else { String::new() };
    if !files.is_empty() {
        body.try_add("line", &format!("<sub>From {}{more}.</sub>\n", files.join(", ")));
    }
}

fn short(digest: &str) -> String {
    format!("`{}`", digest.get(..12).unwrap_or(digest))
}

/// Text as code, in which nothing is markup and nobody is mentioned.
fn code_span(text: &str) -> String {
    let text = safe(text);
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let gap = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

/// In a table a bar ends the cell, in code too.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn longest_run(text: &str, of: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A message with code in single backticks, in which nothing else is markup and nobody is mentioned.
fn prose(text: &str) -> String {
    let mut text = safe(text);
    // Runs of backticks would pair up otherwise than one by one.
    while text.contains("``") {
        text = text.replace("``", "'");
    }
    let parts: Vec<&str> = text.split('`').collect();
    let paired = if parts.len() % 2 == 1 { parts.len() } else { parts.len() - 1 };
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push_str(if index < paired { "`" } else { "\\`" });
        }
        let is_code = index % 2 == 1 && index < paired;
        out.push_str(&if is_code { (*part).to_string() } else { escaped(part) });
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' | '_' | '[' | ']' | '!' | '|' | '\\' | '#' => {
                out.push('\\');
                out.push(c);
            }
            // A space of no width keeps it from naming anybody.
            '@' => out.push_str("@\u{200b}"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_is_no_markup() {
        assert_eq!(code_span("a`b"), "``a`b``");
        assert_eq!(code_span("`x"), "`` `x ``");
        assert_eq!(prose("`a` <img src=x> @team **b**"), "`a` &lt;img src=x&gt; @\u{200b}team \\*\\*b\\*\\*");
        assert_eq!(prose("key `a` <b> `c`"), "key `a` &lt;b&gt; `c`");
        assert_eq!(prose("one ` <b>"), "one \\` &lt;b&gt;");
        assert_eq!(prose("``` <b> ```"), "'` <b> '`", "all of it is code");
        assert_eq!(cell("`a|b`"), "`a\\|b`");
    }
}
