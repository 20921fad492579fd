//! Talking to an API server: one client for each cluster and credential, and one new login where a token has ended.

use std::sync::Arc;

use bytes::Bytes;
use gridkey_core::credential::Credential;
use gridkey_core::sink::KubernetesSettings;
use gridkey_engine::ports::{SinkError, SinkFault};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, Method, Proxy};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::kubeconfig::{self, Access};
use crate::http::{self, Answer, Unanswered};
use crate::kept::Kept;
use crate::machine::Machine;

/// What tells logins apart.
type Login = (Option<String>, Option<String>, Option<String>, Option<Credential>);

/// The clusters of a manifest that were asked so far.
#[derive(Default)]
pub(crate) struct Clusters {
    sessions: Kept<Login, Session>,
}

/// A client of one cluster, with its credential.
struct Session {
    client: reqwest::Client,
    server: Url,
    headers: HeaderMap,
}

/// A request, without the cluster that it is for.
pub(super) struct Request {
    pub method: Method,
    pub path: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    /// The kind of patch, and the patch.
    pub body: Option<(&'static str, Bytes)>,
}

impl Request {
    pub fn get(path: Vec<String>) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None }
    }
}

impl Clusters {
    /// Asks the cluster of these settings. A credential that is not known any more is looked up anew, once.
    pub(super) async fn ask(
        &self,
        machine: &Machine,
        settings: &KubernetesSettings,
        request: &Request,
    ) -> Result<Answer, Unanswered> {
        let login = login(settings);
        let log_in = || self.sessions.get(&login, Session::open(machine, settings));
        self.sessions
            .ask(&login, log_in, |session: Arc<Session>| async move { session.send(request).await })
            .await
    }
}

fn login(settings: &KubernetesSettings) -> Login {
    let KubernetesSettings { address, kubeconfig, context, token, .. } = settings;
    (address.clone(), kubeconfig.clone(), context.clone(), token.clone())
}

/// A session is another one where it says something else of who asks.
impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server && self.headers == other.headers
    }
}

impl Session {
    async fn open(machine: &Machine, settings: &KubernetesSettings) -> Result<Self, SinkError> {
        let mut access = kubeconfig::find(machine, settings)?;
        if let Some(credential) = &settings.token {
            access.user.token = Some(printed_token(machine.credential(credential).await?)?);
        }
        let mut headers = std::mem::take(&mut access.user.impersonation);
        if let Some(token) = &access.user.token {
            let bearer = Zeroizing::new(format!("Bearer {}", token.as_str()));
            let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| {
                SinkError::new(
                    SinkFault::Unauthenticated,
                    "the token for the API server has characters that no token has",
                )
            })?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let (client, server) = client(access)?;
        Ok(Self { client, server, headers })
    }

    async fn send(&self, request: &Request) -> Result<Answer, Unanswered> {
        let url = http::below(self.server.clone(), &request.path);
        http::send(|| {
            let built = self.client.request(request.method.clone(), url.clone());
            let built = built.headers(self.headers.clone()).query(&request.query);
            match &request.body {
                Some((kind, body)) => built.header(CONTENT_TYPE, *kind).body(body.clone()),
                None => built,
            }
        })
        .await
    }
}

/// A token as it is, or in the document that plug-ins of kubeconfigs print.
fn printed_token(printed: Zeroizing<String>) -> Result<Zeroizing<String>, SinkError> {
    #[derive(Deserialize)]
    struct Document {
        status: Option<Status>,
    }
    #[derive(Deserialize)]
    struct Status {
        token: Option<String>,
    }
    if !printed.starts_with('{') {
        return Ok(printed);
    }
    let document: Option<Document> = serde_json::from_str(&printed).ok();
    let token = document.and_then(|document| document.status?.token).map(Zeroizing::new);
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        SinkError::new(
            SinkFault::Unauthenticated,
            "what is printed as the `token` is JSON without a token in it",
        )
        .help("it is the token alone, or an `ExecCredential` with `status.token`")
    })
}

/// A client for the cluster, and the address that it is asked at.
fn client(access: Access) -> Result<(reqwest::Client, Url), SinkError> {
    let Access { mut server, authorities, server_name, proxy, user } = access;
    let unusable = |what: &str, error: &reqwest::Error| {
        SinkError::new(
            SinkFault::Invalid,
            format!("{what} of the API server cannot be used: {}", http::cause(error)),
        )
    };
    let mut builder = http::builder();
    if let Some(pem) = &authorities {
        let certificates =
            Certificate::from_pem_bundle(pem).map_err(|error| unusable("the authority", &error))?;
        if certificates.is_empty() {
            return Err(SinkError::new(
                SinkFault::Invalid,
                "the authority of the API server holds no certificate",
            ));
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(pem) = &user.identity {
        let identity =
            Identity::from_pem(pem).map_err(|error| unusable("the client certificate or key", &error))?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = &proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(|error| unusable("the proxy", &error))?);
    }
    if let Some(name) = &server_name {
        builder = builder.dns_resolver(Arc::new(http::renamed(&mut server, name)?));
    }
    let client = builder.build().map_err(|error| unusable("the certificates", &error))?;
    Ok((client, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(printed: &str) -> Option<String> {
        printed_token(Zeroizing::new(printed.to_string())).ok().map(|token| token.to_string())
    }

    #[test]
    fn a_token_is_read_from_what_plug_ins_print() {
        let document = r#"{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1", "spec": {},
            "status": {"expirationTimestamp": "2026-11-29T16:40:00Z", "token": "k8s-aws-v1.abc"}}"#;
        assert_eq!(token(document).as_deref(), Some("k8s-aws-v1.abc"));
        assert_eq!(token("abc.def.ghi").as_deref(), Some("abc.def.ghi"));
        for other in ["{}", r#"{"status": {}}"#, r#"{"status": {"token": ""}}"#, "{nonsense"] {
            assert_eq!(token(other), None, "{other}");
        }
    }
}
