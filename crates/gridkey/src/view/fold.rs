//! Accounts that change alike are shown once: a fan-out over forty of them is one edit to whoever reviews it.

use std::collections::BTreeMap;

use gridkey_core::Name;

use super::table::Table;

/// Fewer than this are shown each by itself.
const FEWEST: usize = 3;

/// How many names are listed.
const NAMED: usize = 24;

/// What stands for the name of the account, until it is known whether the names are all that differs. No text that is
/// shown has control characters.
pub(super) const STAND_IN: char = '\u{1}';

/// The changes of an account.
pub(super) struct Block<'a> {
    pub account: &'a Name,
    /// What is said of the account, behind its name.
    pub said: String,
    pub table: Table,
    /// All that the changes come to, in which the name of the account may differ.
    pub values: String,
    /// What has to be the same in each of them: what the keys may do.
    pub access: String,
}

/// Folds blocks that differ by the account's name alone, each at the place of its first; a heading and a table each.
pub(super) fn folded(blocks: Vec<Block<'_>>) -> Vec<(String, Table)> {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, block) in blocks.iter().enumerate() {
        alike.entry(signature(block)).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for members in alike.into_values() {
        match members.len() < FEWEST {
            true => groups.extend(members.into_iter().map(|index| vec![index])),
            false => groups.push(members),
        }
    }
    groups.sort();
    let shown = groups.into_iter().map(|members| {
        let first = &blocks[members[0]];
        if members.len() == 1 {
            return (format!("{}{}", first.account, first.said), first.table.clone());
        }
        let names: Vec<&str> = members.iter().map(|index| blocks[*index].account.as_str()).collect();
        let listed = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let each = if first.said.is_empty() { "" } else { " each" };
        let heading = format!("{} accounts{}{each}\n  {listed}{more}", names.len(), first.said);
        (heading, first.table.map(|text| general(text, first.account).replace(STAND_IN, "*")))
    });
    shown.collect()
}

/// The same for blocks that say the same of accounts with other names. It goes by all that the changes come to, and not
/// by the lines that are shown of them: those leave things out.
fn signature(block: &Block<'_>) -> String {
    let table = block.table.map(|text| general(text, block.account));
    let values = general(&block.values, block.account);
    format!("{}\n{}\n{values}\n{}", block.said, table.to_text(super::Style::Plain, ""), block.access)
}

/// A text in which the name of the account is left open, as it is and as a variable spells it.
///
/// Where the name is by chance a word of the text, the text is no longer like that of other accounts, and not folded.
fn general(text: &str, account: &Name) -> String {
    let name = account.as_str();
    let text = left_open(text, name);
    left_open(&text, &name.to_ascii_uppercase().replace('-', "_"))
}

/// A text with each whole occurrence of a name left open.
pub(super) fn left_open(text: &str, name: &str) -> String {
    let mut open = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        let behind = &from[name.len()..];
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        open.push_str(before);
        match joins(before.chars().next_back()) || joins(behind.chars().next()) {
            true => open.push_str(name),
            false => open.push(STAND_IN),
        }
        rest = behind;
    }
    open.push_str(rest);
    open
}

#[cfg(test)]
mod tests {
    use super::super::Style;
    use super::super::table::Cell;
    use super::*;

    fn shown(accounts: &[(&str, &str)]) -> String {
        let names: Vec<Name> = accounts.iter().map(|(name, _)| Name::new(*name).expect("a name")).collect();
        let blocks = accounts.iter().zip(&names).map(|((_, row), account)| {
            let mut table = Table::new();
            table.row(vec![Cell::new(*row)], Vec::new());
            let values = row.to_string();
            Block { account, said: ": 1 of 100".to_string(), table, values, access: String::new() }
        });
        let shown = folded(blocks.collect()).into_iter();
        shown.map(|(heading, table)| format!("{heading}\n{}", table.to_text(Style::Plain, "  "))).collect()
    }

    #[test]
    fn accounts_that_differ_by_their_names_alone_are_shown_once() {
        let three =
            [("t-1", "+ all/t-1/app T_1"), ("t-2", "+ all/t-2/app T_2"), ("t-3", "+ all/t-3/app T_3")];
        assert_eq!(shown(&three), "3 accounts: 1 of 100 each\n  t-1, t-2, t-3\n  + all/*/app *\n");
        assert_eq!(
            shown(&three[..2]),
            "t-1: 1 of 100\n  + all/t-1/app T_1\nt-2: 1 of 100\n  + all/t-2/app T_2\n"
        );
        let mut other = three.to_vec();
        other.insert(1, ("t-9", "+ all/t-9/web T_9"));
        let expected = "3 accounts: 1 of 100 each\n  t-1, t-2, t-3\n  + all/*/app *\nt-9: 1 of 100\n  + all/t-9/web T_9\n";
        assert_eq!(shown(&other), expected);
    }

    /// Lines leave out what is behind them, and a scope is what it is whatever the account is called.
    #[test]
    fn accounts_whose_keys_differ_in_what_is_not_shown_are_not_folded() {
        let names: Vec<Name> = ["a", "b", "c"].map(|name| Name::new(name).expect("a name")).into();
        let shown = |values: [&str; 3], access: [&str; 3]| {
            let blocks =
                names.iter().zip(values.into_iter().zip(access)).map(|(account, (values, access))| {
                    let mut table = Table::new();
                    table.row(vec![Cell::new(format!("+ {account}/app 13 scopes"))], Vec::new());
                    let (values, access) = (values.to_string(), access.to_string());
                    Block { account, said: String::new(), table, values, access }
                });
            folded(blocks.collect()).len()
        };
        assert_eq!(shown(["a/app", "b/app", "c/app"], ["mail.send"; 3]), 1);
        assert_eq!(shown(["a/app", "b/app", "c/app"], ["mail.send", "mail.send", "teammates.create"]), 3);
        assert_eq!(shown(["a/app", "b/app", "c/app"], ["a.read", "b.read", "c.read"]), 3);
        assert_eq!(shown(["put a", "put b", "put other"], ["mail.send"; 3]), 3);
    }

    /// What is the same in all of them is never shown as if it differed.
    #[test]
    fn a_name_that_is_a_word_of_the_text_is_not_taken_for_the_account() {
        let four = [
            ("mail", "+ mail/app mail.send"),
            ("a", "+ a/app mail.send"),
            ("b", "+ b/app mail.send"),
            ("c", "+ c/app mail.send"),
        ];
        let expected = "mail: 1 of 100\n  + mail/app mail.send\n3 accounts: 1 of 100 each\n  a, b, c\n  + */app mail.send\n";
        assert_eq!(shown(&four), expected);
        let grants = [("a", "+ a/app"), ("b", "+ b/app"), ("c", "+ c/app stats.read")];
        assert!(shown(&grants).contains("c: 1 of 100\n  + c/app stats.read"), "{}", shown(&grants));
    }
}
