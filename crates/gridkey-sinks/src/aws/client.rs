//! Signed requests to one service of AWS in one region.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use gridkey_engine::ports::{SinkError, SinkFault};
use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::login::Login;
use super::said::{Fail, Said};
use super::{Access, Aws};
use crate::http::{self, Answer, Tls};
use crate::machine::Machine;

/// How often a request is sent that AWS asks to be sent later, and the first pause before that.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    SecretsManager,
    Ssm,
    /// Where roles are taken on.
    Sts,
}

impl Service {
    /// In host names, signatures and permissions.
    fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    /// What its actions are called in requests.
    fn target(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "AmazonSSM",
            Self::Sts => "AWSSecurityTokenServiceV20110615",
        }
    }

    /// The variable that says where it is.
    fn variable(self) -> &'static str {
        match self {
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }
}

/// One service, asked about one thing.
pub(super) struct Client<'a> {
    machine: &'a Machine,
    access: &'a Access,
    service: Service,
    /// What it is asked about, for errors.
    place: String,
}

/// A client that logs in, and keeps that.
pub(super) struct Session<'a> {
    client: Client<'a>,
    login: Arc<Login>,
}

/// The client for an access.
pub(super) fn http(machine: &Machine, access: &Access) -> Result<reqwest::Client, SinkError> {
    let bundle = access.ca_bundle.clone().or_else(|| machine.variable("AWS_CA_BUNDLE"));
    let authorities = bundle.map(|path| machine.path(&path));
    machine.http.client(&Tls { authorities, ..Tls::default() })
}

impl<'a> Session<'a> {
    pub fn new(machine: &'a Machine, aws: &Aws, access: &'a Access, service: Service, place: String) -> Self {
        Self { login: aws.login(access), client: Client::new(machine, access, service, place) }
    }

    /// Calls an action, and logs in anew, once, where the credentials are refused that were good before.
    pub async fn call<T: DeserializeOwned>(&self, action: &str, body: &impl Serialize) -> Result<T, Fail> {
        let body = http::secret_body(body);
        let mut is_second = false;
        loop {
            let Client { machine, access, .. } = &self.client;
            let credentials = self.login.credentials(machine, access).await.map_err(Fail::Surely)?;
            match self.client.json(action, &body, &credentials).await {
                Err(Fail::Said(said)) if said.fault() == SinkFault::Unauthenticated && !is_second => {
                    self.login.forget(&credentials).await;
                    is_second = true;
                }
                Err(fail) => return Err(fail),
                Ok(answer) => return answer.json().map_err(|error| Fail::Unclear(self.client.at(error))),
            }
        }
    }

    /// An error with what it is about.
    pub fn at(&self, error: SinkError) -> SinkError {
        self.client.at(error)
    }
}

impl<'a> Client<'a> {
    pub fn new(machine: &'a Machine, access: &'a Access, service: Service, place: String) -> Self {
        Self { machine, access, service, place }
    }

    /// Both services speak JSON, to one address.
    async fn json(&self, action: &str, body: &Bytes, credentials: &Credentials) -> Result<Answer, Fail> {
        let target = format!("{}.{action}", self.service.target());
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)];
        let permission = format!("{}:{action}", self.service.name());
        self.send(&headers, body, credentials, |answer| Said::of_json(answer, &permission, &self.place)).await
    }

    /// The token service speaks forms and XML.
    pub async fn query(
        &self,
        action: &str,
        form: &[(&str, &str)],
        credentials: &Credentials,
    ) -> Result<Answer, Fail> {
        let all = [("Action", action), ("Version", "2011-06-15")];
        let all = all.iter().chain(form);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let permission = format!("{}:{action}", self.service.name());
        let said = |answer: &Answer| {
            let xml = Said::of_xml(answer, &permission, &self.place);
            xml.or_else(|| Said::of_json(answer, &permission, &self.place))
        };
        self.send(&headers, &Bytes::from(body), credentials, said).await
    }

    async fn send(
        &self,
        headers: &[(&str, &str)],
        body: &Bytes,
        credentials: &Credentials,
        said: impl Fn(&Answer) -> Option<Said>,
    ) -> Result<Answer, Fail> {
        let client = http(self.machine, self.access).map_err(Fail::Surely)?;
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let request = self.signed(&client, headers, body, credentials).map_err(Fail::Surely)?;
            let again = || request.try_clone().expect("a body of bytes can be sent again");
            let answer = http::send(again).await.map_err(|fail| self.at_fail(fail.into()))?;
            if answer.is_success() {
                return Ok(answer);
            }
            let Some(said) = said(&answer) else {
                // A proxy, or a load balancer, and what is behind it is not known.
                let error = answer.error("the answer is not of AWS", "");
                let error = SinkError { fault: SinkFault::Failed, ..error };
                return Err(Fail::Unclear(self.at(error)));
            };
            if !said.is_throttled() || attempt == ATTEMPTS {
                return Err(Fail::Said(said));
            }
            tokio::time::sleep(pause + jitter(pause)).await;
            pause *= 2;
            attempt += 1;
        }
    }

    fn signed(
        &self,
        client: &reqwest::Client,
        headers: &[(&str, &str)],
        body: &Bytes,
        credentials: &Credentials,
    ) -> Result<RequestBuilder, SinkError> {
        let url = self.url()?;
        let wrong = |error: String| SinkError::failed(format!("a request to AWS cannot be signed: {error}"));
        let identity = credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.access.region)
            .name(self.service.name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| wrong(error.to_string()))?
            .into();
        let signable =
            SignableRequest::new("POST", url.as_str(), headers.iter().copied(), SignableBody::Bytes(body))
                .map_err(|error| wrong(error.to_string()))?;
        let (instructions, _) =
            sign(signable, &parameters).map_err(|error| wrong(error.to_string()))?.into_parts();
        let mut request = client.post(url).body(body.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(request)
    }

    /// What the manifest says, or a variable, or the region's own address.
    fn url(&self) -> Result<Url, SinkError> {
        let given = match self.service {
            Service::SecretsManager | Service::Ssm => self.access.endpoint_url.clone(),
            // The setting is of the one service.
            Service::Sts => None,
        };
        let is_set = |name| self.machine.variable(name).is_some_and(|value| value == "true");
        let of_variables = || match is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            true => None,
            false => [self.service.variable(), "AWS_ENDPOINT_URL"]
                .iter()
                .find_map(|name| self.machine.variable(name)),
        };
        let own = || {
            address(
                self.service.name(),
                &self.access.region,
                is_set("AWS_USE_FIPS_ENDPOINT"),
                is_set("AWS_USE_DUALSTACK_ENDPOINT"),
            )
        };
        http::url(&given.or_else(of_variables).unwrap_or_else(own))
    }

    fn at(&self, error: SinkError) -> SinkError {
        SinkError { message: format!("{}: {}", self.place, error.message), ..error }
    }

    fn at_fail(&self, fail: Fail) -> Fail {
        match fail {
            Fail::Said(said) => Fail::Said(said),
            Fail::Surely(error) => Fail::Surely(self.at(error)),
            Fail::Unclear(error) => Fail::Unclear(self.at(error)),
        }
    }
}

/// The address of a service in a region.
fn address(service: &str, region: &str, fips: bool, dual_stack: bool) -> String {
    let domain = match region {
        _ if region.starts_with("cn-") && dual_stack => "api.amazonwebservices.com.cn",
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        _ if region.starts_with("eusc-") => "amazonaws.eu",
        _ if dual_stack => "api.aws",
        _ => "amazonaws.com",
    };
    let fips = if fips { "-fips" } else { "" };
    format!("https://{service}{fips}.{region}.{domain}")
}

/// Some part of a pause, so that many that were told to wait do not come back at once.
fn jitter(pause: Duration) -> Duration {
    let nanoseconds =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    pause * (nanoseconds / 1000 % 512) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_addresses_of_their_own() {
        for (region, fips, dual_stack, host) in [
            ("eu-west-1", false, false, "ssm.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", true, false, "ssm-fips.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, false, "ssm.cn-north-1.amazonaws.com.cn"),
            ("eu-west-1", false, true, "ssm.eu-west-1.api.aws"),
            ("eusc-de-east-1", false, false, "ssm.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(address("ssm", region, fips, dual_stack), format!("https://{host}"));
        }
    }
}
