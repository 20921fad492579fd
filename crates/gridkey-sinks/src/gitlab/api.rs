//! Requests to GitLab's API, and what its answers mean.

use std::sync::Arc;

use bytes::Bytes;
use gridkey_core::sink::{GITLAB, GitlabCiSettings};
use gridkey_engine::ports::{SinkError, SinkFault};
use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::Gitlab;
use crate::http::{self, Answer, Tls, Unanswered};
use crate::machine::Machine;

/// The variable that holds a token where the settings name none.
const TOKEN: &str = "GITLAB_TOKEN";

/// The API as one location reaches it.
pub(super) struct Api<'a> {
    kept: &'a Gitlab,
    machine: &'a Machine,
    settings: &'a GitlabCiSettings,
}

/// A variable, as GitLab shows it.
#[derive(Deserialize)]
pub(super) struct Variable {
    pub key: String,
    /// Nothing where it is hidden.
    #[serde(default, deserialize_with = "wiped")]
    pub value: Option<Zeroizing<String>>,
    #[serde(default)]
    pub masked: bool,
    #[serde(default)]
    pub protected: bool,
    pub variable_type: Option<String>,
    /// Variables of the instance have none, nor do those of groups of old servers.
    pub environment_scope: Option<String>,
}

/// A token's record of itself.
#[derive(Deserialize)]
pub(super) struct TokenRecord {
    pub scopes: Vec<String>,
}

/// What GitLab says when something is not as it should be: a text, or texts by field.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    message: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    error_description: Value,
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|value| value.map(Zeroizing::new))
}

impl<'a> Api<'a> {
    pub fn new(kept: &'a Gitlab, machine: &'a Machine, settings: &'a GitlabCiSettings) -> Self {
        Self { kept, machine, settings }
    }

    /// The answer to a request. A token that GitLab does not know any more is looked up anew, once: it did nothing.
    pub async fn ask(
        &self,
        method: &Method,
        (path, scope): (&[&str], Option<&str>),
        body: Option<&Bytes>,
    ) -> Result<Answer, Unanswered> {
        let (client, url) = self.address(path, scope).map_err(Unanswered::NotSent)?;
        let (client, url) = (&client, &url);
        let send = |token: Arc<Zeroizing<String>>| async move {
            let build = || {
                let built = client.request(method.clone(), url.clone()).bearer_auth(token.as_str());
                match body {
                    Some(body) => built.header("content-type", "application/json").body(body.clone()),
                    None => built,
                }
            };
            http::send(build).await
        };
        self.kept.tokens.ask(&self.settings.token, || self.token(), send).await
    }

    async fn token(&self) -> Result<Arc<Zeroizing<String>>, SinkError> {
        let find = async {
            match &self.settings.token {
                Some(credential) => self.machine.credential(credential).await,
                None => self.machine.first_variable(&[TOKEN]).ok_or_else(|| {
                    let message = format!("no token for GitLab: `{TOKEN}` is not set");
                    SinkError::new(SinkFault::Unauthenticated, message)
                        .help("set it, or say under `token` where one is found")
                }),
            }
        };
        self.kept.tokens.get(&self.settings.token, find).await
    }

    /// Each segment is encoded by itself, and once: a project's path is one segment, slashes and all.
    fn address(&self, path: &[&str], scope: Option<&str>) -> Result<(reqwest::Client, Url), SinkError> {
        let server = http::url(self.settings.address.as_deref().unwrap_or(GITLAB))?;
        let mut url = http::below(server, ["api", "v4"].iter().chain(path));
        if let Some(scope) = scope {
            url.query_pairs_mut().append_pair("filter[environment_scope]", scope);
        }
        let authorities = self.settings.ca_bundle.as_deref().map(|path| self.machine.path(path));
        Ok((self.machine.http.client(&Tls { authorities, ..Tls::default() })?, url))
    }
}

/// What GitLab said, in one line; nothing where the answer is not GitLab's.
pub(super) fn said(answer: &Answer) -> Option<String> {
    // The one answer that is plain text.
    if answer.status == 429 {
        return Some(String::from_utf8_lossy(&answer.body).into_owned());
    }
    let Said { message, error, error_description } = answer.json().ok()?;
    let texts = [message, error, error_description].into_iter().filter_map(|value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    });
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(": "))
}
