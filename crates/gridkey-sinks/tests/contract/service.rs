//! What the contract suite needs of a service: real, or a double that the vendor's own client has judged.

#![allow(dead_code, reason = "what no kind of this build does is there for others")]

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;

use async_trait::async_trait;
use gridkey_core::{SinkKind, SinkLocation};

use crate::claim::Claim;
use crate::proxy::{Reply, Seen};

/// A service that runs on loopback, with an empty container for this run.
///
/// A service is asked through the proxy that the suite puts in front of it: [`Service::location`] and
/// [`Service::variables`] are given its address. What looks behind (`value`, `overwrite`, …) asks the service itself, by
/// the vendor's client where there is one.
#[async_trait]
pub trait Service: Send + Sync {
    /// What a real server says that it is, with its version: what is [`Listed`] has to be true.
    fn server(&self) -> Option<String> {
        None
    }

    /// The address that the proxy passes requests on to: `http://127.0.0.1:18200`; `https` where the service has
    /// nothing else, and the proxy takes plain HTTP all the same.
    fn upstream(&self) -> Upstream;

    /// A location that nobody has used, reached by way of `proxy` (`http://127.0.0.1:PORT`), in a container that is
    /// there. `folder` is the manifest's, for files that the settings name. The same name is the same place.
    async fn location(&self, proxy: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation;

    /// Variables of the environment that a client of that credential has.
    fn variables(&self, proxy: &str, as_whom: Whom) -> BTreeMap<String, String>;

    /// Another field of the document that a location is a part of; `None` where a location is a document of its own.
    fn beside(&self, location: &SinkLocation) -> Option<SinkLocation>;

    /// Locations in containers that are not there, each with a word that the error has to name.
    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)>;

    /// Other spellings of the very place.
    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation>;

    /// What the service holds there, by another way than gridkey's.
    async fn value(&self, location: &SinkLocation) -> Value;

    /// Older values that can be had in the service's own way, the newest first; without the current one.
    async fn older(&self, location: &SinkLocation) -> Vec<String>;

    /// Writes a text as another program would.
    async fn overwrite(&self, location: &SinkLocation, text: &str);

    /// Writes a text to another field of the document, and sets everything that a person can say of it besides: tags,
    /// labels, a description, a type.
    async fn adorn(&self, location: &SinkLocation);

    /// All that [`Service::adorn`] did, and whether it is still so: what is shown has to be the same text for ever.
    async fn adornments(&self, location: &SinkLocation) -> String;

    /// How often the location was written, and when and by whom: a text that changes with every write, and with nothing else.
    async fn history(&self, location: &SinkLocation) -> String;

    /// Deletes the location as another program would, so that the service remembers it, where it does.
    async fn delete(&self, location: &SinkLocation);

    /// Gives the location's value an end of its own, where the service has such a thing.
    async fn expire(&self, location: &SinkLocation);

    /// Ends the credential that gridkey has logged in with, where it has one that can end.
    async fn end_login(&self, location: &SinkLocation);

    /// Whether a request only looks.
    fn is_read(&self, request: &Seen) -> bool {
        matches!(request.method.as_str(), "GET" | "HEAD")
    }

    /// Whether a request writes a secret.
    fn is_write(&self, request: &Seen) -> bool {
        !self.is_read(request) && request.carries_secret()
    }

    /// Answers that ask for patience, and not for long: with and without a time.
    fn throttles(&self) -> Vec<Reply> {
        let plain = Reply::json(429, r#"{"message": "too many requests"}"#);
        vec![plain.clone(), plain.with("retry-after", "1")]
    }

    /// An answer that asks for more patience than one call has.
    fn throttles_for_long(&self) -> Reply {
        Reply::json(429, r#"{"message": "too many requests"}"#).with("retry-after", "3600")
    }

    /// Whether the service tells which key is there by a version's own name, so that neither a receipt nor a right to read
    /// secrets is needed for that.
    fn names_its_keys(&self) -> bool {
        false
    }

    /// Locations whose names or settings the service would not take, and which gridkey has to refuse without asking it.
    fn bad_names(&self, _location: &SinkLocation) -> Vec<SinkLocation> {
        Vec::new()
    }
}

/// A service of the suite: what is known of it as data, for the table, and how it is started.
#[derive(Clone, Copy)]
pub struct Listed {
    pub kind: SinkKind,
    /// The server and its version.
    pub server: &'static str,
    pub not_applicable: fn(Claim) -> Option<&'static str>,
    pub traits: Traits,
    /// What the variable `GRIDKEY_REQUIRE_…` of its server is called.
    pub required: &'static str,
    /// Starts it. Where a program that it needs is missing, the error says which.
    pub start: fn() -> Starting,
}

/// A service that starts.
pub type Starting = Pin<Box<dyn Future<Output = Result<Box<dyn Service>, String>> + Send>>;

/// Which credential a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// May do what the page of the sink asks for, and nothing else.
    Gridkey,
    /// Known, and may not write there.
    MayNotWrite,
    /// Known, and may write there and never read.
    MayNotRead,
    /// Not known to the service.
    Stranger,
}

/// How the proxy talks to the service.
pub struct Upstream {
    /// `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`.
    pub address: String,
    /// The authority of its certificate, in PEM, where it has one.
    pub authority: Option<Vec<u8>>,
}

/// What another way than gridkey's sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Nothing,
    Text(String),
    /// Something that is no text.
    Other,
}

/// How a kind of sink behaves, beyond what all of them promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// What becomes of a foreign write between a look and a put.
    pub conflicts: Conflicts,
    /// Whether a receipt alone tells which key is there, without a right to read secrets.
    pub is_told_by_receipt: bool,
    /// How many writes of the same value the service may show after one was repeated.
    pub writes_of_a_repeat: usize,
    /// How a check of a location that may be written comes out.
    pub check: Checked,
    /// What `remove` leaves.
    pub removal: Removal,
}

/// The grade of a sink's protection against other writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflicts {
    /// The service compares: the foreign value stays.
    Refuses,
    /// It is told right after, or by the next look.
    Detects,
}

/// How sure a check is of a location that may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    Proven,
    Plausible,
}

/// What is left of a value that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The location is empty.
    Gone,
    /// The service cannot, and says so.
    Unsupported,
}
