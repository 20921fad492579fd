//! A plan as one self-contained page that people look at: how full accounts are, which keys may do what, and
//! what changes. It reaches for nothing outside of itself.

mod capacity;
mod changes;
mod matrix;
pub(super) mod page;
mod timeline;
mod values;

use gridkey_core::plan::{Change, Due, Finding, Plan, PlanKind, Risk, Severity};
use maud::{Markup, html};

use super::plan::summary;
use super::words::safe;

/// How many risks stand in the open; the others are folded.
const LISTED: usize = 40;

/// The plan as a page. The same plan gives the same bytes.
pub fn html(plan: &Plan) -> String {
    let title = format!("{} of {}", kind(plan.kind), plan.project);
    page::page(
        &title,
        &html! {
            header.masthead {
                div {
                    p.eyebrow { "gridkey " (kind(plan.kind).to_lowercase()) }
                    h1 { (plan.project) }
                    p.lead { (safe(summary(plan))) }
                }
                (page::theme_switch())
            }
            main {
                (attention(plan))
                (capacity::section(plan))
                (changes::section(plan))
                (matrix::section(plan))
                (timeline::section(plan))
                (origin(plan))
            }
        },
    )
}

fn kind(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Plan => "Plan",
        PlanKind::Drift => "Drift",
        PlanKind::Comparison => "Comparison",
    }
}

/// What blocks, and what a reviewer should not overlook.
fn attention(plan: &Plan) -> Markup {
    let blocks = |finding: &&Finding| matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount);
    let (blocking, others): (Vec<_>, Vec<_>) = plan.findings.iter().partition(blocks);
    let risks = plan.risks();
    if plan.findings.is_empty() && risks.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="attention" {
            h2 #attention { "Look at these first" }
            @if !blocking.is_empty() {
                ul.findings { @for finding in blocking { (self::finding(finding)) } }
            }
            @if !risks.is_empty() {
                (risk_list(&risks[..risks.len().min(LISTED)]))
                @if risks.len() > LISTED {
                    details.more {
                        summary { "and " (risks.len() - LISTED) " more" }
                        (risk_list(&risks[LISTED..]))
                    }
                }
            }
            @if !others.is_empty() {
                ul.findings { @for finding in others { (self::finding(finding)) } }
            }
        }
    }
}

fn risk_list(risks: &[(Risk, &Change)]) -> Markup {
    html! {
        ul.risks {
            @for (risk, change) in risks {
                li.risk { code { (change.address) } " " (risk_words(risk)) }
            }
        }
    }
}

fn risk_words(risk: &Risk) -> Markup {
    let scopes = |scopes: &std::collections::BTreeSet<gridkey_core::Scope>| {
        let names: Vec<String> = scopes.iter().map(|scope| safe(scope.as_str())).collect();
        names.join(", ")
    };
    match risk {
        Risk::Revokes(_) => html! { "is revoked at once; whatever uses the key fails" },
        Risk::FullAccess => html! { "gets " strong { "Full Access" } },
        Risk::ManagesKeys(managing) => html! { "can make or change API keys: " code { (scopes(managing)) } },
        Risk::Widened(gained) => html! { "may do more than before: " code { (scopes(gained)) } },
        Risk::Overwrites { location, holder } => html! {
            "overwrites "
            @match holder {
                Some(id) => { "the key " code { (id) } }
                None if !location.at.is_readable() => "what another program wrote",
                None => "a value that is not a SendGrid key",
            }
            " in " code { (safe(location.to_string())) }
        },
    }
}

fn finding(finding: &Finding) -> Markup {
    let Finding { severity, code, account, address, message, help, position } = finding;
    let (class, word) = match severity {
        Severity::Blocks => ("blocks", "blocks"),
        Severity::BlocksAccount => ("blocks", "blocks account"),
        Severity::Allowed => ("allowed", "allowed"),
        Severity::Warns => ("warns", "warning"),
    };
    html! {
        li.finding.(class) {
            p {
                span.badge { (word) } " "
                code { (code) }
                @if let Some(address) = address { " " code { (address) } }
                @else if let Some(account) = account { " " code { (account) } }
            }
            p.message { (coded(message)) }
            @if let Some(help) = help { p.help { (coded(help)) } }
            @if let Some(position) = position { p.help { "at " (safe(position.to_string())) } }
        }
    }
}

/// A message, with what stands in backticks as code.
fn coded(text: &str) -> Markup {
    let text = safe(text);
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if index % 2 == 1 && index + 1 < parts.len() { code { (part) } } @else { (part) }
        }
    }
}

/// What it was computed from, and what was allowed.
fn origin(plan: &Plan) -> Markup {
    let from = &plan.computed_from;
    let digest = |sha256: &str| sha256.get(..12).unwrap_or(sha256).to_string();
    let due = match from.due {
        Due::Include => None,
        Due::Exclude => Some("without due work"),
        Due::Only => Some("due work only"),
    };
    html! {
        section.origin aria-labelledby="origin" {
            h2 #origin { "Computed from" }
            ul {
                @for source in from.manifest.iter().chain(&from.policy) {
                    li { code { (safe(&source.file)) } " " span.faint { (digest(&source.sha256)) } }
                }
                @for source in &from.against {
                    li { "compared with " code { (safe(&source.file)) } " " span.faint { (digest(&source.sha256)) } }
                }
                @if let Some(environments) = &from.environments {
                    li { "environments " @for name in environments { code { (name) } " " } }
                }
                @if let Some(only) = &from.only {
                    li { "only " @for address in only { code { (address) } " " } }
                }
                @if let Some(due) = due { li { (due) } }
                @if !from.sinks && plan.kind != PlanKind::Comparison { li { "the sinks were not looked at" } }
                @for allow in &plan.allowed { li { "allowed this once: " code { (allow) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::coded;

    #[test]
    fn backticks_become_code_and_nothing_is_markup() {
        assert_eq!(coded("`a` <b> `c`").into_string(), "<code>a</code> &lt;b&gt; <code>c</code>");
        assert_eq!(coded("one ` <script>").into_string(), "one  &lt;script&gt;");
    }
}
