//! The frame of a report: head, style, script, and a content policy that lets nothing else in.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// A whole page.
pub(in crate::view) fn page(title: &str, body: &Markup) -> String {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT),
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The hash by which a browser knows an inline style or script.
fn source(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// Light or dark, other than the machine has it. It needs the script, which shows it.
pub(in crate::view) fn theme_switch() -> Markup {
    html! {
        button #theme type="button" hidden aria-label="Switch between light and dark" { "◐" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reaches_for_nothing_outside_of_itself() {
        let page = page("A <title>", &html! { p { "text" } });
        for outside in ["http://", "https://", "src=", "href=", "url(", "@import", "fetch(", "XMLHttp"] {
            let found = page.replace("http-equiv", "").contains(outside);
            assert!(!found, "{outside}");
        }
        assert!(page.contains("<title>A &lt;title&gt;</title>"));
    }

    #[test]
    fn style_and_script_cannot_end_their_elements() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
