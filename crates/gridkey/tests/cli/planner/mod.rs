//! What the planner promises, as the real program keeps it against an emulated SendGrid: a file for each topic.

mod accounts;
mod against;
mod approval;
mod capacity;
mod due;
mod filters;
mod folder;
mod foreign;
mod forged;
mod forgeries;
mod limits;
mod moves;
mod names;
mod observe;
mod policy;
mod protection;
mod removed;
mod renames;
mod selection;

/// A manifest of one account with these environments and keys; each environment has a dotenv file of its own.
fn staged(environments: &str, keys: &str) -> String {
    format!(
        "version: 1\naccounts:\n  acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }}\nsinks:\n  local: {{ dotenv: \
         {{ path: \".env.{{environment}}\", variable: \"SENDGRID_{{KEY}}\" }} }}\ndefaults: {{ sinks: [local] \
         }}\nenvironments:\n{environments}keys:\n{keys}"
    )
}

/// The same manifest with subusers of `acme` as further accounts.
fn with_subusers(manifest: &str, subusers: &[&str]) -> String {
    let declared: String =
        subusers.iter().map(|name| format!("  {name}: {{ parent: acme, subuser: {name} }}\n")).collect();
    manifest.replacen("sinks:\n", &format!("{declared}sinks:\n"), 1)
}

/// The same manifest, whose account holds no more keys than this.
fn with_limit(manifest: &str, limit: usize) -> String {
    manifest.replacen("api_key: {", &format!("key_limit: {limit}, api_key: {{"), 1)
}
