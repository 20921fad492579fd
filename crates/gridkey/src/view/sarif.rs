//! Findings in SARIF 2.1.0, which code review tools show on the lines of the manifest.

use std::collections::BTreeMap;

use gridkey_core::manifest::Position;
use gridkey_core::plan::{Code, Finding, Plan, Severity};
use serde_json::{Value, json};

use super::words::safe;

/// The findings of a plan as one SARIF run.
pub fn sarif(plan: &Plan) -> String {
    let codes: BTreeMap<&str, Code> =
        plan.findings.iter().map(|finding| (finding.code.as_str(), finding.code)).collect();
    let rules: Vec<Value> = codes
        .iter()
        .map(|(name, code)| {
            let mut rule = json!({
                "id": name,
                "name": name,
                "shortDescription": { "text": name.replace('_', " ") },
            });
            if code.is_allowable() {
                let way_out = format!("`--allow {name}`, or an entry of `policy.allow`, lets it pass.");
                rule["help"] = json!({ "text": way_out });
            }
            rule
        })
        .collect();
    let results: Vec<Value> = plan.findings.iter().map(|finding| result(finding, plan, &codes)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "gridkey",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn result(finding: &Finding, plan: &Plan, codes: &BTreeMap<&str, Code>) -> Value {
    let Finding { severity, code, account, address, message, help, position } = finding;
    let level = match severity {
        Severity::Blocks | Severity::BlocksAccount => "error",
        Severity::Warns => "warning",
        Severity::Allowed => "note",
    };
    let help = help.as_ref().map(|help| format!("\n\nHelp: {}", safe(help))).unwrap_or_default();
    let about = address.as_ref().map(ToString::to_string).or(account.as_ref().map(ToString::to_string));
    let mut result = json!({
        "ruleId": code.as_str(),
        "ruleIndex": codes.keys().position(|name| *name == code.as_str()),
        "level": level,
        "message": { "text": format!("{}{help}", safe(message)) },
        "locations": [location(position.as_ref(), plan)],
        // A line that moved is the same finding as before.
        "partialFingerprints": {
            "gridkey/v1": format!("{code}:{}", about.as_deref().unwrap_or_default()),
        },
    });
    if *severity == Severity::Allowed {
        result["suppressions"] = json!([{ "kind": "external" }]);
    }
    result
}

/// Review tools refuse a result without a place, so a finding about nothing in particular is shown at the
/// top of the manifest.
fn location(position: Option<&Position>, plan: &Plan) -> Value {
    let first = plan.computed_from.manifest.first();
    let top = first.map(|source| Position { file: source.file.clone(), line: 1, column: 1 });
    let Some(Position { file, line, column }) = position.cloned().or(top) else { return json!({}) };
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&file) },
            "region": { "startLine": line, "startColumn": column },
        },
    })
}

/// A path as a relative reference; what a URI would read otherwise is encoded.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_relative_references() {
        assert_eq!(uri("./deploy/grid key.yaml"), "deploy/grid%20key.yaml");
        assert_eq!(uri("gridkey.yaml"), "gridkey.yaml");
    }
}
