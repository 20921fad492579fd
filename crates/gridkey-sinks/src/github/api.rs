//! Requests to GitHub's API, and what its answers mean.

use std::sync::Arc;

use bytes::Bytes;
use gridkey_core::sink::{GITHUB_API, GithubActionsSettings, GithubAppSettings, GithubAuthSettings};
use gridkey_engine::ports::{SinkError, SinkFault};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use url::Url;

use super::login::{self, InstallationToken, Login};
use super::place::Place;
use super::{Github, LoginKey};
use crate::http::{self, Answer, Tls, Unanswered};
use crate::machine::Machine;

/// The version of the API that this is written for. Servers of enterprises take it as well.
const VERSION: &str = "2022-11-28";

/// The API as one location reaches it.
pub(super) struct Api<'a> {
    kept: &'a Github,
    machine: &'a Machine,
    settings: &'a GithubActionsSettings,
    place: Place<'a>,
}

/// One request, before it is made.
pub(super) struct Request<'r> {
    pub method: Method,
    /// Each is encoded by itself, and once: the name of an environment may hold a slash.
    pub path: &'r [&'r str],
    pub query: &'r str,
    pub body: Option<Bytes>,
}

/// What GitHub says when something is not as it should be.
#[derive(Default, Deserialize)]
struct Said {
    message: String,
}

impl<'r> Request<'r> {
    pub fn get(path: &'r [&'r str]) -> Self {
        Self { method: Method::GET, path, query: "", body: None }
    }
}

impl<'a> Api<'a> {
    pub fn new(
        kept: &'a Github,
        machine: &'a Machine,
        settings: &'a GithubActionsSettings,
        place: Place<'a>,
    ) -> Self {
        Self { kept, machine, settings, place }
    }

    /// The answer to a request. A login that GitHub does not know any more is made anew, once: it did nothing.
    pub async fn ask(&self, request: &Request<'_>) -> Result<Answer, Unanswered> {
        let (client, url) = self.address(request.path, request.query).map_err(Unanswered::NotSent)?;
        let (client, url) = (&client, &url);
        let send = |login: Arc<Login>| async move {
            let build = || {
                let built = ours(client.request(request.method.clone(), url.clone()), &login.token);
                match &request.body {
                    Some(body) => built.header("content-type", "application/json").body(body.clone()),
                    None => built,
                }
            };
            http::send_unless(build, is_later).await
        };
        self.kept.logins.ask(&self.login_key(), || self.login(), send).await
    }

    /// The answer to a question, which wrote nothing whatever becomes of it.
    pub async fn look(&self, path: &[&str]) -> Result<Answer, SinkError> {
        Ok(self.ask(&Request::get(path)).await?)
    }

    /// What a login is made from.
    fn login_key(&self) -> LoginKey {
        (self.settings.api_url.clone(), self.settings.auth.clone())
    }

    pub async fn login(&self) -> Result<Arc<Login>, SinkError> {
        let make = async {
            match &self.settings.auth {
                Some(GithubAuthSettings::App(app)) => self.installation(app).await,
                auth @ (Some(GithubAuthSettings::Token(_)) | None) => {
                    login::token(self.machine, auth.as_ref()).await
                }
            }
        };
        self.kept.logins.get(&self.login_key(), make).await
    }

    /// A token for what an app is installed on.
    async fn installation(&self, app: &GithubAppSettings) -> Result<Login, SinkError> {
        let proof = login::proof(self.machine, app).await?;
        let path = ["app", "installations", &app.installation_id, "access_tokens"];
        let (client, url) = self.address(&path, "")?;
        let answer = http::send_unless(|| ours(client.post(url.clone()), &proof), is_later).await?;
        if answer.is_success() {
            return Ok(answer.json::<InstallationToken>()?.into());
        }
        let (id, installation) = (&app.client_id, &app.installation_id);
        let what = format!("GitHub gives the app `{id}` no token for its installation `{installation}`");
        let error = answer.error(&what, &said(&answer));
        Err(match answer.status {
            401 => error.help(
                "`client_id` and `private_key` are those of one app; the clock of this machine is right",
            ),
            404 => SinkError { fault: SinkFault::Unauthenticated, ..error }.help(
                "`installation_id` is the number at the end of the address of the app's installation page",
            ),
            403 => error.help("an installation that was suspended is resumed by its owner"),
            _ => error,
        })
    }

    fn address(&self, path: &[&str], query: &str) -> Result<(reqwest::Client, Url), SinkError> {
        let api = http::url(self.settings.api_url.as_deref().unwrap_or(GITHUB_API))?;
        let mut url = http::below(api, path);
        url.set_query((!query.is_empty()).then_some(query));
        let authorities = self.settings.ca_bundle.as_deref().map(|path| self.machine.path(path));
        Ok((self.machine.http.client(&Tls { authorities, ..Tls::default() })?, url))
    }

    /// What an answer means that is not what was asked for.
    pub fn error(&self, answer: &Answer, what: &str) -> SinkError {
        let owner = self.place.owner;
        let error = answer.error(what, &said(answer));
        if is_later(answer) {
            return SinkError { fault: SinkFault::Throttled, ..error }
                .help("GitHub limits how much it is asked; try again later");
        }
        match answer.status {
            // Answers from elsewhere say nothing of GitHub's.
            _ if !is_ours(answer) => SinkError { fault: SinkFault::Failed, ..error }.help(
                "the answer is not GitHub's: is there a proxy in between, or is `api_url` another server's?",
            ),
            401 => error.help("the token is unknown to GitHub, or it has ended: make another one"),
            403 => error.help(self.permission(answer)),
            301 | 302 | 307 | 308 => SinkError { fault: SinkFault::ContainerMissing, ..error }
                .help(format!("{owner} has another name now: write that one")),
            404 => error.help(format!(
                "{owner} does not exist, or the token may not see it; gridkey does not make it, and {}",
                self.place.need()
            )),
            _ => error,
        }
    }

    /// Which permission is missing: GitHub's own words, where it says them.
    fn permission(&self, answer: &Answer) -> String {
        if let Some(sign_on) = answer.header("x-github-sso").filter(|text| text.starts_with("required")) {
            let address = sign_on.split_once("url=").map_or("GitHub", |(_, address)| address);
            return format!(
                "the token has to be authorised for the organisation's single sign-on, at {address}"
            );
        }
        match answer.header("x-accepted-github-permissions").filter(|text| !text.is_empty()) {
            Some(needed) => {
                format!("GitHub asks for these permissions there: `{needed}`; {}", self.place.need())
            }
            None => self.place.need(),
        }
    }
}

/// The headers that every request has.
fn ours(request: RequestBuilder, token: &str) -> RequestBuilder {
    request
        .bearer_auth(token)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", VERSION)
}

/// Whether an error is in GitHub's own shape.
pub(super) fn is_ours(answer: &Answer) -> bool {
    answer.json::<Said>().is_ok()
}

fn said(answer: &Answer) -> String {
    answer.json::<Said>().unwrap_or_default().message
}

/// GitHub says "later" with 403, too: what is left of the limit, or the words, tell it from a missing permission.
fn is_later(answer: &Answer) -> bool {
    answer.status == 429
        || answer.status == 403
            && (answer.header("retry-after").is_some()
                || answer.header("x-ratelimit-remaining") == Some("0")
                || said(answer).to_ascii_lowercase().contains("rate limit"))
}
