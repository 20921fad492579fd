//! The table of `docs/reference/sinks.md`: what is known of each sink, and which claims are held against which server.

use std::fmt::Write;
use std::path::Path;

use gridkey_core::SinkKind;

use crate::claim::Claim;
use crate::service::{Checked, Conflicts, Listed, Removal};

/// Compares the page with what the suite says, or writes it where `GRIDKEY_BLESS` is set.
pub fn check(services: &[Listed]) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/sinks.md");
    let told = page(services);
    if std::env::var_os("GRIDKEY_BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    match std::fs::read_to_string(&path) {
        Ok(held) if held == told => Ok(()),
        Ok(_) | Err(_) => Err("docs/reference/sinks.md is not what the suite says; \
            GRIDKEY_BLESS=1 cargo test -p gridkey-sinks --test contract -- table writes it"
            .to_string()),
    }
}

/// The words of `gridkey sinks check`.
const CHECKS: &str = "
## What a check says

`gridkey sinks check` asks each location of the manifest whether it would take a key, and writes nothing. `gridkey apply` asks those that a new key goes to before it makes one.

| it says | as JSON | what is known | what an apply does |
|---|---|---|---|
| `ready` | `proven` | the service tried a write out without keeping it, or says itself that this login may write there | goes on |
| `seems ready` | `plausible` | all that can be asked is as it should be, and nothing proves that a write succeeds; the line below says why | goes on: the first write is the proof |
| `not ready` | `refused` | a write would fail; the lines below say why, and what helps | stops before it makes any key |

A check asks whether gridkey may write, and not what is there: a place with a value that was put in by hand is `ready` as well, and a plan blocks what would
replace it (`foreign_value`). Only `age` refuses a file of others in the check, too.

A check is of its moment: a login that ends or a permission that is taken away between check and write is told by the write. The exit code is 0 where no location is `not ready`, 1 where one is or the
manifest cannot be used, 3 where a policy does not allow what a sink reaches for, and 64 for wrong arguments.
";

fn page(services: &[Listed]) -> String {
    let mut page = String::from(
        "# Sinks, and what is proven of each\n\n\
         This page is written by the contract suite of `gridkey-sinks`, which runs every claim below against every sink, by the same \
         code. A claim that a kind of sink cannot be asked has its reason below.\n\n",
    );
    page.push_str(&behaviour(services));
    page.push_str(CHECKS);
    page.push_str("\n## Claims\n\n");
    page.push_str(&claims(services));
    let reasons = reasons(services);
    if !reasons.is_empty() {
        page.push_str("\n## What does not apply, and why\n\n");
        page.push_str(&reasons);
    }
    page
}

fn behaviour(services: &[Listed]) -> String {
    let mut table = String::from(
        "| sink | tested against | a foreign write in between | told without reading | `check` | after `remove` |\n|---|---|---|---|---|---|\n",
    );
    for Listed { kind, server, not_applicable: _, traits, required: _, start: _ } in services {
        let conflicts = match traits.conflicts {
            Conflicts::Refuses => "is refused",
            Conflicts::Detects => "is detected",
        };
        let is_write_only = matches!(kind, SinkKind::Age | SinkKind::GithubActions);
        let told = match (is_write_only, traits.is_told_by_receipt) {
            (true, _) => "no: a plan sees nothing there",
            (false, true) => "by the version",
            (false, false) => "no",
        };
        let check = match traits.check {
            Checked::Proven => "proves",
            Checked::Plausible => "is plausible",
        };
        let removal = match traits.removal {
            Removal::Gone => "nothing is there",
            Removal::Unsupported => "not supported",
        };
        writeln!(table, "| `{kind}` | {server} | {conflicts} | {told} | {check} | {removal} |")
            .expect("text takes every write");
    }
    table
}

fn claims(services: &[Listed]) -> String {
    let mut table = String::from("| claim | what it says |");
    let mut line = String::from("|---|---|");
    for service in services {
        write!(table, " `{}` |", service.kind).expect("text takes every write");
        line.push_str("---|");
    }
    writeln!(table, "\n{line}").expect("text takes every write");
    for (claim, name, says) in Claim::ALL {
        write!(table, "| {name} | {says} |").expect("text takes every write");
        for service in services {
            let is_held = (service.not_applicable)(claim).is_none();
            table.push_str(if is_held { " yes |" } else { " – |" });
        }
        table.push('\n');
    }
    table
}

fn reasons(services: &[Listed]) -> String {
    let mut list = String::new();
    for service in services {
        for (claim, name, _) in Claim::ALL {
            if let Some(reason) = (service.not_applicable)(claim) {
                writeln!(list, "- `{}`, {name}: {reason}", service.kind).expect("text takes every write");
            }
        }
    }
    list
}
