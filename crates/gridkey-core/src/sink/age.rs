//! Encrypted files: those of `age`, and those of `sops`.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bech32;
use super::describe::{
    Described, Fault, POINTER, Reached, TOGETHER, is_pointer, is_variable, normal_path, path, unless,
};
use super::file::in_file;
use crate::text::redact::is_private_key;

/// A file encrypted to age recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeSettings {
    /// The file, relative to the manifest's folder. It holds this secret alone.
    pub path: String,
    /// Public keys (`age1…`, `ssh-ed25519 …`, `ssh-rsa …`) that the file is encrypted to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// A file with one public key in a line, besides those of `recipients`; `#` begins a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_file: Option<String>,
    /// Whether the file is text (`-----BEGIN AGE ENCRYPTED FILE-----`), as files in Git are better; the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armor: Option<bool>,
}

/// A value in a file that `sops` encrypts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SopsSettings {
    /// The encrypted file, relative to the manifest's folder: `.yaml`, `.yml`, `.json` or `.env`. It must be there already.
    pub path: String,
    /// Where in the file the secret stands, as a JSON Pointer (RFC 6901), such as `/sendgrid/api_key`; in a `.env` file
    /// `/` and a variable.
    pub pointer: String,
    /// The program, of version 3.11 or later; `sops` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// A configuration file for `sops`, in place of the `.sops.yaml` that it finds itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Variables of gridkey's environment that `sops` gets besides those that every command does, such as
    /// `SOPS_AGE_KEY_FILE` or `AWS_PROFILE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// Letters of five bits that the 32 bytes of a key have.
const X25519: usize = 52;

/// Why age cannot encrypt to a recipient, as far as its text alone tells.
fn unusable(recipient: &str) -> &'static str {
    let recipient = recipient.trim();
    if is_private_key(recipient) {
        return "it is a private key, which must not stand in a manifest: take it out, make another, as who has the manifest \
            has this one, and write the public key that `age-keygen -y` prints of it";
    }
    if recipient.starts_with("ssh-") {
        return "";
    }
    match bech32::read(recipient) {
        Some(("age", X25519)) => "",
        Some((kind, _)) if kind.starts_with("age1") => {
            "it is a key of another kind than X25519, such as that of a plug-in: gridkey encrypts to `age1…` keys that \
             `age-keygen` makes, and to `ssh-ed25519` and `ssh-rsa` keys"
        }
        Some(_) | None if recipient.starts_with("age1") => {
            "a letter of it is wrong, or some are missing: copy it again from where `age-keygen` printed it"
        }
        Some(_) | None => "a recipient is a public key: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`",
    }
}

impl AgeSettings {
    /// The first recipient that cannot be one, and why.
    fn unusable_recipient(&self) -> Option<(usize, &'static str)> {
        let faults = self.recipients.iter().map(|recipient| unusable(recipient)).enumerate();
        faults.into_iter().find(|(_, why)| !why.is_empty())
    }
}

impl Described for AgeSettings {
    fn place(&self) -> String {
        let Self { path, recipients: _, recipients_file: _, armor: _ } = self;
        normal_path(path)
    }

    fn is_readable(&self) -> bool {
        false
    }

    fn faults(&self) -> Vec<Fault> {
        let any = !self.recipients.is_empty() || self.recipients_file.is_some();
        vec![
            ("recipients", self.unusable_recipient().map_or("", |(_, why)| why)),
            (TOGETHER, unless(any, "add `recipients`, the public keys of those who may read the file")),
            ("path", path(&self.path)),
            ("recipients_file", self.recipients_file.as_deref().map_or("", path)),
        ]
    }

    fn faulty_item(&self, field: &str) -> Option<usize> {
        self.unusable_recipient().filter(|_| field == "recipients").map(|(index, _)| index)
    }

    fn manner(&self) -> Option<Value> {
        Some(json!([self.recipients, self.recipients_file]))
    }

    /// The header names it.
    fn tells_key(&self) -> bool {
        true
    }

    fn is_whole(&self) -> bool {
        true
    }

    /// A file has one writer at a time, whatever it holds.
    fn container(&self) -> Option<String> {
        Some(normal_path(&self.path))
    }
}

/// The program where none is named: a policy has to allow it all the same.
static SOPS: LazyLock<String> = LazyLock::new(|| "sops".to_string());

const ENDS: &str = "sops goes by the end of a file's name, and gridkey writes into `.yaml`, `.yml`, `.json` and `.env` files";

impl SopsSettings {
    fn ends_as_sops_reads_it(&self) -> bool {
        [".yaml", ".yml", ".json", ".env"].iter().any(|end| self.path.ends_with(end))
    }

    fn is_dotenv(&self) -> bool {
        self.path.ends_with(".env")
    }

    /// What sops cannot be told, or keeps for itself.
    fn unspeakable(&self) -> &'static str {
        let pointer = &self.pointer;
        match self.is_dotenv() {
            true if pointer.starts_with("/sops_") => {
                "sops keeps its own data in variables that begin with `sops_`"
            }
            true => unless(
                pointer.strip_prefix('/').is_some_and(is_variable),
                "a dotenv file has variables and nothing in them: `/SENDGRID_API_KEY`",
            ),
            false if pointer == "/sops" || pointer.starts_with("/sops/") => {
                "sops keeps its own data below `/sops`"
            }
            false => unless(!pointer.contains('['), "sops cannot be told a name with a `[`"),
        }
    }
}

impl Described for SopsSettings {
    fn place(&self) -> String {
        let Self { path, pointer, program: _, config: _, env: _ } = self;
        in_file(path, pointer)
    }

    fn pointer(&self) -> Option<&str> {
        (!self.is_dotenv()).then_some(&self.pointer)
    }

    /// It may be the file of another kind of sink, too.
    fn reached(&self) -> Option<String> {
        Some(match self.is_dotenv() {
            true => format!("dotenv:{}", in_file(&self.path, self.pointer.trim_start_matches('/'))),
            false => format!("file:{}", self.place()),
        })
    }

    fn container(&self) -> Option<String> {
        Some(normal_path(&self.path))
    }

    fn faults(&self) -> Vec<Fault> {
        vec![
            ("pointer", unless(is_pointer(&self.pointer), POINTER)),
            ("pointer", self.unspeakable()),
            ("path", path(&self.path)),
            ("path", unless(self.ends_as_sops_reads_it(), ENDS)),
            ("config", self.config.as_deref().map_or("", path)),
        ]
    }

    fn environment(&self) -> &[String] {
        &self.env
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let program = self.program.as_ref().unwrap_or(&SOPS);
        vec![Reached::Command(std::slice::from_ref(program))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sops(path: &str, pointer: &str) -> SopsSettings {
        SopsSettings { path: path.into(), pointer: pointer.into(), ..SopsSettings::default() }
    }

    fn told(settings: &impl Described) -> Vec<Fault> {
        settings.faults().into_iter().filter(|(_, help)| !help.is_empty()).collect()
    }

    #[test]
    fn what_sops_cannot_take_is_told_without_asking_it() {
        for (path, pointer) in [
            ("a.yaml", "/mail/key"),
            ("a/b.enc.yml", "/mail/keys/0"),
            ("a.json", "/key"),
            ("prod.env", "/SENDGRID_API_KEY"),
            ("a.yaml", "/mail/sops/key"),
        ] {
            assert_eq!(told(&sops(path, pointer)), [], "{path} {pointer}");
        }
        for (path, pointer, field, says) in [
            ("a.ini", "/mail/key", "path", "goes by the end"),
            (".env.prod", "/KEY", "path", "goes by the end"),
            ("a.yaml", "/sops/mac", "pointer", "below `/sops`"),
            ("a.json", "/sops", "pointer", "below `/sops`"),
            ("a.yaml", "/keys[0]", "pointer", "with a `[`"),
            (".env", "/mail/KEY", "pointer", "has variables"),
            (".env", "/sops_mac", "pointer", "begin with `sops_`"),
        ] {
            let told = told(&sops(path, pointer));
            assert!(
                matches!(told.as_slice(), [(at, help)] if *at == field && help.contains(says)),
                "{told:?}"
            );
        }
    }

    #[test]
    fn a_place_of_an_encrypted_file_is_that_of_a_plain_one() {
        let reached = |settings: SopsSettings| settings.reached();
        assert_eq!(reached(sops("./a.yaml", "/mail/key")).as_deref(), Some("file:a.yaml#/mail/key"));
        assert_eq!(reached(sops("x/../.env", "/KEY")).as_deref(), Some("dotenv:.env#KEY"));
    }

    #[test]
    fn a_policy_is_asked_for_the_program_whether_it_is_named_or_not() {
        let named = SopsSettings { program: Some("./sops".to_string()), ..sops("a.yaml", "/key") };
        for (settings, program) in [(sops("a.yaml", "/key"), "sops"), (named, "./sops")] {
            assert_eq!(settings.reaches(), [Reached::Command(&[program.to_string()])]);
        }
    }

    const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    #[test]
    fn what_age_cannot_encrypt_to_is_told_by_its_item() {
        let wrong = KEY.replace("z7hj", "z7jh");
        for (recipient, says) in [
            (
                "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
                "is a private key",
            ),
            ("age-secret-key-1gfpyysjzgfpyysjz", "is a private key"),
            ("AGE-SECRET-KEY-PQ-1GFPYYSJZ", "is a private key"),
            ("AGE-PLUGIN-YUBIKEY-1QYQSZQG", "is a private key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA", "is a private key"),
            (wrong.as_str(), "a letter of it is wrong"),
            (&KEY[..50], "a letter of it is wrong"),
            ("age1", "a letter of it is wrong"),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "of a plug-in"),
            ("alice", "a recipient is a public key"),
            ("", "a recipient is a public key"),
            ("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "a recipient is a public key"),
        ] {
            let settings = AgeSettings {
                path: "a.age".to_string(),
                recipients: vec![KEY.to_string(), recipient.to_string()],
                ..AgeSettings::default()
            };
            let told = told(&settings);
            assert!(
                matches!(told.as_slice(), [("recipients", help)] if help.contains(says)),
                "{recipient}: {told:?}"
            );
            assert_eq!(settings.faulty_item("recipients"), Some(1), "{recipient}");
            assert_eq!(settings.faulty_item("path"), None);
        }
    }

    #[test]
    fn a_file_that_nobody_could_read_is_no_place_for_a_secret() {
        let age = |recipients: &[&str]| AgeSettings {
            path: "a.age".to_string(),
            recipients: recipients.iter().map(ToString::to_string).collect(),
            ..AgeSettings::default()
        };
        assert_eq!(told(&age(&[KEY, "ssh-ed25519 AAAA"])), []);
        assert_eq!(told(&age(&[])).len(), 1);
        assert_eq!(told(&AgeSettings { recipients_file: Some("team.txt".to_string()), ..age(&[]) }), []);
    }
}
