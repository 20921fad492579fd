//! `aws_secrets_manager` and `aws_ssm`, against moto behind a front that does what moto leaves out, with boto3 as the other client.

mod front;
mod own;
mod parameters;
mod secrets;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use gridkey_core::sink::AwsAssumeRoleSettings;
use serde_json::{Value as Json, json};

use crate::proxy::{Reply, Seen};
use crate::server::{Server, program};
use crate::service::Whom;

pub use own::trials;
pub use parameters::LISTED as PARAMETERS;
pub use secrets::LISTED as SECRETS;

use front::Front;

const MOTO: &str = "moto 5.2.5";
const REGION: &str = "eu-west-1";
const FIELD: &str = "api_key";
const BESIDE: &str = "their/other.field~é";

/// Claims that are tried out with a member of a JSON value; the others are with a whole one.
const WITH_FIELD: [&str; 7] = [
    "neighbours",
    "two-keys-one-container",
    "metadata-stays",
    "cut",
    "conflict-grade",
    "older-kept",
    "fields",
];

/// Both services of one moto.
pub struct Cloud {
    front: Front,
    boto: Mutex<Boto>,
    _moto: Server,
}

/// The process that boto3 is in.
struct Boto {
    process: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

/// The one that runs, if one does.
static RUNNING: tokio::sync::Mutex<Weak<Cloud>> = tokio::sync::Mutex::const_new(Weak::new());

impl Cloud {
    async fn get() -> Result<Arc<Self>, String> {
        if !gridkey_sinks::supports(gridkey_core::SinkKind::AwsSsm) {
            return Err("this build has no feature `aws`".to_string());
        }
        let mut running = RUNNING.lock().await;
        if let Some(cloud) = running.upgrade() {
            return Ok(cloud);
        }
        let (moto, python) = (program("recipes/aws/bin/moto_server")?, program("recipes/aws/bin/python")?);
        let mut command = Command::new(moto);
        command.args(["--host", "127.0.0.1", "--port", "0"]);
        let started = tokio::task::spawn_blocking(move || {
            let server = Server::start(command);
            let line = server.says("Running on http://127.0.0.1");
            (line.split_whitespace().last().unwrap().to_string(), server)
        });
        let (address, moto) = started.await.unwrap();
        let front = Front::start(address).await;
        let boto = Mutex::new(Boto::start(&python, &front.address));
        let cloud = Arc::new(Self { front, boto, _moto: moto });
        *running = Arc::downgrade(&cloud);
        Ok(cloud)
    }

    /// What boto3 gets for an answer, or the code of an error.
    async fn try_ask(self: &Arc<Self>, service: &str, action: &str, arguments: Json) -> Result<Json, String> {
        let line = json!([service, action, arguments]).to_string();
        let cloud = self.clone();
        let said = tokio::task::spawn_blocking(move || cloud.boto.lock().unwrap().says(&line)).await.unwrap();
        match said["error"].as_str() {
            None => Ok(said["answer"].clone()),
            Some(error) => Err(error.to_string()),
        }
    }

    /// The same, where it has to go well.
    async fn ask(self: &Arc<Self>, service: &str, action: &str, arguments: Json) -> Json {
        let shown = arguments.to_string();
        let answer = self.try_ask(service, action, arguments).await;
        answer.unwrap_or_else(|error| panic!("{service} {action} {shown}: {error}"))
    }
}

impl Boto {
    fn start(python: &std::path::Path, address: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../gridkey-sinks/tests/contract/aws/boto.py");
        let mut command = Command::new(python);
        command.arg(script).args([address, REGION]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let asks = process.stdin.take().unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        Self { process, asks, says }
    }

    fn says(&mut self, line: &str) -> Json {
        writeln!(self.asks, "{line}").unwrap();
        let mut said = String::new();
        self.says.read_line(&mut said).unwrap();
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("boto3 ended, asked {line}"))
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn has_field(name: &str) -> bool {
    WITH_FIELD.iter().any(|claim| name.starts_with(claim))
}

/// A role of its own for each location, so that its sessions can be ended alone.
fn role(name: &str, as_whom: Whom) -> Option<AwsAssumeRoleSettings> {
    (as_whom == Whom::Gridkey).then(|| AwsAssumeRoleSettings {
        role_arn: format!("arn:aws:iam::{}:role/gridkey-{name}", front::ACCOUNT),
        session_name: None,
        external_id: Some("of the test".to_string()),
    })
}

/// An account that no credential is of.
const OTHER_ACCOUNT: &str = "999999999999";

fn variables(proxy: &str, as_whom: Whom) -> BTreeMap<String, String> {
    let key = match as_whom {
        Whom::Gridkey => front::GRIDKEY,
        Whom::MayNotWrite => front::MAY_NOT_WRITE,
        Whom::MayNotRead => front::MAY_NOT_READ,
        Whom::Stranger => front::STRANGER,
    };
    let pairs = [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", "of the test"),
        ("AWS_ENDPOINT_URL_STS", proxy),
    ];
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).into()
}

fn action(request: &Seen) -> &str {
    request.header("x-amz-target").and_then(|target| target.split_once('.')).map_or("", |(_, action)| action)
}

fn is_look(request: &Seen) -> bool {
    let looks =
        ["DescribeSecret", "GetSecretValue", "GetParameter", "DescribeParameters", "ListTagsForResource"];
    looks.contains(&action(request))
}

/// A refusal as the services have it, which is no 429.
fn throttles() -> Vec<Reply> {
    let of = |status, code: &str| {
        Reply::json(status, &json!({"__type": code, "message": "Rate exceeded"}).to_string())
    };
    vec![
        of(400, "ThrottlingException"),
        of(429, "TooManyRequestsException").with("retry-after", "1"),
        of(400, "com.amazonaws.ssm#TooManyUpdates"),
    ]
}

fn throttles_for_long() -> Reply {
    Reply::json(400, &json!({"__type": "ThrottlingException", "message": "Rate exceeded"}).to_string())
}
