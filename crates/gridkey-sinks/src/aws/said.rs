//! What AWS says where it refuses something, and what that means.

use gridkey_engine::ports::{PutError, SinkError, SinkFault};
use serde::Deserialize;

use crate::http::{Answer, Unanswered, shown};

/// A refusal in the service's own shape.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Such as `ResourceNotFoundException`.
    pub code: String,
    message: String,
    /// Such as `secretsmanager:PutSecretValue`.
    action: String,
    /// What was asked about.
    place: String,
    /// The service itself failed, and may have done it or not.
    is_outage: bool,
}

/// A call without a result.
#[derive(Clone, Debug)]
pub(super) enum Fail {
    Said(Said),
    /// It surely changed nothing.
    Surely(SinkError),
    Unclear(SinkError),
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "__type")]
    code: String,
    /// Some services begin it with a capital, and some doubles have both.
    #[serde(default)]
    message: Option<String>,
    #[serde(rename = "Message", default)]
    capital: Option<String>,
}

/// What a code of AWS means: these are the ones that it answers with, of the two services and of all of them.
fn fault_of(code: &str, message: &str) -> SinkFault {
    match code {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "AuthFailure" => SinkFault::Unauthenticated,
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "DecryptionFailure"
        | "EncryptionFailure"
        | "InvalidKeyId" => SinkFault::Forbidden,
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "SlowDown"
        | "TooManyUpdates" => SinkFault::Throttled,
        "ResourceExistsException" | "ParameterAlreadyExists" => SinkFault::Conflict,
        "InvalidRequestException" if message.contains("deleted") || message.contains("deletion") => {
            SinkFault::Remembered
        }
        "RequestTimeout"
        | "RequestTimeoutException"
        | "InternalServiceError"
        | "InternalServerError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => SinkFault::Failed,
        _ => SinkFault::Invalid,
    }
}

impl Said {
    /// What a service said, if it is the service that said it: a proxy's page has another shape.
    pub fn of_json(answer: &Answer, action: &str, place: &str) -> Option<Self> {
        let Shape { code, message, capital } = answer.json().ok()?;
        let message = message.or(capital).unwrap_or_default();
        Some(Self::new(answer, &code, &message, action, place))
    }

    /// The same of a service that answers XML.
    pub fn of_xml(answer: &Answer, action: &str, place: &str) -> Option<Self> {
        let text = std::str::from_utf8(&answer.body).ok()?;
        let message = element(text, "Message").unwrap_or_default();
        Some(Self::new(answer, element(text, "Code")?, message, action, place))
    }

    fn new(answer: &Answer, code: &str, message: &str, action: &str, place: &str) -> Self {
        // It may come after a namespace, and before an address.
        let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or_default();
        Self {
            code: code.to_string(),
            message: shown(message),
            action: action.to_string(),
            place: place.to_string(),
            is_outage: answer.status >= 500,
        }
    }

    pub fn fault(&self) -> SinkFault {
        match self.is_outage {
            true => SinkFault::Failed,
            false => fault_of(&self.code, &self.message),
        }
    }

    /// Told to come later: nothing was done.
    pub fn is_throttled(&self) -> bool {
        fault_of(&self.code, &self.message) == SinkFault::Throttled
    }

    fn help(&self) -> Option<String> {
        let is_about_a_key = self.message.contains("KMS")
            || self.message.contains("kms:")
            || ["DecryptionFailure", "EncryptionFailure", "InvalidKeyId"].contains(&self.code.as_str());
        match self.fault() {
            SinkFault::Forbidden if is_about_a_key => Some(format!(
                "allow {} on the KMS key that encrypts it, in the policy of the role and in the key's own",
                self.key_actions()
            )),
            SinkFault::Forbidden => Some(format!("allow `{}` on it", self.action)),
            SinkFault::Unauthenticated if self.message.contains("expired") || self.code.contains("Signature") => {
                Some(
                    "log in again (`aws sso login`, or a new session token), and see that the clock of this machine is right"
                        .to_string(),
                )
            }
            SinkFault::Unauthenticated => {
                Some("see that the access key is active, and of the right account".to_string())
            }
            SinkFault::Throttled => Some("run gridkey again in a while".to_string()),
            SinkFault::Remembered | SinkFault::Conflict | SinkFault::Invalid => self.help_for_code(),
            SinkFault::ContainerMissing
            | SinkFault::Unreachable
            | SinkFault::Unsupported
            | SinkFault::Failed => None,
        }
    }

    /// What the service encrypts and decrypts with.
    fn key_actions(&self) -> &'static str {
        match self.action.starts_with("ssm:") {
            true => "`kms:Decrypt` and `kms:Encrypt` (`kms:GenerateDataKey` in the advanced tier)",
            false => "`kms:Decrypt` and `kms:GenerateDataKey`",
        }
    }

    fn help_for_code(&self) -> Option<String> {
        let help = match self.code.as_str() {
            "ParameterMaxVersionLimitExceeded" => {
                "its oldest version has a label, and AWS keeps a hundred versions: take the label off with \
                 `aws ssm unlabel-parameter-version`"
            }
            "LimitExceededException" => {
                "AWS keeps about a hundred versions of a secret, none of which goes in its first day"
            }
            "HierarchyTypeMismatchException" => "AWS does not change a parameter's type: name another one",
            _ => return None,
        };
        Some(help.to_string())
    }
}

/// The text of the first element of a name. What is looked for here needs no unescaping.
pub(super) fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

impl From<Said> for SinkError {
    fn from(said: Said) -> Self {
        let help = said.help();
        let text = match said.message.is_empty() {
            true => said.code.clone(),
            false => format!("{}: {}", said.code, said.message),
        };
        let error = Self::new(said.fault(), format!("{}: AWS refused `{}`: {text}", said.place, said.action));
        match help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

impl From<Fail> for SinkError {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Said(said) => said.into(),
            Fail::Surely(error) | Fail::Unclear(error) => error,
        }
    }
}

/// Of the request that writes the secret; one that only looks never wrote anything.
impl From<Fail> for PutError {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Said(said) if said.is_outage => Self::Unclear(said.into()),
            Fail::Said(said) => match said.fault().is_definite() {
                true => Self::Refused(said.into()),
                false => Self::Unclear(said.into()),
            },
            Fail::Surely(error) => Self::Refused(error),
            Fail::Unclear(error) => Self::Unclear(error),
        }
    }
}

impl From<Unanswered> for Fail {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSent(error) => Self::Surely(error),
            Unanswered::Lost(error) => Self::Unclear(error),
        }
    }
}

impl Fail {
    pub fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Said(said) if said.code == code)
    }

    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Said(said) if said.fault() == SinkFault::Forbidden)
    }
}

/// Of a request before the one that writes.
pub(super) fn looked(fail: Fail) -> PutError {
    PutError::Refused(fail.into())
}
