//! The settings of sinks that are files which other programs read.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::describe::{
    Described, Fault, POINTER, VARIABLE, is_pointer, is_variable, normal_path, path, unless,
};

/// A variable in a dotenv file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DotenvSettings {
    /// The file, relative to the manifest's folder. Other lines stay as they are.
    pub path: String,
    /// The variable's name.
    pub variable: String,
    /// The file's mode in octal digits, in quotes, such as "0640". Without it a new file gets 0600, and one that is there keeps
    /// its mode, less what others may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
    /// How the secret is written: `plain` (the default) or `base64`.
    #[serde(default, skip_serializing_if = "Encoding::is_plain")]
    pub encoding: Encoding,
}

/// A value in a structured file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file, relative to the manifest's folder.
    pub path: String,
    /// Where in the file the secret stands, as a JSON Pointer (RFC 6901), such as `/sendgrid/api_key`.
    pub pointer: String,
    /// The file's mode in octal digits, in quotes, such as "0640". Without it a new file gets 0600, and one that is there keeps
    /// its mode, less what others may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
    /// How the secret is written: `plain` (the default) or `base64`.
    #[serde(default, skip_serializing_if = "Encoding::is_plain")]
    pub encoding: Encoding,
}

impl DotenvSettings {
    /// Without anything that can be left out.
    pub fn new(path: impl Into<String>, variable: impl Into<String>) -> Self {
        let (path, variable) = (path.into(), variable.into());
        Self { path, variable, mode: None, encoding: Encoding::Plain }
    }
}

impl FileSettings {
    /// Without anything that can be left out.
    pub fn new(path: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self { path: path.into(), pointer: pointer.into(), mode: None, encoding: Encoding::Plain }
    }
}

impl Described for DotenvSettings {
    fn place(&self) -> String {
        let Self { path, variable, mode: _, encoding: _ } = self;
        in_file(path, variable)
    }

    fn container(&self) -> Option<String> {
        Some(normal_path(&self.path))
    }

    fn faults(&self) -> Vec<Fault> {
        vec![("variable", unless(is_variable(&self.variable), VARIABLE)), ("path", path(&self.path))]
    }

    fn manner(&self) -> Option<Value> {
        Some(json!([self.mode, self.encoding]))
    }
}

impl Described for FileSettings {
    fn place(&self) -> String {
        let Self { path, pointer, mode: _, encoding: _ } = self;
        in_file(path, pointer)
    }

    fn pointer(&self) -> Option<&str> {
        Some(&self.pointer)
    }

    /// JSON is YAML: a value of one file is the same value by either kind.
    fn reached(&self) -> Option<String> {
        Some(format!("file:{}", self.place()))
    }

    fn container(&self) -> Option<String> {
        Some(normal_path(&self.path))
    }

    fn faults(&self) -> Vec<Fault> {
        vec![("pointer", unless(is_pointer(&self.pointer), POINTER)), ("path", path(&self.path))]
    }

    fn manner(&self) -> Option<Value> {
        Some(json!([self.mode, self.encoding]))
    }
}

/// A value in a file; a `#` of the path is told from the one before the field.
pub(super) fn in_file(file: &str, field: &str) -> String {
    format!("{}#{field}", normal_path(file).replace('\\', "\\\\").replace('#', "\\#"))
}

/// Who may read and write a file: its owner and perhaps its group, others never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileMode(u32);

/// Why a text is not a [`FileMode`], and what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Self::HELP)]
pub struct FileModeError;

impl FileModeError {
    pub const HELP: &str = "write octal digits in quotes that let the owner read, nobody run it, and others do nothing: \"0600\", \"0640\" or \"0660\"";
}

impl FileMode {
    /// What a new file gets.
    pub const PRIVATE: Self = Self(0o600);

    /// What the schema says of it.
    const PATTERN: &str = "^0?[46][0246]0$";

    /// What is left of a file's mode once others may do nothing. The bits that make a program run as another user mean
    /// nothing to a file that holds a secret.
    pub fn without_others(bits: u32) -> Self {
        Self(bits & 0o770)
    }

    pub fn bits(self) -> u32 {
        self.0
    }
}

impl FromStr for FileMode {
    type Err = FileModeError;

    fn from_str(text: &str) -> Result<Self, FileModeError> {
        let digits = if text.len() == 4 { text.strip_prefix('0') } else { Some(text) };
        match digits.map(str::as_bytes) {
            Some([owner @ (b'4' | b'6'), group @ (b'0' | b'2' | b'4' | b'6'), b'0']) => {
                Ok(Self(u32::from(owner - b'0') << 6 | u32::from(group - b'0') << 3))
            }
            _ => Err(FileModeError),
        }
    }
}

impl TryFrom<String> for FileMode {
    type Error = FileModeError;

    fn try_from(text: String) -> Result<Self, FileModeError> {
        text.parse()
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> Self {
        mode.to_string()
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for FileMode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FileMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": Self::PATTERN })
    }
}

/// How a secret is written into a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// In base64, as the `data` of a Kubernetes Secret is.
    Base64,
}

impl Encoding {
    pub const NAMES: [(&str, Self); 2] = [("plain", Self::Plain), ("base64", Self::Base64)];

    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

impl JsonSchema for Encoding {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Encoding".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Self::NAMES.map(|(name, _)| name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_lets_others_do_anything_is_none() {
        for (text, bits) in [("0600", 0o600), ("640", 0o640), ("0660", 0o660), ("0440", 0o440)] {
            let mode: FileMode = text.parse().expect(text);
            assert_eq!(mode.bits(), bits);
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for text in [
            "",
            "0",
            "0644",
            "0604",
            "0700",
            "0650",
            "0240",
            "00600",
            "600 ",
            "rw-r-----",
            "2640",
            "0o600",
            "6é",
        ] {
            assert_eq!(text.parse::<FileMode>(), Err(FileModeError), "{text}");
        }
    }

    #[test]
    fn encodings_are_named_as_json_names_them() {
        for (name, encoding) in Encoding::NAMES {
            assert_eq!(serde_json::to_value(encoding).expect("plain data"), name);
        }
    }

    /// What older states and manifests say is what is written still.
    #[test]
    fn what_is_left_out_is_not_written() {
        let settings = FileSettings::new("a.json", "/key");
        let text = r#"{"path":"a.json","pointer":"/key"}"#;
        assert_eq!(serde_json::to_string(&settings).expect("plain data"), text);
        assert_eq!(serde_json::from_str::<FileSettings>(text).expect("settings"), settings);
    }
}
