//! The first page of help: commands by what people are doing, on one screen.

use std::fmt::Write as _;

/// The commands by what people are doing.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Start", &["init", "validate", "fmt"]),
    ("Review and apply", &["plan", "show", "drift", "apply", "destroy"]),
    ("Life of a key", &["rotate", "retire", "revoke", "import"]),
    ("Look", &["audit", "whois", "environments", "scopes", "sinks"]),
    ("Hand work", &["state", "emulator", "schema", "completions", "man", "version"]),
];

const EXIT_CODES: &str = "\
Exit codes: 0 done or no changes, 1 error, 2 changes present (`plan --detailed-exitcode`, `drift`,
`fmt --check`), 3 blocked, declined or not approved, 4 applied in part, 64 usage, 130 interrupted";

/// The page, from what the commands say of themselves.
pub(super) fn page(command: &clap::Command) -> String {
    let mut page =
        "Keeps the API keys of Twilio SendGrid accounts as a manifest says they should be\n\n".to_string();
    page.push_str("Usage: gridkey [OPTIONS] <COMMAND>\n");
    for (title, names) in GROUPS {
        let _ = writeln!(page, "\n{title}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(page, "  {name:<13} {about}");
        }
    }
    page.push_str("\nOptions that every command takes (`gridkey help COMMAND` says more):\n");
    page.push_str(
        "  -f, --manifest PATH   the manifest: a file or a folder      -C, --chdir DIR   work in DIR\n",
    );
    page.push_str(
        "  --env NAME            only this environment                 --policy FILE     rules that hold\n",
    );
    page.push_str(
        "  --emulator            try it on an emulated SendGrid        -q, --quiet       say less\n",
    );
    page.push_str(
        "  --color WHEN          auto, always or never                 -v, --verbose     say more\n\n",
    );
    page.push_str(EXIT_CODES);
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::cli;
    use super::*;

    #[test]
    fn every_command_stands_in_one_group() {
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let once: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(listed.len(), once.len());
        let command = cli();
        let visible =
            command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
        assert_eq!(once, visible.map(clap::Command::get_name).collect());
    }

    #[test]
    fn the_page_fits_a_screen() {
        let page = page(&cli());
        assert!(page.lines().count() <= 45, "{} lines", page.lines().count());
        for line in page.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}
