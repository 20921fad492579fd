//! Tests of what the arguments are read as.

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    cli().debug_assert();
}

#[test]
fn no_option_looks_like_an_id() {
    fn look(command: &clap::Command) {
        for long in command.get_opts().filter_map(clap::Arg::get_long) {
            assert!(!habit::is_id_with_hyphen(&format!("--{long}")), "{} --{long}", command.get_name());
        }
        command.get_subcommands().for_each(look);
    }
    look(&cli());
}

#[test]
fn an_id_that_begins_with_a_hyphen_is_an_id() {
    let read = |words: &[&str]| super::read(words.iter().map(OsString::from), |_| false);
    let id = "-2DiA8DQQTaO_CVtrq2b4Q";
    for id in [id, "--DiA8DQQTaO_CVtrq2b4Q", "-yDiA8DQQTaO_CVtrq2b4Q", "-fDiA8DQQTaO_CVtrq2b4Q"] {
        let words = ["gridkey", "revoke", id, "--account", "main", "--yes", "--name", "-leaked-"];
        let Command::Revoke(revoke) = read(&words).expect("it parses").command else { panic!("revoke") };
        assert_eq!((revoke.id.as_str(), revoke.name.as_deref(), revoke.yes), (id, Some("-leaked-"), true));
        let words = ["gridkey", "--emulator", "import", "prod/mailer", id, "--yes"];
        let Command::Import(import) = read(&words).expect("it parses").command else { panic!("import") };
        assert_eq!((import.id.as_deref(), import.confirm.yes), (Some(id), true));
        let words = ["gridkey", "whois", id, "--no-sinks", "--scan", "deploy", "logs"];
        let Command::Whois(whois) = read(&words).expect("it parses").command else { panic!("whois") };
        assert_eq!((whois.ids, whois.scan.len(), whois.no_sinks), (vec![id.to_string()], 2, true));
    }
    let words = ["gridkey", "revoke", "--account", "main", "--yes", "--name", id, "--", id];
    let Command::Revoke(revoke) = read(&words).expect("it parses").command else { panic!("revoke") };
    assert_eq!(revoke.name.as_deref(), Some(id));
    assert!(read(&["gridkey", "revoke", "-unknown", "--account", "main"]).is_err());
    assert!(read(&["gridkey", "plan", id]).is_err());
}

#[test]
fn global_flags_work_after_the_command_too() {
    let before = Arguments::try_parse_from(["gridkey", "--emulator", "-f", "x", "plan"]).expect("it parses");
    let after = Arguments::try_parse_from(["gridkey", "plan", "--emulator", "-f", "x"]).expect("it parses");
    assert_eq!(format!("{:?}", before.global), format!("{:?}", after.global));
    assert!(Arguments::try_parse_from(["gridkey", "apply", "--auto-approve", "--target", "prod/a"]).is_ok());
    assert!(Arguments::try_parse_from(["gridkey", "plan", "--allow", "managing_key"]).is_err());
    assert!(Arguments::try_parse_from(["gridkey", "plan", "--env", "../prod"]).is_err());
}

#[test]
fn without_a_number_there_are_more_reads_than_keys_and_zero_is_refused() {
    let concurrency = |arguments: &[&str]| {
        let parsed = Arguments::try_parse_from(["gridkey", "plan"].iter().chain(arguments));
        parsed.map(|arguments| arguments.global.concurrency())
    };
    let default = concurrency(&[]).expect("it parses");
    assert_eq!((default.keys.get(), default.reads.get(), default.accounts.get()), (4, 8, 8));
    assert_eq!(
        concurrency(&["--concurrency", "1"]).expect("it parses"),
        Concurrency::of_each(NonZeroUsize::MIN)
    );
    assert!(concurrency(&["--concurrency", "0"]).is_err());
}
