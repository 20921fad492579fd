//! The client that all sinks share, for what looks for credentials: token services, single sign-on, the metadata of machines.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use reqwest::Method;

/// One way of sending requests, with the time that one may take.
#[derive(Clone, Debug)]
struct Connector {
    client: reqwest::Client,
    settings: HttpConnectorSettings,
}

/// The client, as the vendor's crates take one.
pub(super) fn http_client(client: reqwest::Client) -> SharedHttpClient {
    http_client_fn(move |settings, _| {
        SharedHttpConnector::new(Connector { client: client.clone(), settings: settings.clone() })
    })
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.send(request).await })
    }
}

impl Connector {
    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
        let method = Method::from_bytes(request.method().as_bytes()).map_err(|error| user(error.into()))?;
        let mut sent = self.client.request(method, request.uri());
        for (name, value) in request.headers() {
            sent = sent.header(name, value);
        }
        // A machine that is in no cloud must not wait for one.
        let limits = [self.settings.connect_timeout(), self.settings.read_timeout()];
        if limits.iter().any(Option::is_some) {
            sent = sent.timeout(limits.into_iter().flatten().sum());
        }
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let response = sent.body(body).send().await.map_err(failed)?;
        let status = StatusCode::try_from(response.status().as_u16()).map_err(|error| user(error.into()))?;
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(failed)?;
        let mut answer = HttpResponse::new(status, SdkBody::from(body.to_vec()));
        for (name, value) in &headers {
            if let Ok(value) = value.to_str() {
                answer.headers_mut().append(name.as_str().to_string(), value.to_string());
            }
        }
        Ok(answer)
    }
}

fn failed(error: reqwest::Error) -> ConnectorError {
    match error.is_timeout() {
        true => ConnectorError::timeout(error.into()),
        false => ConnectorError::io(error.into()),
    }
}
