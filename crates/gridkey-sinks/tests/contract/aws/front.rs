//! What AWS does and moto does not, in front of moto: who may do what, secrets that are scheduled for deletion, labels that are
//! on one version, encrypted parameters, their sizes and types. Sources: the service's API description.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The account that moto is in.
pub const ACCOUNT: &str = "123456789012";
/// Which keys may do what; a key of a session begins with `ASIA` and may do what its page asks for.
pub const MAY_ALL: &str = "AKIAHAND";
pub const GRIDKEY: &str = "AKIAGRIDKEY";
pub const MAY_NOT_WRITE: &str = "AKIAMAYNOTWRITE";
pub const MAY_NOT_READ: &str = "AKIAMAYNOTREAD";
pub const STRANGER: &str = "AKIASTRANGER";

/// What the pages of both sinks ask for.
const PERMITTED: [&str; 17] = [
    "DescribeSecret",
    "GetSecretValue",
    "PutSecretValue",
    "UpdateSecretVersionStage",
    "CreateSecret",
    "TagResource",
    "DeleteSecret",
    "RestoreSecret",
    "GetParameter",
    "PutParameter",
    "DescribeParameters",
    "AddTagsToResource",
    "ListTagsForResource",
    "LabelParameterVersion",
    "DeleteParameter",
    "AssumeRole",
    "GetCallerIdentity",
];
const LOOKS: [&str; 7] = [
    "DescribeSecret",
    "GetSecretValue",
    "GetParameter",
    "DescribeParameters",
    "ListTagsForResource",
    "AssumeRole",
    "GetCallerIdentity",
];

pub struct Front {
    pub address: String,
    gate: Arc<Gate>,
    serving: JoinHandle<()>,
}

struct Gate {
    moto: String,
    client: reqwest::Client,
    /// The sessions of each role that are good.
    sessions: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// How many there were.
    count: AtomicUsize,
    /// Requests to one server of several steps are one at a time.
    alone: tokio::sync::Mutex<()>,
}

/// A request that is to be judged.
struct Asked<'a> {
    headers: &'a HeaderMap,
    action: &'a str,
    /// `secretsmanager` or `AmazonSSM`.
    target: &'a str,
    body: Json,
}

type Answered = Result<Json, (u16, Json)>;

impl Front {
    pub async fn start(moto: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let gate = Arc::new(Gate {
            moto,
            client,
            sessions: Mutex::default(),
            count: AtomicUsize::default(),
            alone: tokio::sync::Mutex::default(),
        });
        let app = axum::Router::new().fallback(answer).with_state(gate.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, gate, serving }
    }

    /// Ends all sessions of a role.
    pub fn ends(&self, role: &str) {
        let ended = self.gate.sessions.lock().unwrap().remove(role);
        assert!(ended.is_some_and(|ended| !ended.is_empty()), "there was no session to end");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn refused(code: &str, message: &str) -> (u16, Json) {
    (400, json!({"__type": code, "message": message}))
}

fn denied(key: &str, permission: &str) -> (u16, Json) {
    let message = format!(
        "User: arn:aws:iam::{ACCOUNT}:user/{key} is not authorized to perform: {permission} because no identity-based policy \
         allows the {permission} action"
    );
    refused("AccessDeniedException", &message)
}

async fn answer(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let key = access_key(&parts.headers);
    let Some(target) = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()) else {
        return gate.token_service(&key, &parts.headers, &bytes).await;
    };
    let (target, action) = target.split_once('.').unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
    let asked = Asked { headers: &parts.headers, action, target, body };
    let (status, body) = match gate.answer(&key, asked).await {
        Ok(body) => (200, body),
        Err(refused) => refused,
    };
    plain(status, "application/x-amz-json-1.1", body.to_string())
}

fn plain(status: u16, kind: &str, body: String) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", kind)
        .body(Body::from(body))
        .unwrap()
}

/// `AWS4-HMAC-SHA256 Credential=KEY/20261129/eu-west-1/ssm/aws4_request, SignedHeaders=…, Signature=…`
fn access_key(headers: &HeaderMap) -> String {
    let text = headers.get("authorization").and_then(|text| text.to_str().ok()).unwrap_or_default();
    let key = text.split_once("Credential=").and_then(|(_, rest)| rest.split_once('/'));
    key.map_or(String::new(), |(key, _)| key.to_string())
}

impl Gate {
    async fn answer(&self, key: &str, mut asked: Asked<'_>) -> Answered {
        self.admits(key, &asked)?;
        let _alone = self.alone.lock().await;
        match asked.target {
            "secretsmanager" => self.secret(&mut asked).await,
            _ => self.parameter(&mut asked).await,
        }
    }

    /// Who may do this.
    fn admits(&self, key: &str, asked: &Asked<'_>) -> Result<(), (u16, Json)> {
        let service = if asked.target == "secretsmanager" { "secretsmanager" } else { "ssm" };
        let permission = format!("{service}:{}", asked.action);
        let session = key.starts_with("ASIA");
        if session && !self.sessions.lock().unwrap().values().any(|keys| keys.contains(key)) {
            let message = "The security token included in the request is expired";
            return Err(refused("ExpiredTokenException", message));
        }
        let is_look = LOOKS.contains(&asked.action);
        let reads = asked.action == "GetSecretValue";
        let decrypts = asked.action == "GetParameter" && asked.body["WithDecryption"] == json!(true);
        match key {
            MAY_ALL => Ok(()),
            _ if !session && ![GRIDKEY, MAY_NOT_WRITE, MAY_NOT_READ].contains(&key) => Err(refused(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )),
            MAY_NOT_WRITE if !is_look => Err(denied(key, &permission)),
            MAY_NOT_READ if reads => Err(denied(key, &permission)),
            // As the service says it, in its own words.
            MAY_NOT_READ if decrypts => Err(refused(
                "AccessDeniedException",
                "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not \
                 allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)",
            )),
            _ if !PERMITTED.contains(&asked.action) => Err(denied(key, &permission)),
            _ => Ok(()),
        }
    }

    /// Asks moto.
    async fn moto(&self, asked: &Asked<'_>, action: &str, body: &Json) -> Answered {
        let answer = self
            .client
            .post(&self.moto)
            .header("authorization", asked.headers.get("authorization").unwrap())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{}.{action}", asked.target))
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Json::Null);
        match status {
            200 => Ok(body),
            // The services answer no other one.
            400..=499 => Err((400, body)),
            status => Err((status, body)),
        }
    }

    async fn secret(&self, asked: &mut Asked<'_>) -> Answered {
        let id = asked.body.get("SecretId").or(asked.body.get("Name")).cloned().unwrap_or_default();
        let described = self.moto(asked, "DescribeSecret", &json!({"SecretId": id})).await.ok();
        let is_deleted = described.as_ref().is_some_and(|secret| !secret["DeletedDate"].is_null());
        let stages = described.map(|mut secret| secret["VersionIdsToStages"].take()).unwrap_or_default();
        match asked.action {
            "CreateSecret" if is_deleted => Err(refused(
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            )),
            "GetSecretValue" | "PutSecretValue" | "UpdateSecretVersionStage" if is_deleted => Err(refused(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )),
            "GetSecretValue" if asked.body["VersionId"].is_null() && asked.body["VersionStage"].is_null() => {
                asked.body["VersionStage"] = json!("AWSCURRENT");
                self.moto(asked, asked.action, &asked.body).await
            }
            "PutSecretValue" => self.put(asked, &id, &stages).await,
            "UpdateSecretVersionStage" => self.move_label(asked, &stages).await,
            _ => self.moto(asked, asked.action, &asked.body).await,
        }
    }

    /// moto knows by a note of its own which version is current, and does not move it with the label.
    async fn put(&self, asked: &mut Asked<'_>, id: &Json, stages: &Json) -> Answered {
        let token = asked.body["ClientRequestToken"].as_str().unwrap_or_default().to_string();
        if !(32..=64).contains(&token.len()) {
            return Err(refused(
                "InvalidParameterException",
                "ClientRequestToken must be 32-64 characters long.",
            ));
        }
        let wanted = asked.body["VersionStages"].clone();
        let is_current =
            wanted.is_null() || wanted.as_array().is_some_and(|all| all.contains(&json!("AWSCURRENT")));
        let is_known = stages.get(&token).is_some();
        let Some(current) = holder(stages, "AWSCURRENT").filter(|_| is_current && !is_known) else {
            return self.moto(asked, asked.action, &asked.body).await;
        };
        asked.body["VersionStages"] = json!(["front"]);
        let mut put = self.moto(asked, asked.action, &asked.body).await?;
        let to_current = json!({"SecretId": id, "VersionStage": "AWSCURRENT", "MoveToVersionId": token, "RemoveFromVersionId": current});
        self.moto(asked, "UpdateSecretVersionStage", &to_current).await?;
        let bare = json!({"SecretId": id, "VersionStage": "front", "RemoveFromVersionId": token});
        self.moto(asked, "UpdateSecretVersionStage", &bare).await?;
        put["VersionStages"] = json!(["AWSCURRENT"]);
        Ok(put)
    }

    /// A label is on one version at most, and is only taken from the one that has it.
    async fn move_label(&self, asked: &Asked<'_>, stages: &Json) -> Answered {
        let label = asked.body["VersionStage"].as_str().unwrap();
        let to = asked.body["MoveToVersionId"].as_str();
        let from = asked.body["RemoveFromVersionId"].as_str();
        match holder(stages, label) {
            Some(held) if to.is_some() && from != Some(held) && to != Some(held) => {
                let message = format!(
                    "The parameter RemoveFromVersionId is wrong: the label {label} is attached to version {held}."
                );
                return Err(refused("InvalidParameterException", &message));
            }
            Some(_) | None => {}
        }
        let all: usize =
            stages.as_object().map_or(0, |all| all.values().filter_map(Json::as_array).map(Vec::len).sum());
        if to.is_some() && holder(stages, label).is_none() && all >= 20 {
            return Err(refused(
                "LimitExceededException",
                "The request failed because it would exceed the labels.",
            ));
        }
        self.moto(asked, asked.action, &asked.body).await
    }

    async fn parameter(&self, asked: &mut Asked<'_>) -> Answered {
        match asked.action {
            "PutParameter" => self.put_parameter(asked).await,
            "GetParameter" => {
                let mut answer = self.moto(asked, asked.action, &asked.body).await?;
                let parameter = &mut answer["Parameter"];
                if parameter["Type"] == "SecureString" && asked.body["WithDecryption"] != json!(true) {
                    parameter["Value"] = json!("AQICAHhZm9yIG5vYm9keQ==");
                }
                Ok(answer)
            }
            "DescribeParameters" => {
                let mut answer = self.moto(asked, asked.action, &asked.body).await?;
                for parameter in answer["Parameters"].as_array_mut().into_iter().flatten() {
                    for policy in parameter["Policies"].as_array_mut().into_iter().flatten() {
                        // moto shows it as Python does.
                        let text = policy["PolicyText"].as_str().unwrap_or_default().replace('\'', "\"");
                        *policy = json!({"PolicyType": "Expiration", "PolicyText": text, "PolicyStatus": "Pending"});
                    }
                }
                Ok(answer)
            }
            _ => self.moto(asked, asked.action, &asked.body).await,
        }
    }

    async fn put_parameter(&self, asked: &mut Asked<'_>) -> Answered {
        let name = asked.body["Name"].clone();
        let filter = json!({"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": [name]}]});
        let listed = self.moto(asked, "DescribeParameters", &filter).await?;
        let found = &listed["Parameters"][0];
        let overwrites = asked.body["Overwrite"] == json!(true);
        if !found.is_null() && !overwrites {
            return Err(refused(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
            ));
        }
        let kind = &asked.body["Type"];
        if !found.is_null() && !kind.is_null() && *kind != found["Type"] {
            return Err(refused("HierarchyTypeMismatchException", "The parameter's type cannot be changed."));
        }
        let tier = asked.body["Tier"].as_str().unwrap_or("Standard");
        if found["Tier"] == "Advanced" && tier == "Standard" {
            return Err(refused(
                "ValidationException",
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier.",
            ));
        }
        if asked.body["Value"].as_str().unwrap_or_default().len() > 4096 && tier == "Standard" {
            return Err(refused(
                "ValidationException",
                "Standard tier parameters support a maximum parameter value of 4096 characters.",
            ));
        }
        if asked.body["AllowedPattern"] == "^$" {
            return Err(refused(
                "ParameterPatternMismatchException",
                "Parameter value, cannot be validated against allowedPattern: ^$",
            ));
        }
        // "If you don't specify a key ID, the system uses the default key associated with your account."
        if asked.body["KeyId"].is_null() && *kind == "SecureString" {
            asked.body["KeyId"] = json!("alias/aws/ssm");
        }
        self.moto(asked, asked.action, &asked.body).await
    }

    /// Roles and callers.
    async fn token_service(&self, key: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
        let xml = |status, body: String| plain(status, "text/xml", body);
        let error = |code: &str, message: &str| {
            xml(
                403,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
                ),
            )
        };
        if key == STRANGER {
            return error("InvalidClientTokenId", "The security token included in the request is invalid.");
        }
        if form["Action"] == "GetCallerIdentity" {
            let signed = headers.get("authorization").unwrap().to_str().unwrap();
            assert!(signed.contains("/sts/aws4_request"), "{signed}");
            return xml(
                200,
                format!(
                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                ),
            );
        }
        let role = form["RoleArn"].clone();
        if !role.contains("/gridkey-") || key != GRIDKEY {
            return error(
                "AccessDenied",
                &format!(
                    "User: arn:aws:iam::{ACCOUNT}:user/{key} is not authorized to perform: sts:AssumeRole on resource: {role}"
                ),
            );
        }
        let mut sessions = self.sessions.lock().unwrap();
        let id = format!("ASIAGRIDKEY{}", self.count.fetch_add(1, Ordering::Relaxed));
        sessions.entry(role).or_default().insert(id.clone());
        xml(
            200,
            format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>c2VjcmV0</SecretAccessKey>\
             <SessionToken>dG9rZW4=</SessionToken></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            ),
        )
    }
}

/// The version that has a label.
fn holder<'j>(stages: &'j Json, label: &str) -> Option<&'j str> {
    let all = stages.as_object()?;
    let found =
        all.iter().find(|(_, labels)| labels.as_array().is_some_and(|labels| labels.contains(&json!(label))));
    found.map(|(version, _)| version.as_str())
}
