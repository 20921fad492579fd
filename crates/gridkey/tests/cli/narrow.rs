//! Text on a terminal of 60 columns, and where nobody knows how wide it is.

use gridkey_emulator::Settings;

use crate::summary::of_subusers;
use crate::support::{Place, Said, said};

const WIDTH: usize = 60;

#[track_caller]
fn fits(what: &str, text: &str) {
    for line in text.lines() {
        let words = line.split_whitespace().count();
        assert!(line.chars().count() <= WIDTH || words == 1, "{what}: {line}\n{text}");
    }
}

fn words(text: &str) -> Vec<&str> {
    // But the time at which it was said: the two runs may be in two seconds.
    text.split_whitespace().filter(|word| !word.trim_end_matches(',').ends_with('Z')).collect()
}

/// The same words in the same order as where lines may be as long as they are: none is broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_wider_than_the_terminal_and_no_word_is_broken() {
    let place = Place::new(Settings::default()).await;
    let subusers: Vec<String> = (1..=30).map(|number| format!("a-shop-with-a-long-name-{number}")).collect();
    for name in &subusers {
        place.server.model().child("acme", name);
    }
    let keys = "  a-mailer-whose-name-is-long-as-well: { scopes: [mail.send, \"marketing:full\", \
                user.webhooks.event.settings.read] }\n  typo: { scopes: [mail.sned] }\n";
    place.write("gridkey.yaml", &of_subusers(&subusers, keys));
    let run = |arguments: &[&str], columns: Option<usize>| -> Said {
        let mut command = place.command(arguments);
        if let Some(columns) = columns {
            command.env("COLUMNS", columns.to_string());
        }
        said(command)
    };
    let commands: [&[&str]; 9] = [
        &["plan"],
        &["plan", "--summary"],
        &["audit"],
        &["scopes", "list"],
        &["environments", "list"],
        &["plan", "--only", "prod/none"],
        &["--help"],
        &["scopes", "explain", "mail.*"],
        &["state", "list"],
    ];
    for arguments in commands {
        let (wide, narrow) = (run(arguments, None), run(arguments, Some(WIDTH)));
        assert_eq!(wide.code, narrow.code);
        fits(&arguments.join(" "), &narrow.out);
        assert_eq!(words(&wide.out), words(&narrow.out), "{arguments:?}");
        if wide.code == 64 {
            fits(&arguments.join(" "), &narrow.err);
        }
    }
    fits("plan --help", &run(&["plan", "--help"], Some(WIDTH)).out);
    let wrong = run(&["validate"], Some(WIDTH));
    wrong.ends(1);
    // What quotes the manifest is as wide as the manifest.
    let is_quote = |line: &&str| line.contains(['|', ':', '^']) && !line.contains("help");
    let said: Vec<&str> = wrong.err.lines().filter(|line| !is_quote(line)).collect();
    fits("validate", &said.join("\n"));
    // What is read by machines is never broken.
    assert_eq!(
        run(&["plan", "--json"], Some(WIDTH)).out.lines().count(),
        run(&["plan", "--json"], None).out.lines().count()
    );
}
