//! Files that sops encrypted: their names are in clear text and their values are not, so what is where can be seen without a key.

use std::path::Path;

use super::{FormatError, Held, dotenv, json, pointer, yaml};

/// How sops reads a file: by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Yaml,
    Json,
    Dotenv,
}

/// What a place of an encrypted file shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    /// A text, as sops encrypted it: `ENC[…]`.
    Encrypted(String),
    /// A text that everybody can read.
    Plain,
    /// Something encrypted that is no text.
    Other,
}

impl Dialect {
    /// # Errors
    /// Where sops would take the file for one that is encrypted whole.
    pub fn of(path: &Path) -> Result<Self, FormatError> {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        match () {
            () if ends(&[".yaml", ".yml"]) => Ok(Self::Yaml),
            () if ends(&[".json"]) => Ok(Self::Json),
            () if ends(&[".env"]) => Ok(Self::Dotenv),
            () => Err(FormatError::new(
                "sops goes by the end of a file's name, and gridkey writes into its `.yaml`, `.yml`, `.json` and `.env` \
                 files; name one of these",
            )),
        }
    }

    /// What a copy of such a file is called.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Yaml => "copy.yaml",
            Self::Json => "copy.json",
            Self::Dotenv => "copy.env",
        }
    }

    /// What the place shows.
    ///
    /// # Errors
    /// Where sops did not encrypt the text, or the pointer leads nowhere in it.
    pub fn shown(self, text: &str, pointer: &str) -> Result<Shown, FormatError> {
        let mac = match self {
            Self::Yaml | Self::Json => "/sops/mac",
            Self::Dotenv => "/sops_mac",
        };
        if !matches!(self.get(text, mac)?, Held::Text(mac) if is_encrypted(&mac)) {
            return Err(FormatError::new(
                "sops did not encrypt it, and a secret in it would be plain; run `sops encrypt --in-place` on it first, with a `.sops.yaml` or `--age RECIPIENT` that says who is to read it",
            ));
        }
        Ok(match self.get(text, pointer)? {
            Held::Nothing => Shown::Nothing,
            Held::Text(text) if text.is_empty() => Shown::Nothing,
            Held::Text(text) if is_encrypted(&text) && text.ends_with(",type:str]") => {
                Shown::Encrypted(text.to_string())
            }
            Held::Text(text) if is_encrypted(&text) => Shown::Other,
            Held::Text(_) => Shown::Plain,
            Held::Other => {
                let message =
                    format!("`{pointer}` holds an object, a list or a plain number; take it out first");
                return Err(FormatError::new(message));
            }
        })
    }

    fn get(self, text: &str, pointer: &str) -> Result<Held, FormatError> {
        match self {
            Self::Yaml => yaml::get(text, pointer),
            Self::Json => json::get(text, pointer),
            Self::Dotenv => dotenv::get(text, variable(pointer)?),
        }
    }

    /// The place as sops is told it: `["sendgrid"]["keys"][0]`.
    ///
    /// # Errors
    /// Where sops cannot be told it, or would make something else of it than the pointer means.
    pub fn index(self, text: &str, pointer: &str) -> Result<String, FormatError> {
        let names = pointer::parse(pointer)?;
        if let Some(depth) = self.depth_of_missing(text, &names)? {
            pointer::makes_no_list(&names, depth + 1)?;
        }
        let parts = names.iter().zip(self.numbers(text, &names)?).map(|(name, is_number)| match is_number {
            true => Ok(format!("[{name}]")),
            // It takes an index apart at these.
            false if name.contains('[') => Err(FormatError::new(format!(
                "`{pointer}` has a `[`, and sops cannot be told such a name; name the place otherwise"
            ))),
            false => Ok(format!("[\"{name}\"]")),
        });
        parts.collect()
    }

    fn numbers(self, text: &str, names: &[String]) -> Result<Vec<bool>, FormatError> {
        match self {
            Self::Yaml => yaml::numbers(text, names),
            Self::Json => json::numbers(text, names),
            Self::Dotenv => Ok(vec![false; names.len()]),
        }
    }

    /// How many of the names lead to the first that is not there.
    fn depth_of_missing(self, text: &str, names: &[String]) -> Result<Option<usize>, FormatError> {
        for depth in 0..names.len() {
            if matches!(self.get(text, &pointer::to(names, depth + 1))?, Held::Nothing) {
                return Ok(Some(depth));
            }
        }
        Ok(None)
    }
}

fn is_encrypted(text: &str) -> bool {
    text.starts_with("ENC[AES256_GCM,") && text.ends_with(']')
}

/// The variable of a dotenv file that a pointer names.
fn variable(pointer: &str) -> Result<&str, FormatError> {
    let name = pointer.strip_prefix('/').unwrap_or(pointer);
    match name.contains('/') {
        false => Ok(name),
        true => Err(FormatError::new(format!(
            "`{pointer}` leads through an object, and a dotenv file has variables alone: write `/NAME`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "mail:\n    key: ENC[AES256_GCM,data:eA==,iv:aQ==,tag:dA==,type:str]\n    count: \
        ENC[AES256_GCM,data:eA==,iv:aQ==,tag:dA==,type:int]\n    empty: \"\"\n    plain_unencrypted: hello\nkeys:\n    - \
        ENC[AES256_GCM,data:eQ==,iv:aQ==,tag:dA==,type:str]\nsops:\n    mac: ENC[AES256_GCM,data:bQ==,iv:aQ==,tag:dA==,type:str]\n";
    const JSON: &str = "{\n\t\"mail\": {\n\t\t\"key\": \"ENC[AES256_GCM,data:eA==,iv:aQ==,tag:dA==,type:str]\"\n\t},\n\t\
        \"keys\": [\n\t\t\"ENC[AES256_GCM,data:eQ==,iv:aQ==,tag:dA==,type:str]\"\n\t],\n\t\"sops\": {\n\t\t\"mac\": \
        \"ENC[AES256_GCM,data:bQ==,iv:aQ==,tag:dA==,type:str]\"\n\t}\n}\n";
    const DOTENV: &str = "KEY=ENC[AES256_GCM,data:eA==,iv:aQ==,tag:dA==,type:str]\n\
        sops_mac=ENC[AES256_GCM,data:bQ==,iv:aQ==,tag:dA==,type:str]\nsops_version=3.11.0\n";
    const KEY: &str = "ENC[AES256_GCM,data:eA==,iv:aQ==,tag:dA==,type:str]";

    #[test]
    fn what_is_where_is_seen_without_a_key() {
        let encrypted = || Shown::Encrypted(KEY.to_string());
        for (dialect, text, pointer, shown) in [
            (Dialect::Yaml, YAML, "/mail/key", encrypted()),
            (Dialect::Yaml, YAML, "/mail/count", Shown::Other),
            (Dialect::Yaml, YAML, "/mail/empty", Shown::Nothing),
            (Dialect::Yaml, YAML, "/mail/other", Shown::Nothing),
            (Dialect::Yaml, YAML, "/mail/plain_unencrypted", Shown::Plain),
            (Dialect::Json, JSON, "/mail/key", encrypted()),
            (Dialect::Json, JSON, "/other/key", Shown::Nothing),
            (Dialect::Dotenv, DOTENV, "/KEY", encrypted()),
            (Dialect::Dotenv, DOTENV, "/OTHER", Shown::Nothing),
        ] {
            assert_eq!(dialect.shown(text, pointer).expect(pointer), shown, "{pointer}");
        }
        for (dialect, text, pointer, says) in [
            (Dialect::Yaml, "mail:\n  key: hello\n", "/mail/key", "sops did not encrypt it"),
            (Dialect::Yaml, "", "/mail/key", "sops did not encrypt it"),
            (Dialect::Json, "{}", "/mail/key", "sops did not encrypt it"),
            (Dialect::Dotenv, "KEY=hello\n", "/KEY", "sops did not encrypt it"),
            (Dialect::Dotenv, DOTENV, "/mail/KEY", "write `/NAME`"),
            (Dialect::Yaml, YAML, "/mail/key/deeper", "is not a mapping"),
            (Dialect::Yaml, YAML, "/keys/1", "`1` is none of them"),
            (Dialect::Yaml, YAML, "/mail", "holds an object"),
        ] {
            let error = dialect.shown(text, pointer).expect_err(pointer).to_string();
            assert!(error.contains(says), "{pointer}: {error}");
        }
    }

    #[test]
    fn a_place_is_told_to_sops_as_it_stands_in_the_document() {
        for (dialect, text, pointer, index) in [
            (Dialect::Yaml, YAML, "/mail/key", r#"["mail"]["key"]"#),
            (Dialect::Yaml, YAML, "/keys/0", r#"["keys"][0]"#),
            (Dialect::Yaml, YAML, "/new/a~1b", r#"["new"]["a/b"]"#),
            (Dialect::Yaml, YAML, "/0", r#"["0"]"#),
            (Dialect::Json, JSON, "/keys/0", r#"["keys"][0]"#),
            (Dialect::Json, JSON, "/a\"b]", r#"["a"b]"]"#),
            (Dialect::Dotenv, DOTENV, "/KEY", r#"["KEY"]"#),
        ] {
            assert_eq!(dialect.index(text, pointer).expect(pointer), index);
        }
        for (pointer, says) in [("/mail/a[0]", "has a `[`"), ("/new/0", "put the list there by hand")] {
            let error = Dialect::Yaml.index(YAML, pointer).expect_err(pointer).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_is_known_by_the_end_of_its_name() {
        for (name, dialect) in [
            ("a/secrets.yaml", Dialect::Yaml),
            ("a.enc.yml", Dialect::Yaml),
            ("a.json", Dialect::Json),
            (".env", Dialect::Dotenv),
            ("prod.env", Dialect::Dotenv),
        ] {
            assert_eq!(Dialect::of(Path::new(name)).expect(name), dialect);
        }
        for name in ["secrets", "a.ini", ".env.prod", "a.YAML", "a.yaml.age"] {
            assert!(Dialect::of(Path::new(name)).is_err(), "{name}");
        }
    }
}
