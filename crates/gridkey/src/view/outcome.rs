//! What became of a plan, in the form that people read after apply.

use std::collections::BTreeMap;

use gridkey_core::plan::Action;
use gridkey_core::{Address, Name};
use gridkey_engine::{Failure, LessThanFull, Outcome};

use super::style::{Style, Tone};
use super::table::{Cell, Table};
use super::words::{COUNTED, count, done as done_word, on_one_line, safe};

/// Failures, what was not started, and one sentence that sums up.
pub fn text(outcome: &Outcome, style: Style) -> String {
    let Outcome { done: _, failed, not_started, less_than_full, interrupted: _, lasting: _ } = outcome;
    let mut text = String::new();
    if !failed.is_empty() {
        let mut table = Table::new();
        for Failure { account, address, action, message, help } in failed {
            let mut below = vec![Cell::new(on_one_line(message))];
            below.extend(help.as_ref().map(|help| Cell::new(format!("help: {}", on_one_line(help)))));
            table.row(cells(account, address, *action, Tone::Bad), below);
        }
        text.push_str(&section(style, Tone::Bad, "Failed:", &table));
    }
    if !not_started.is_empty() {
        let mut table = Table::new();
        for (account, address, action) in not_started {
            table.row(cells(account, address, *action, Tone::Faint), Vec::new());
        }
        text.push_str(&section(style, Tone::Strong, "Not started:", &table));
    }
    if !less_than_full.is_empty() {
        text.push_str(&section(
            style,
            Tone::Bad,
            "Without Full Access:",
            &without_full_access(less_than_full),
        ));
    }
    text.push_str(&style.paint(Tone::Strong, summary(outcome)));
    text.push('\n');
    text
}

fn without_full_access(keys: &[LessThanFull]) -> Table {
    let mut table = Table::new();
    for LessThanFull { account, address, id, scopes } in keys {
        let scopes: Vec<String> =
            scopes.iter().map(|scope| format!("`{}`", safe(scope.to_string()))).collect();
        let cells = vec![
            Cell::toned(Tone::Bad, address.to_string()),
            Cell::new(format!("key {id}")),
            Cell::new(account.to_string()),
        ];
        let got = match scopes.is_empty() {
            true => "it got no scopes".to_string(),
            false => format!("it got {}", scopes.join(", ")),
        };
        let help = format!(
            "help: SendGrid gave it what the managing key has: name one with Full Access in `api_key`, and then \
             `gridkey rotate {address}`"
        );
        table.row(cells, vec![Cell::new(got), Cell::new(help)]);
    }
    table
}

fn section(style: Style, tone: Tone, title: &str, table: &Table) -> String {
    format!("{}\n{}\n", style.paint(tone, title), table.to_text(style, "  "))
}

fn cells(account: &Name, address: &Address, action: Action, tone: Tone) -> Vec<Cell> {
    vec![
        Cell::toned(tone, format!("{} {address}", action.sign())),
        Cell::toned(tone, action.as_str()),
        Cell::new(account.to_string()),
    ]
}

/// The outcome in one sentence, without a line break.
pub fn summary(outcome: &Outcome) -> String {
    let Outcome { done, failed, not_started, less_than_full, interrupted, lasting } = outcome;
    if *interrupted || !failed.is_empty() || !not_started.is_empty() || !less_than_full.is_empty() {
        let word = match (*interrupted, done.is_empty() && !lasting) {
            (true, _) => "Interrupted",
            (false, true) => "Not applied",
            (false, false) => "Applied in part",
        };
        let mut parts = vec![format!("{} done", count(done.len(), "change"))];
        if !failed.is_empty() {
            parts.push(format!("{} failed", failed.len()));
        }
        if !not_started.is_empty() {
            parts.push(format!("{} not started", not_started.len()));
        }
        if !less_than_full.is_empty() {
            parts.push(format!("{} without Full Access", count(less_than_full.len(), "key")));
        }
        let again = match (failed.is_empty(), not_started.is_empty()) {
            (true, true) => "",
            _ => " Run again: the same command does what is left.",
        };
        return format!("{word}: {}.{again}", parts.join(", "));
    }
    if done.is_empty() {
        return "Applied: nothing was to be done.".to_string();
    }
    let mut by_action: BTreeMap<Action, usize> = BTreeMap::new();
    for (_, _, action) in done {
        *by_action.entry(*action).or_default() += 1;
    }
    let parts = COUNTED
        .iter()
        .filter_map(|action| by_action.get(action).map(|number| format!("{number} {}", done_word(*action))));
    format!("Applied: {}.", parts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use gridkey_core::{KeyId, Scope};

    use super::*;

    fn entry(address: &str, action: Action) -> (Name, Address, Action) {
        (Name::new("acme").expect("a name"), address.parse().expect("an address"), action)
    }

    #[test]
    fn a_whole_outcome_is_counted() {
        let done = vec![
            entry("prod/a", Action::Create),
            entry("prod/b", Action::Create),
            entry("prod/c", Action::Delete),
        ];
        let outcome = Outcome { done, ..Outcome::default() };
        assert_eq!(text(&outcome, Style::Plain), "Applied: 2 created, 1 deleted.\n");
    }

    #[test]
    fn a_key_that_did_not_get_full_access_is_told_with_what_it_got() {
        let (account, address, action) = entry("prod/breakglass", Action::Create);
        let less = LessThanFull {
            account: account.clone(),
            address: address.clone(),
            id: KeyId::new("K1"),
            scopes: [Scope::new("api_keys.create"), Scope::new("mail.send")].into(),
        };
        let done = vec![(account, address, action)];
        let outcome = Outcome { done, less_than_full: vec![less], ..Outcome::default() };
        insta::assert_snapshot!(text(&outcome, Style::Plain), @"
        Without Full Access:
          prod/breakglass   key K1   acme
              it got `api_keys.create`, `mail.send`
              help: SendGrid gave it what the managing key has: name one with Full Access in `api_key`, and then `gridkey rotate prod/breakglass`

        Applied in part: 1 change done, 1 key without Full Access.
        ");
    }

    #[test]
    fn an_interrupted_outcome_says_what_is_left_and_how_to_go_on() {
        let (account, address, action) = entry("prod/b", Action::Update);
        let outcome = Outcome {
            done: vec![entry("prod/a", Action::Create)],
            failed: vec![Failure {
                account,
                address,
                action,
                message: "SendGrid refused the scopes".into(),
                help: Some("grant them to the managing key".into()),
            }],
            not_started: vec![entry("prod/c", Action::Delete), entry("prod/long", Action::Rotate)],
            less_than_full: Vec::new(),
            interrupted: true,
            lasting: true,
        };
        insta::assert_snapshot!(text(&outcome, Style::Plain), @"
        Failed:
          ~ prod/b   update   acme
              SendGrid refused the scopes
              help: grant them to the managing key

        Not started:
          - prod/c      delete   acme
          ± prod/long   rotate   acme

        Interrupted: 1 change done, 1 failed, 2 not started. Run again: the same command does what is left.
        ");
    }
}
