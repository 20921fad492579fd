//! `aws`, the client of the package index, on moto.

use std::path::PathBuf;
use std::process::Command;

use crate::bench::Bench;
use crate::server::{Server, programs};

/// The settings of a service that lets everyone in, and of one that knows no login.
const OPEN: [(&str, &str); 0] = [];
const STRICT: [(&str, &str); 1] = [("INITIAL_NO_AUTH_ACTION_COUNT", "0")];

struct Aws {
    server: Server,
    address: String,
    program: PathBuf,
}

impl Aws {
    fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let [program, moto] = programs("AWS", ["aws/bin/aws", "aws/bin/moto_server"])?;
        let mut command = Command::new(moto);
        command.args(["--host", "127.0.0.1", "--port", "0"]);
        command.envs(settings.iter().copied());
        let server = Server::start(command);
        let line = server.says("Running on http://127.0.0.1");
        let address = line.split_whitespace().last().unwrap().to_string();
        Some(Self { server, address, program })
    }

    /// A project with a login.
    async fn bench(&self, section: &str) -> Bench {
        let bench = Bench::new(section, ("aws", &self.program)).await;
        // Without a login, the client would ask a service of the network that machines in a cloud have.
        bench.home(
            ".aws/config",
            &format!(
                "[default]\nregion = eu-central-1\nendpoint_url = {}\nmax_attempts = 1\n\
                 ec2_metadata_service_endpoint = http://127.0.0.1:9\n",
                self.address
            ),
        );
        log_in(&bench, "AKIDEXAMPLE", "example");
        bench
    }

    /// What the client says; `None` where it fails.
    fn says(&self, bench: &Bench, arguments: &[&str]) -> Option<String> {
        let mut command = bench.around(Command::new(&self.program));
        let output = command.args(arguments).args(["--output", "text"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim_end_matches('\n').to_string())
    }
}

fn log_in(bench: &Bench, id: &str, secret: &str) {
    let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    bench.home(".aws/credentials", &text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_ssm_keeps_its_promises() {
    let Some(aws) = Aws::start(&OPEN) else { return };
    let bench = aws.bench("aws ssm").await;
    bench.keeps_its_promises(|key| {
        let name = format!("/mail/prod/{key}");
        let arguments = ["ssm", "get-parameter", "--with-decryption", "--query", "Parameter.Value", "--name"];
        aws.says(&bench, &[&arguments[..], &[name.as_str()]].concat())
    });
    let described = aws.says(&bench, &["ssm", "describe-parameters", "--query", "Parameters[].Type"]);
    assert_eq!(described.as_deref(), Some("SecureString"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_secretsmanager_keeps_its_promises() {
    let Some(mut aws) = Aws::start(&OPEN) else { return };
    let bench = aws.bench("aws secretsmanager").await;
    let get = |bench: &Bench| {
        let arguments = ["secretsmanager", "get-secret-value", "--query", "SecretString", "--secret-id"];
        aws.says(bench, &[&arguments[..], &["mail/prod/mailer"]].concat())
    };
    bench.run(&["apply", "--yes"]).ends(0);
    let first = bench.works("mailer", |_| get(&bench));
    bench.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    bench.run(&["apply", "--yes", "--rotate", "prod/mailer"]).ends(0);
    assert_ne!(bench.works("mailer", |_| get(&bench)), first);
    bench.wants(&["reports"]);
    bench.run(&["apply", "--yes"]).ends(0);
    assert_eq!(get(&bench), None);
    // For 30 days the place is not an empty one.
    bench.wants(&["mailer", "reports"]);
    bench.is_blocked("marked deleted");
    let restored = aws.says(&bench, &["secretsmanager", "restore-secret", "--secret-id", "mail/prod/mailer"]);
    assert!(restored.is_some());
    bench.run(&["apply", "--yes"]).ends(3).says("foreign_value");
    bench.run(&["apply", "--yes", "--allow", "foreign_value:prod/mailer"]).ends(0);
    bench.works("mailer", |_| get(&bench));
    bench.no_secret_is_left();
    aws.server.stop();
    bench.rotation_is_blocked("Could not connect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_made_for_an_aws_that_cannot_be_asked() {
    let Some(mut aws) = Aws::start(&STRICT) else { return };
    for section in ["aws ssm", "aws secretsmanager"] {
        let bench = aws.bench(section).await;
        bench.is_blocked("security token");
        std::fs::remove_file(bench.path("home/.aws/credentials")).unwrap();
        bench.is_blocked("Unable to locate credentials");
    }
    aws.server.stop();
    let bench = aws.bench("aws ssm").await;
    bench.is_blocked("Could not connect");
}
