//! What is found in files that people have already.

use std::fs;
use std::path::Path;

use gridkey_core::SinkSettings;
use gridkey_sinks::{Discovery, FileKind, discover};

use super::key;

/// The largest file that is looked at.
const LARGEST: usize = 4 << 20;

/// The places that were found, as `path#place`.
fn places(discovery: &Discovery) -> Vec<String> {
    let place = |settings: &SinkSettings| match settings {
        SinkSettings::Dotenv(at) => format!("{}#{}", at.path, at.variable),
        SinkSettings::Json(at) | SinkSettings::Yaml(at) => format!("{}#{}", at.path, at.pointer),
        other => panic!("{other:?} is no file"),
    };
    discovery.found.iter().map(|(settings, _)| place(settings)).collect()
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn keys_are_found_in_every_kind_of_file_and_in_no_folder_that_is_passed_by() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write(folder, "one.env", &format!("OTHER=x\nMAIL={}\n", key('a')));
    write(folder, "deep/er/two.env", &format!("MAIL={}\n", key('b')));
    for passed_by in [".git", ".gridkey", "node_modules", "target"] {
        write(folder, &format!("{passed_by}/three.env"), &format!("MAIL={}\n", key('c')));
    }
    let found = discover(Some(FileKind::Dotenv), folder, folder).await.unwrap();
    assert_eq!(places(&found), ["deep/er/two.env#MAIL", "one.env#MAIL"]);
    assert!(found.skipped.is_empty() && found.elsewhere.is_empty(), "{found:?}");
    assert_eq!(found.passed_by.len(), 4, "{:?}", found.passed_by);

    write(folder, "j/one.json", &format!("{{\"mail\": {{\"key\": \"{}\"}}}}", key('a')));
    let found = discover(Some(FileKind::Json), &folder.join("j"), folder).await.unwrap();
    assert_eq!(places(&found), ["j/one.json#/mail/key"]);
    write(folder, "y/one.yaml", &format!("mail:\n  key: {}\n", key('a')));
    let found = discover(Some(FileKind::Yaml), &folder.join("y/one.yaml"), folder).await.unwrap();
    assert_eq!(places(&found), ["y/one.yaml#/mail/key"], "a file itself can be named");
}

#[tokio::test]
async fn what_cannot_be_looked_through_is_told_and_what_mentions_no_key_is_not() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let key = key('a');
    let line = format!("MAIL={key}\n");
    write(folder, "largest.env", &format!("{line}#{}", "x".repeat(LARGEST - line.len() - 1)));
    write(folder, "larger.env", &format!("{line}#{}", "x".repeat(LARGEST - line.len())));
    write(folder, "other.env", "MAIL=\"never closed\n");
    fs::write(folder.join("bytes.env"), b"\xff\xfe").unwrap();
    let found = discover(Some(FileKind::Dotenv), folder, folder).await.unwrap();
    assert_eq!(places(&found), ["largest.env#MAIL"]);
    let skipped: Vec<_> =
        found.skipped.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(skipped, ["larger.env"]);
    assert!(found.skipped.iter().all(|(_, why)| !why.contains(&key)), "{:?}", found.skipped);
    assert!(
        discover(Some(FileKind::Dotenv), &folder.join("none"), folder).await.is_err(),
        "what is not there"
    );
}

#[tokio::test]
async fn without_a_kind_each_file_is_what_its_name_says_and_what_stands_elsewhere_is_told_by_its_line() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let (a, b) = (key('a'), key('b'));
    write(folder, ".env", &format!("MAIL={a}\n# OLD={b}\n"));
    write(folder, ".env.prod", &format!("# was {a}\nMAIL={a}\n"));
    write(folder, "app.env", &format!("MAIL={a}\n"));
    write(folder, "broken.env", &format!("OTHER=x\nMAIL=\"{a}\n"));
    write(folder, "broken.json", &format!("{{\"key\": \"{b}\""));
    write(folder, "list.yaml", &format!("mail:\n  key: {a}\n  headers:\n    - \"Bearer {b}\"\n"));
    write(folder, "items.json", &format!("{{\n\"say\": \"Bearer {a}\"}}"));
    write(folder, "main.py", &format!("KEY = \"{a}\"\n"));
    let found = discover(None, folder, folder).await.unwrap();
    assert_eq!(places(&found), [".env#MAIL", ".env.prod#MAIL", "app.env#MAIL", "list.yaml#/mail/key"]);
    let elsewhere: Vec<_> = found
        .elsewhere
        .iter()
        .map(|held| {
            let lines: Vec<_> = held.lines.iter().collect();
            let file = held.path.file_name().unwrap().to_str().unwrap();
            format!("{file} {} {lines:?} {}", &held.id.as_str()[..1], held.named)
        })
        .collect();
    let expected = [
        ".env b [2] 0",
        ".env.prod a [1, 2] 1",
        "broken.env a [2] 0",
        "broken.json b [1] 0",
        "items.json a [2] 0",
        "list.yaml b [4] 0",
        "main.py a [1] 0",
    ];
    assert_eq!(elsewhere, expected);
    let reasons: Vec<_> = found.elsewhere.iter().filter_map(|held| held.why.as_deref()).collect();
    assert_eq!(reasons[0], "line 2 sets `MAIL` and has a quote that is not closed");
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().all(|why| !why.contains(&b)), "{reasons:?}");
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
}
