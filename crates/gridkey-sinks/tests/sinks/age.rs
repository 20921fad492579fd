//! Files encrypted to age recipients: opened by age itself, and by nobody else.

use std::fs;
use std::path::Path;
use std::process::Command;

use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::sink::AgeSettings;
use gridkey_core::{KeyId, Known, Receipt, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use tempfile::TempDir;

use super::programs::{identity, program, run};
use super::{at, holds, key, secret};

/// Public keys whose private halves are gone.
const RECIPIENT: &str = "age1ax239zkefzhcejp764afzphn4rq5qr9jcspk5ztkedwhwvksvc8s679k8e";
const OTHER: &str = "age176q273h78vf09pk57ta0kyh9mjhp88zaepmzjtx2mdq5w3eklcqsg5nh8r";

fn sinks(folder: &TempDir) -> Sinks {
    Sinks::new(folder.path().to_path_buf(), Vec::new())
}

fn settings(recipients: &[&str]) -> AgeSettings {
    let recipients = recipients.iter().map(ToString::to_string).collect();
    AgeSettings { path: "key.age".to_string(), recipients, ..AgeSettings::default() }
}

fn age(recipients: &[&str]) -> SinkLocation {
    at(SinkSettings::Age(settings(recipients)))
}

fn known(letter: char, receipt: &Receipt) -> Known {
    Known { id: KeyId::new(letter.to_string().repeat(22)), receipt: receipt.clone() }
}

async fn put(
    sinks: &Sinks,
    at: &SinkLocation,
    letter: char,
    known: Option<&Known>,
) -> Result<Receipt, PutError> {
    let receipt = sinks.put(at, &secret(letter), &SinkContent::Empty, known).await?;
    Ok(receipt.expect("an age file has a receipt"))
}

fn refused<T: std::fmt::Debug>(result: Result<T, PutError>) -> SinkError {
    match result {
        Err(PutError::Refused(error)) => error,
        other => panic!("it should be refused: {other:?}"),
    }
}

fn opened(age: &Path, identity: &Path, file: &Path) -> String {
    run(Command::new(age).arg("-d").arg("-i").arg(identity).arg(file))
}

#[tokio::test]
async fn age_opens_the_file_with_the_identity_of_each_recipient() {
    let (Some(age_program), Some(keygen)) = (program("age/age", "AGE"), program("age/age-keygen", "AGE"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (ours, theirs) = (identity(&keygen, &path("ours")), identity(&keygen, &path("theirs")));
    for kind in ["ed25519", "rsa"] {
        run(Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(path(kind)));
    }
    let public = |kind: &str| fs::read_to_string(path(&format!("{kind}.pub"))).unwrap();
    fs::write(path("team.txt"), format!("# the team\n\n{theirs}\n  {}", public("rsa"))).unwrap();
    for (armor, begins) in
        [(None, "-----BEGIN AGE ENCRYPTED FILE-----\n"), (Some(false), "age-encryption.org/v1\n")]
    {
        let location = at(SinkSettings::Age(AgeSettings {
            recipients: vec![ours.clone(), public("ed25519"), ours.clone()],
            recipients_file: Some("team.txt".to_string()),
            armor,
            ..settings(&[])
        }));
        let sinks = sinks(&folder);
        assert_eq!(sinks.check(&location).await, Ok(Readiness::Proven));
        put(&sinks, &location, 'a', None).await.unwrap();
        for reader in ["ours", "theirs", "ed25519", "rsa"] {
            assert_eq!(opened(&age_program, &path(reader), &path("key.age")), key('a'), "{reader}");
        }
        assert!(fs::read(path("key.age")).unwrap().starts_with(begins.as_bytes()));
        fs::remove_file(path("key.age")).unwrap();
    }
}

#[tokio::test]
async fn nobody_is_told_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, location) = (sinks(&folder), age(&[RECIPIENT]));
    let receipt = put(&sinks, &location, 'a', None).await.unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::WriteOnly);
    assert!(matches!(sinks.read(&location).await, Err(SinkError { fault: SinkFault::Unsupported, .. })));
    let text = fs::read_to_string(folder.path().join("key.age")).unwrap();
    assert!(!text.contains("SG.") && !receipt.as_str().contains("SG."));
}

#[tokio::test]
async fn a_file_that_is_not_the_one_that_was_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, location) = (sinks(&folder), age(&[RECIPIENT]));
    let path = folder.path().join("key.age");
    let first = put(&sinks, &location, 'a', None).await.unwrap();
    let (mine, older) = (known('a', &first), fs::read(&path).unwrap());
    let seen = async |location: &SinkLocation, known: &Known| sinks.observe(location, Some(known)).await;
    assert_eq!(seen(&location, &mine).await, SinkObservation::Holds(holds('a')));
    // The file is no other one because the next is for others.
    assert_eq!(seen(&age(&[OTHER]), &mine).await, SinkObservation::Holds(holds('a')));
    let second = known('b', &put(&sinks, &location, 'b', Some(&mine)).await.unwrap());
    assert_eq!(seen(&location, &second).await, SinkObservation::Holds(holds('b')));
    // Git went back to the file before: it says itself which key it has.
    fs::write(&path, &older).unwrap();
    assert_eq!(seen(&location, &second).await, SinkObservation::Holds(holds('a')));
    // That it has the right key is not believed of a file that says so.
    let same = Known { id: mine.id.clone(), receipt: second.receipt.clone() };
    assert_eq!(seen(&location, &same).await, SinkObservation::Holds(SinkContent::Other));
    fs::write(&path, "hello\n").unwrap();
    assert_eq!(seen(&location, &mine).await, SinkObservation::Holds(SinkContent::Other));
    fs::write(&path, "").unwrap();
    assert_eq!(seen(&location, &mine).await, SinkObservation::Holds(SinkContent::Empty));
    fs::remove_file(&path).unwrap();
    assert_eq!(seen(&location, &mine).await, SinkObservation::Holds(SinkContent::Empty));
}

#[tokio::test]
async fn the_same_key_is_written_once_and_anew_where_those_who_may_read_it_change() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    let read = || fs::read(folder.path().join("key.age")).unwrap();
    let receipt = put(&sinks, &age(&[RECIPIENT, OTHER]), 'a', None).await.unwrap();
    let first = read();
    // In another order, and twice.
    let again =
        put(&sinks, &age(&[OTHER, RECIPIENT, OTHER]), 'a', Some(&known('a', &receipt))).await.unwrap();
    assert_eq!((&again, read()), (&receipt, first.clone()));
    for (location, letter) in [(age(&[RECIPIENT]), 'a'), (age(&[RECIPIENT, OTHER]), 'b')] {
        let other = put(&sinks, &location, letter, Some(&known('a', &receipt))).await.unwrap();
        assert_ne!((other, read()), (receipt.clone(), first.clone()));
    }
    let binary = at(SinkSettings::Age(AgeSettings { armor: Some(false), ..settings(&[RECIPIENT, OTHER]) }));
    put(&sinks, &binary, 'a', Some(&known('a', &receipt))).await.unwrap();
    assert!(read().starts_with(b"age-encryption.org"));
}

/// The first answer was lost: state knows nothing of the file, or of one before it.
#[tokio::test]
async fn a_file_that_gridkey_wrote_is_written_over_whatever_state_knows_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, location) = (sinks(&folder), age(&[RECIPIENT]));
    let older = put(&sinks, &location, 'a', None).await.unwrap();
    put(&sinks, &location, 'b', Some(&known('a', &older))).await.unwrap();
    put(&sinks, &location, 'b', Some(&known('a', &older))).await.unwrap();
    put(&sinks, &location, 'c', None).await.unwrap();
    fs::write(folder.path().join("key.age"), "").unwrap();
    put(&sinks, &location, 'd', None).await.unwrap();
}

#[tokio::test]
async fn what_gridkey_did_not_write_is_neither_replaced_nor_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, location) = (sinks(&folder), age(&[RECIPIENT]));
    let path = folder.path().join("key.age");
    let mut others: Vec<(Vec<u8>, &str)> = vec![
        (b"hello\n".to_vec(), "no age file"),
        (b"age-encryption.org/v1\n-> X25519".to_vec(), "no age file"),
        (vec![0xff; 40], "no age file"),
    ];
    if let Some(age) = program("age/age", "AGE") {
        fs::write(folder.path().join("plain"), "theirs").unwrap();
        for armor in [&["-a"][..], &[]] {
            let theirs = folder.path().join("theirs");
            run(Command::new(&age)
                .args(armor)
                .args(["-r", RECIPIENT, "-o"])
                .args([&theirs, &folder.path().join("plain")]));
            others.push((fs::read(&theirs).unwrap(), "gridkey did not write"));
        }
    }
    for (bytes, says) in others {
        fs::write(&path, &bytes).unwrap();
        let error = refused(put(&sinks, &location, 'a', None).await);
        assert!(error.fault == SinkFault::Conflict && error.message.contains(says), "{error:?}");
        assert_eq!(sinks.check(&location).await.unwrap_err(), error);
        assert_eq!(sinks.remove(&location).await.unwrap_err(), error);
        let caveats = sinks.caveats(&location).await;
        assert!(matches!(&caveats[..], [SinkCaveat::NotWritable(why)] if why.contains(says)), "{caveats:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refused(put(&sinks, &location, 'a', None).await).message.contains("it is a folder"));
}

#[tokio::test]
async fn a_removed_file_is_gone_and_to_remove_it_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, location) = (sinks(&folder), age(&[RECIPIENT]));
    sinks.check(&location).await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a check leaves no trace");
    put(&sinks, &location, 'a', None).await.unwrap();
    for _ in 0..2 {
        sinks.remove(&location).await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_recipient_that_is_wrong_is_told_with_its_place_before_a_key_is_made_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    let cut = &RECIPIENT[..RECIPIENT.len() - 1];
    for (recipient, says) in [
        (cut, "is no public key that age knows"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "of a plug-in"),
        ("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "is a private key"),
        ("ssh-ed25519 AAAA", "is no SSH public key"),
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAKsh", "SSH"),
        ("", "is no public key"),
    ] {
        let error = refused(put(&sinks, &age(&[RECIPIENT, recipient]), 'a', None).await);
        assert!(error.message.contains(says), "{recipient}: {error:?}");
        assert!(error.message.starts_with("item 2 of `recipients`") && error.help.is_some(), "{error:?}");
        assert!(recipient.is_empty() || !format!("{error:?}").contains(recipient), "{error:?}");
        fs::write(folder.path().join("team.txt"), format!("# the team\n\n{RECIPIENT}\n{recipient} \n"))
            .unwrap();
        if !recipient.is_empty() {
            let location = at(SinkSettings::Age(AgeSettings {
                recipients_file: Some("team.txt".to_string()),
                ..settings(&[])
            }));
            let error = sinks.check(&location).await.unwrap_err();
            assert!(error.message.starts_with("line 4 of `") && error.message.contains(says), "{error:?}");
            let caveats = sinks.caveats(&location).await;
            assert!(matches!(&caveats[..], [SinkCaveat::NotWritable(_)]), "{caveats:?}");
        }
    }
    assert!(!folder.path().join("key.age").exists());
    for (text, says) in [(Some("# nobody\n"), "no recipient is given"), (None, "cannot be read")] {
        let file = folder.path().join("empty.txt");
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let recipients_file = Some("empty.txt".to_string());
        let location = at(SinkSettings::Age(AgeSettings { recipients_file, ..settings(&[]) }));
        let error = sinks.check(&location).await.unwrap_err();
        assert!(error.message.contains(says), "{error:?}");
    }
}

/// It is encrypted: who could read it may go on to, as a checkout of Git lets them.
#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_and_one_that_is_there_for_whom_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (sinks, location) = (sinks(&folder), age(&[RECIPIENT]));
    let path = folder.path().join("key.age");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    let receipt = put(&sinks, &location, 'a', None).await.unwrap();
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(sinks.caveats(&location).await, []);
    put(&sinks, &location, 'b', Some(&known('a', &receipt))).await.unwrap();
    assert_eq!(mode(), 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}
