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
    let found = discover(FileKind::Dotenv, folder, folder).await.unwrap();
    assert_eq!(places(&found), ["deep/er/two.env#MAIL", "one.env#MAIL"]);
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);

    write(folder, "j/one.json", &format!("{{\"mail\": {{\"key\": \"{}\"}}}}", key('a')));
    let found = discover(FileKind::Json, &folder.join("j"), folder).await.unwrap();
    assert_eq!(places(&found), ["j/one.json#/mail/key"]);
    write(folder, "y/one.yaml", &format!("mail:\n  key: {}\n", key('a')));
    let found = discover(FileKind::Yaml, &folder.join("y/one.yaml"), folder).await.unwrap();
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
    let found = discover(FileKind::Dotenv, folder, folder).await.unwrap();
    assert_eq!(places(&found), ["largest.env#MAIL"]);
    let skipped: Vec<_> =
        found.skipped.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(skipped, ["larger.env"]);
    assert!(found.skipped.iter().all(|(_, why)| !why.contains(&key)), "{:?}", found.skipped);
    assert!(discover(FileKind::Dotenv, &folder.join("none"), folder).await.is_err(), "what is not there");
}
