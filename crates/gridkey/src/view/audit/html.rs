//! An audit as one self-contained page.

use gridkey_core::audit::{Audit, AuditedKey};
use maud::{Markup, html};

use super::super::html::page::{page, theme_switch};
use super::super::words::{safe, time};
use super::{accounts, age, heading, may, summary, title};

/// The page. Everything that others named is escaped by the template.
pub fn html(audit: &Audit) -> String {
    let heading = heading(audit);
    let body = html! {
        header {
            h1 { (heading) }
            p { (accounts(audit)) }
            p { (summary(audit)) }
            (theme_switch())
        }
        main {
            @for (name, account) in &audit.accounts {
                @if let Some(why) = &account.unreadable {
                    p.finding.blocks { strong { (name) } " was not read: " (safe(why)) }
                }
            }
            table {
                thead {
                    tr {
                        th { "Risk" } th { "Key" } th { "Account" } th { "Access" } th { "Age" } th { "Owner" }
                        th { "What to look at" }
                    }
                }
                tbody { @for key in &audit.keys { (row(audit, key)) } }
            }
        }
    };
    page(&heading, &body)
}

fn row(audit: &Audit, key: &AuditedKey) -> Markup {
    html! {
        tr {
            td { strong { (key.risk.as_str()) } }
            td {
                (title(key))
                div { small { (key.status.as_str()) @if let Some(id) = &key.id { ", id " code { (id) } } } }
            }
            td { (key.account) }
            td {
                @if key.scopes.is_empty() || key.access.as_deref() == Some("full") { (may(key)) }
                @else {
                    details {
                        summary { (may(key)) }
                        @for scope in &key.scopes { div { code { (safe(scope.as_str())) } } }
                    }
                }
            }
            td { (age(audit, key)) }
            td { @if let Some(owner) = &key.owner { (safe(owner)) } }
            td {
                @for concern in &key.concerns { div { (concern.as_words()) } }
                @if let Some(due) = key.due { div { small { "due for rotation " (time(due)) } } }
                @if let Some(after) = key.revoke_after { div { small { "to be revoked after " (time(after)) } } }
                @for sink in &key.sinks {
                    div { small { (safe(sink.location.to_string())) ": " (sink.standing.as_words()) } }
                }
            }
        }
    }
}
