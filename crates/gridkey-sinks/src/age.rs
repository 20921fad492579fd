//! Files encrypted to age recipients: written and never read, as gridkey has none of their identities.
//!
//! A file says in its header which key it holds, in a stanza of gridkey's own (`-> gridkey KEY_ID`). Programs that read age
//! files pass over stanzas that they do not know. So gridkey tells its own files from others', which it neither
//! replaces nor deletes.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::path::PathBuf;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, EncryptError, Encryptor};
use age_core::format::{FileKey, Stanza};
use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::AgeSettings;
use gridkey_core::{KeyId, Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use zeroize::Zeroizing;

use crate::adapter::{Adapter, Put};
use crate::digest::sha256;
use crate::file::{Content, Files, Swap, WholeFile};
use crate::format::Held;

/// What gridkey's stanza begins with.
const STANZA: &str = "gridkey";

/// How often a write starts anew where another program changed the file meanwhile.
const ATTEMPTS: usize = 3;

/// More than a file has that is encrypted to a hundred keys.
const ROOM: usize = 64 << 10;

/// A file that holds one secret, encrypted.
pub(crate) struct AgeAdapter<'a> {
    pub files: &'a Files,
    pub file: WholeFile,
    pub settings: &'a AgeSettings,
    pub recipients_file: Option<PathBuf>,
}

type PublicKey = Box<dyn age::Recipient + Send + Sync>;

/// Whom a file is encrypted to.
struct Recipients {
    keys: Vec<PublicKey>,
    /// The keys in their own spelling, in order, each once.
    names: BTreeSet<String>,
}

/// Whose file it is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    /// There is none, or it is empty.
    Nobody,
    /// gridkey's, with the key that it says it holds.
    Gridkey(KeyId),
    /// An age file that gridkey did not write.
    Others,
}

#[async_trait]
impl Adapter for AgeAdapter<'_> {
    async fn check(&self) -> Result<Readiness, SinkError> {
        self.recipients()?;
        self.replaceable().await?;
        self.files.can_take(self.file.clone(), ROOM).await?;
        Ok(Readiness::Proven)
    }

    async fn held(&self) -> Result<Held, SinkError> {
        Err(SinkError::unsupported("an age file cannot be read without an identity, and gridkey has none"))
    }

    /// That a file is the one that was written is told by its bytes alone: what it says of itself could be copied from another.
    /// A file of gridkey's that says that it holds another key is believed, as it is not taken for the right one then. Who may read
    /// the next file is no matter of this one.
    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let content = self.files.content(self.file.clone()).await?;
        if let (Some(known), Some(bytes)) = (known, &content)
            && known.receipt.as_str().split('+').next() == Some(&*written(bytes))
        {
            return Ok(SinkContent::Key(known.id.clone()));
        }
        // What is no age file is somebody else's, too.
        Ok(match self.owner(&content).unwrap_or(Owner::Others) {
            Owner::Nobody => SinkContent::Empty,
            Owner::Gridkey(id) if known.is_some_and(|known| known.id != id) => SinkContent::Key(id),
            Owner::Gridkey(_) | Owner::Others => SinkContent::Other,
        })
    }

    /// What stands against a write is told when it is planned, as nothing of the file is observed.
    async fn caveats(&self) -> Vec<SinkCaveat> {
        let stands_against = match self.recipients() {
            Ok(_) => self.replaceable().await.err(),
            Err(error) => Some(error),
        };
        match stands_against {
            Some(error) => vec![SinkCaveat::NotWritable(error.with_help())],
            None => self.files.caveats_of_whole(self.file.clone()).await,
        }
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let recipients = self.recipients().map_err(PutError::Refused)?;
        let id = KeyId::of_secret(put.secret.expose())
            .ok_or_else(|| PutError::refused(self.file.says("what is to be written is no SendGrid key")))?;
        for _ in 0..ATTEMPTS {
            let old = self.files.content(self.file.clone()).await?;
            if let (Some(known), Some(bytes)) = (put.known, &old)
                && known.id == id
                && known.receipt == self.receipt(bytes, &recipients)
            {
                return Ok(Some(known.receipt.clone()));
            }
            if self.owner(&old).map_err(PutError::Refused)? == Owner::Others {
                return Err(PutError::Refused(self.not_ours()));
            }
            let new = recipients.encrypt(put.secret.expose(), &id, self.format());
            let new = new.map_err(|error| PutError::refused(self.file.says(error)))?;
            let receipt = self.receipt(&new, &recipients);
            match self.files.swap(self.file.clone(), old, Zeroizing::new(new)).await? {
                Swap::Done => return Ok(Some(receipt)),
                Swap::Changed => {}
            }
        }
        Err(PutError::Refused(self.busy()))
    }

    /// The file is the value, so it goes. One that gridkey did not write stays.
    async fn remove(&self) -> Result<(), SinkError> {
        for _ in 0..ATTEMPTS {
            let content = self.files.content(self.file.clone()).await?;
            match self.owner(&content)? {
                Owner::Nobody => return Ok(()),
                Owner::Others => return Err(self.not_ours()),
                Owner::Gridkey(_) => {}
            }
            let Some(content) = content else { return Ok(()) };
            match self.files.delete(self.file.clone(), content).await? {
                Swap::Done => return Ok(()),
                Swap::Changed => {}
            }
        }
        Err(self.busy())
    }
}

impl AgeAdapter<'_> {
    /// All recipients, of the settings and of their file.
    fn recipients(&self) -> Result<Recipients, SinkError> {
        let invalid = |message: String, help: &str| SinkError::new(SinkFault::Invalid, message).help(help);
        let mut recipients = Recipients { keys: Vec::new(), names: BTreeSet::new() };
        for (index, text) in self.settings.recipients.iter().enumerate() {
            let why = |(why, help)| invalid(format!("item {} of `recipients` {why}", index + 1), help);
            recipients.add(text).map_err(why)?;
        }
        if let Some(path) = &self.recipients_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let message = format!("`{}`, the `recipients_file`, cannot be read: {error}", path.display());
                SinkError::new(SinkFault::Invalid, message)
            })?;
            for (index, line) in text.lines().enumerate() {
                if line.trim().is_empty() || line.trim_start().starts_with('#') {
                    continue;
                }
                let why =
                    |(why, help)| invalid(format!("line {} of `{}` {why}", index + 1, path.display()), help);
                recipients.add(line).map_err(why)?;
            }
        }
        match recipients.keys.is_empty() {
            true => Err(invalid(
                self.file.says("nobody could read it, as no recipient is given"),
                "list public keys in `recipients`, or in the `recipients_file`, one in a line",
            )),
            false => Ok(recipients),
        }
    }

    /// Whether the file is one that gridkey may write over.
    async fn replaceable(&self) -> Result<(), SinkError> {
        match self.owner(&self.files.content(self.file.clone()).await?)? {
            Owner::Nobody | Owner::Gridkey(_) => Ok(()),
            Owner::Others => Err(self.not_ours()),
        }
    }

    fn owner(&self, content: &Content) -> Result<Owner, SinkError> {
        match content.as_deref() {
            None => Ok(Owner::Nobody),
            Some(bytes) if bytes.is_empty() => Ok(Owner::Nobody),
            Some(bytes) => owner(bytes).ok_or_else(|| {
                let message = self.file.says("it holds something that is no age file");
                SinkError::new(SinkFault::Conflict, message)
                    .help("name another `path`, or move the file away if nothing needs it")
            }),
        }
    }

    fn not_ours(&self) -> SinkError {
        let message = self.file.says("it is an age file that gridkey did not write");
        SinkError::new(SinkFault::Conflict, message)
            .help("name another `path`, or move the file away if nothing needs it")
    }

    fn busy(&self) -> SinkError {
        let message = "another program keeps changing it; run again once that is done";
        SinkError::new(SinkFault::Conflict, self.file.says(message))
    }

    fn format(&self) -> Format {
        if self.settings.armor.unwrap_or(true) { Format::AsciiArmor } else { Format::Binary }
    }

    /// The file, and whom it is for: who is added or taken away is another version though no byte is another yet.
    fn receipt(&self, file: &[u8], recipients: &Recipients) -> Receipt {
        let form = match self.format() {
            Format::AsciiArmor => "armor",
            Format::Binary => "binary",
        };
        let manner = std::iter::once(form).chain(recipients.names.iter().map(String::as_str));
        let manner = manner.collect::<Vec<_>>().join("\n");
        Receipt::new(format!("{}+{}", written(file), &sha256(manner.as_bytes())[..16]))
    }
}

/// The part of a receipt that is about the file.
fn written(file: &[u8]) -> String {
    format!("sha256:{}", sha256(file))
}

impl Recipients {
    /// Adds a public key in one of the spellings of age; says what is wrong with it, and what to do.
    fn add(&mut self, text: &str) -> Result<(), (String, &'static str)> {
        let (key, name) = recipient(text.trim())?;
        if self.names.insert(name) {
            self.keys.push(key);
        }
        Ok(())
    }

    fn encrypt(&self, secret: &str, id: &KeyId, format: Format) -> Result<Vec<u8>, String> {
        let cannot = |error: &dyn std::fmt::Display| format!("it cannot be encrypted: {error}");
        let mark = Mark(id);
        let keys = self.keys.iter().map(|key| &**key as &dyn age::Recipient);
        let all = keys.chain(std::iter::once(&mark as &dyn age::Recipient));
        let encryptor = Encryptor::with_recipients(all).map_err(|error| cannot(&error))?;
        let encrypted = || {
            let armored = ArmoredWriter::wrap_output(Vec::new(), format)?;
            let mut writer = encryptor.wrap_output(armored)?;
            writer.write_all(secret.as_bytes())?;
            writer.finish()?.finish()
        };
        encrypted().map_err(|error| cannot(&error))
    }
}

/// The stanza that says which key a file holds; it gives nobody the file's key.
struct Mark<'k>(&'k KeyId);

impl age::Recipient for Mark<'_> {
    fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let stanza =
            Stanza { tag: STANZA.to_string(), args: vec![self.0.as_str().to_string()], body: Vec::new() };
        Ok((vec![stanza], HashSet::new()))
    }
}

/// Looks at the stanzas of a file, and opens none.
#[derive(Default)]
struct Look(Cell<Option<String>>);

impl age::Identity for Look {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        if let (STANZA, [id]) = (stanza.tag.as_str(), stanza.args.as_slice()) {
            self.0.set(Some(id.clone()));
        }
        None
    }
}

/// Whose age file it is; `None` for something else.
fn owner(bytes: &[u8]) -> Option<Owner> {
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(bytes)).ok()?;
    let look = Look::default();
    // It cannot be opened: that is what is looked for.
    let _ = decryptor.decrypt(std::iter::once(&look as &dyn age::Identity));
    Some(look.0.into_inner().map_or(Owner::Others, |id| Owner::Gridkey(KeyId::new(id))))
}

/// A public key, and its one spelling.
fn recipient(text: &str) -> Result<(PublicKey, String), (String, &'static str)> {
    const KINDS: &str = "a recipient is a public key: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`";
    if text.starts_with("AGE-SECRET-KEY-") || text.starts_with("-----BEGIN") {
        let help = "take it out, as who can read the file can read all that it opens, and write the public key, which `age-keygen -y` tells";
        return Err(("is a private key".to_string(), help));
    }
    if text.starts_with("ssh-") {
        let key = text.parse::<age::ssh::Recipient>().map_err(|error| (not_ssh(error), KINDS))?;
        let name = key.to_string();
        return Ok((Box::new(key), name));
    }
    if let Ok(key) = text.parse::<age::x25519::Recipient>() {
        let name = key.to_string();
        return Ok((Box::new(key), name));
    }
    let is_of_a_plugin = text.strip_prefix("age1").is_some_and(|rest| rest.contains('1'));
    match is_of_a_plugin {
        true => Err((
            "is a key of another kind than X25519, such as that of a plug-in".to_string(),
            "gridkey encrypts to `age1…` keys that `age-keygen` makes, and to `ssh-ed25519` and `ssh-rsa` keys",
        )),
        false => Err(("is no public key that age knows; a letter of it may be wrong".to_string(), KINDS)),
    }
}

fn not_ssh(error: age::ssh::ParseRecipientKeyError) -> String {
    use age::ssh::ParseRecipientKeyError as Error;
    match error {
        Error::RsaModulusTooSmall => "is an RSA key of less than 2048 bits, which is too weak".to_string(),
        Error::RsaModulusTooLarge => {
            "is an RSA key of more than 4096 bits, which age does not take".to_string()
        }
        Error::Unsupported(kind) => {
            format!("is an SSH key of the kind `{kind}`, which age cannot encrypt to")
        }
        Error::Ignore | Error::Invalid(_) => "is no SSH public key; a letter of it may be wrong".to_string(),
        // The library may come to know more.
        _ => "is no SSH public key that age can encrypt to".to_string(),
    }
}
