//! What was reviewed is found again after the merge, and no more than that is applied.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::forge::Forge;
use crate::support::{Place, can_run};

const MERGE: &str = "aaaa0000";

fn after_a_merge(place: Place) -> Place {
    place
        .with("GITHUB_REF", "refs/heads/main")
        .with("GITHUB_REF_NAME", "main")
        .with("GITHUB_SHA", MERGE)
        .with("GITHUB_WORKFLOW_REF", "acme/mail/.github/workflows/gridkey.yml@refs/heads/main")
        .with("CI_COMMIT_SHA", MERGE)
        .with("CI_COMMIT_BRANCH", "main")
        .with("CI_ENVIRONMENT_NAME", "gridkey")
}

/// A pull request that was merged as a commit, with a head of `head-NUMBER`, in hexadecimal digits.
pub fn pull(number: u32, merge: &str) -> Value {
    json!({ "number": number, "merged_at": "2026-01-01T00:00:00Z", "merge_commit_sha": merge,
        "head": { "sha": format!("bbbb{number:04}") }, "base": { "ref": "main" } })
}

pub fn run(id: u32, number: u32, repository: &str) -> Value {
    json!({ "id": id, "event": "pull_request", "head_sha": format!("bbbb{number:04}"),
        "head_repository": { "full_name": repository }, "path": ".github/workflows/gridkey.yml" })
}

/// GitHub with nothing applied so far, these merged requests, these runs, and a plan for each run in `planned`.
pub async fn github(pulls: &[Value], runs: &[Value], planned: &[u32]) -> (Forge, Forge) {
    let (forge, storage) = (Forge::start().await, Forge::start().await);
    forge.gives("/repos/acme/mail/actions/workflows/gridkey.yml/runs", &json!({ "workflow_runs": [] }));
    forge.gives("/repos/acme/mail/pulls", &json!(pulls));
    forge.gives("/repos/acme/mail/actions/runs", &json!({ "workflow_runs": runs }));
    for run in runs {
        let id = run["id"].as_u64().unwrap();
        forge.gives(&format!("/repos/acme/mail/actions/runs/{id}/artifacts"), &json!({ "artifacts": [] }));
    }
    for id in planned {
        forge.gives(
            &format!("/repos/acme/mail/actions/runs/{id}/artifacts"),
            &json!({ "artifacts": [
                { "id": id + 1, "name": "gridkey-plan-plan", "expired": true },
                { "id": id, "name": "gridkey-plan-plan", "expired": false },
                { "id": id + 2, "name": "gridkey-plan-other", "expired": false },
            ] }),
        );
        forge.redirects(
            &format!("/repos/acme/mail/actions/artifacts/{id}/zip"),
            &format!("{}/stored/{id}?signature=x", storage.url),
        );
        let plan = format!("{{\"run\":{id}}}\n");
        storage.gives_bytes(&format!("/stored/{id}"), zip("plan.json", plan.as_bytes()));
    }
    (forge, storage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_the_merged_head_is_found() {
    if !can_run() {
        return;
    }
    let mut unmerged = pull(9, MERGE);
    unmerged["merged_at"] = Value::Null;
    let mut elsewhere = pull(10, MERGE);
    elsewhere["base"]["ref"] = json!("release");
    let pulls = [pull(7, MERGE), pull(8, "cccc0000"), unmerged, elsewhere];
    let mut other_workflow = run(500, 7, "acme/mail");
    other_workflow["path"] = json!(".github/workflows/other.yml");
    let mut other_event = run(600, 7, "acme/mail");
    other_event["event"] = json!("push");
    // The newest run of this workflow counts; a stranger's, however new, does not.
    let runs = [
        run(100, 7, "acme/mail"),
        run(200, 7, "acme/mail"),
        run(400, 7, "stranger/mail"),
        run(450, 8, "acme/mail"),
        run(460, 9, "acme/mail"),
        run(470, 10, "acme/mail"),
        other_workflow,
        other_event,
    ];
    let (forge, storage) = github(&pulls, &runs, &[100, 200, 400, 450, 460, 470, 500, 600]).await;
    let place = after_a_merge(Place::on_github(&forge.url));
    place.write("gridkey-plans/3.json", "{\"of\":\"another commit\"}");
    place.run("find-plan").ends(0).says("#7: found its plan");
    assert_eq!(files(&place), ["7.json"]);
    assert_eq!(place.read("gridkey-plans/7.json"), "{\"run\":200}\n");
    assert_eq!(storage.requests(), ["GET /stored/200?signature=x without token"]);
    assert!(
        forge.requests().contains(
            &"GET /repos/acme/mail/actions/runs?event=pull_request&head_sha=bbbb0007&per_page=100 with token"
                .to_string()
        )
    );

    place.run("apply").ends(0);
    assert_eq!(
        place.gridkey_calls(),
        [
            "gridkey show gridkey-plans/7.json --format markdown --comment-id plan",
            "gridkey apply gridkey-plans/7.json --yes --lock-timeout 5m"
        ]
    );
    assert!(!place.calls().contains("GRIDKEY_TOKEN="));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_whose_own_apply_did_not_happen_are_made_up_for() {
    if !can_run() {
        return;
    }
    let pulls = [pull(7, MERGE), pull(8, "cccc0000"), pull(11, "dddd0000")];
    let runs = [run(100, 7, "acme/mail"), run(200, 8, "acme/mail"), run(300, 11, "acme/mail")];
    let (forge, _storage) = github(&pulls, &runs, &[100, 200, 300]).await;
    let last = json!({ "workflow_runs": [{ "head_sha": "eeee0000" }] });
    forge.gives("/repos/acme/mail/actions/workflows/gridkey.yml/runs", &last);
    let compared = json!({ "commits": [{ "sha": "cccc0000" }, { "sha": MERGE }] });
    forge.gives("/repos/acme/mail/compare/eeee0000...aaaa0000", &compared);
    let place = after_a_merge(Place::on_github(&forge.url)).with("GRIDKEY_APPROVED_ONLY", "true");
    place.run("find-plan").ends(0);
    assert_eq!(files(&place), ["7.json", "8.json"]);
    place.run("apply").ends(0);
    assert_eq!(
        place.gridkey_calls().last().unwrap(),
        "gridkey apply gridkey-plans/7.json gridkey-plans/8.json --yes --lock-timeout 5m --approved-only"
    );

    // The last commit that was applied is gone after a forced push.
    forge.gives(
        "/repos/acme/mail/actions/workflows/gridkey.yml/runs",
        &json!({ "workflow_runs": [{ "head_sha": "ffff0000" }] }),
    );
    place.run("find-plan").ends(0).says("looking at aaaa0000 alone");
    assert_eq!(files(&place), ["7.json"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_from_a_fork_is_not_approved() {
    if !can_run() {
        return;
    }
    let (forge, _storage) = github(&[pull(7, MERGE)], &[run(100, 7, "stranger/mail")], &[100]).await;
    let mut place = after_a_merge(Place::on_github(&forge.url));
    place
        .run("find-plan")
        .ends(0)
        .says("#7: no plan file of its head commit bbbb0007")
        .says("0 plan file(s)");
    // Without a file nothing is applied, and it is only well if nothing is to be done.
    place.set("STUB_plan", "2");
    place.run("apply").ends(3).says("not approved");
    place.set("STUB_plan", "0");
    place.run("apply").ends(0);
    assert!(place.gridkey_calls().iter().all(|call| !call.contains("gridkey apply")), "{:?}", place.calls());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artefact_that_is_no_plan_ends_the_job() {
    if !can_run() {
        return;
    }
    let (forge, storage) = github(&[pull(7, MERGE)], &[run(100, 7, "acme/mail")], &[100]).await;
    let place = after_a_merge(Place::on_github(&forge.url));
    for bytes in
        [zip("other.json", b"{}"), zip("plan.json", b"[]"), zip("plan.json", b"text"), b"no zip".to_vec()]
    {
        storage.gives_bytes("/stored/100", bytes);
        place.run("find-plan").ends(1);
        assert!(files(&place).is_empty());
    }
    forge.fail("GET", 403);
    place.run("find-plan").ends(1).says("403").says("actions: read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_gitlab() {
    if !can_run() {
        return;
    }
    let forge = Forge::start().await;
    let request = |number: u32, merge: &str, squash: Value| {
        json!({ "iid": number, "sha": format!("bbbb{number:04}"), "merge_commit_sha": merge,
            "squash_commit_sha": squash })
    };
    let merged = [
        request(7, MERGE, Value::Null),
        request(8, "cccc0000", Value::Null),
        request(11, "dddd0000", Value::Null),
    ];
    forge.gives("/projects/5/deployments", &json!([{ "sha": "eeee0000" }]));
    let compared = json!({ "commits": [{ "id": "cccc0000" }, { "id": "dddd0000" }, { "id": MERGE }] });
    forge.gives("/projects/5/repository/compare", &compared);
    forge.gives("/projects/5/merge_requests", &json!(merged));
    let pipeline =
        |id: u32, project: u32| json!({ "id": id, "project_id": project, "source": "merge_request_event" });
    forge.gives("/projects/5/merge_requests/7/pipelines", &json!([pipeline(70, 5), pipeline(71, 5)]));
    // The one of 8 ran in a fork.
    forge.gives("/projects/5/merge_requests/8/pipelines", &json!([pipeline(80, 6)]));
    let jobs = json!([{ "id": 700, "name": "gridkey:plan" }, { "id": 702, "name": "test" }]);
    // The one of 11 left no plan file.
    forge.gives("/projects/5/merge_requests/11/pipelines", &json!([pipeline(110, 5)]));
    forge.gives("/projects/5/pipelines/110/jobs", &json!([{ "id": 1100, "name": "gridkey:plan" }]));
    forge.gives("/projects/5/pipelines/71/jobs", &jobs);
    forge.gives("/projects/5/jobs/700/artifacts/gridkey-plan/plan.json", &json!({ "run": 700 }));
    let place = after_a_merge(Place::on_gitlab(&forge.url));
    place
        .run("find-plan")
        .ends(0)
        .says("#7: found its plan")
        .says("!8: no plan file")
        .says("!11: its job left no plan file");
    assert_eq!(files(&place), ["7.json"]);
    assert_eq!(place.read("gridkey-plans/7.json"), "{\"run\":700}");
}

#[test]
fn apply_keeps_the_exit_code_and_says_what_to_do() {
    if !can_run() {
        return;
    }
    for (code, says) in [
        (0, "done"),
        (1, "Run this job again once the reason is put right"),
        (3, "not approved, or blocked"),
        (4, "Run this job again: it uses the same plan files"),
        (130, "exit code 130"),
    ] {
        let place = Place::new().with("STUB_apply", &code.to_string());
        place.write("gridkey-plans/7.json", "{}");
        place.run("apply").ends(code).says(says);
        assert!(place.read("outputs").contains(&format!("exit-code={code}\nblocked={}\n", code == 3)));
    }
}

#[test]
fn the_night_ends_with_the_worse_of_both() {
    if !can_run() {
        return;
    }
    for (drift, due, code) in [
        (0, 0, 0),
        (2, 0, 2),
        (3, 0, 3),
        (2, 3, 3),
        (2, 4, 4),
        (3, 4, 4),
        (1, 4, 1),
        (2, 1, 1),
        (0, 64, 64),
        (0, 130, 130),
        (0, 101, 101),
    ] {
        let place = Place::new().with("STUB_drift", &drift.to_string()).with("STUB_apply", &due.to_string());
        place.run("nightly").ends(code);
        assert_eq!(
            place.gridkey_calls(),
            [
                "gridkey drift --format markdown --comment-id plan",
                "gridkey apply --due only --yes --lock-timeout 5m"
            ],
            "drift does not keep the rest from running"
        );
    }
}

/// Names come from a branch, and lines that start with `::` are commands to GitHub's runner.
#[test]
fn what_gridkey_prints_is_no_command_to_the_runner() {
    if !can_run() {
        return;
    }
    let place = Place::new().with("GITHUB_ACTIONS", "true");
    place.write("gridkey-plans/7.json", "{}");
    // Both streams of a process reach the runner by themselves, so one has to carry all that is in order.
    let output = place.command("apply").output().unwrap();
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut stopped = None;
    let mut seen = false;
    for line in said.lines().filter(|line| line.starts_with("::")) {
        match (&stopped, line.strip_prefix("::stop-commands::")) {
            (None, Some(word)) => stopped = Some(format!("::{word}::")),
            (Some(word), None) if line == word => stopped = None,
            (Some(_), None) => seen = true,
            _ => panic!("{line} in\n{said}"),
        }
    }
    assert!(seen && stopped.is_none(), "{said}");
}

/// A runner that cancels a job tells its script, and kills everything some seconds later.
#[test]
fn a_wish_to_stop_reaches_gridkey() {
    if !can_run() {
        return;
    }
    for signal in ["-INT", "-TERM"] {
        let place = Place::new().with("STUB_WAITS", "apply");
        place.write("gridkey-plans/7.json", "{}");
        let mut child = place.command("apply").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        // Kept open, as what cannot speak ends of that.
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(said.any(|line| line == "started"));
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(place.calls().contains("stopped in order"));
    }
}

fn files(place: &Place) -> Vec<String> {
    let folder = std::fs::read_dir(place.path("gridkey-plans")).unwrap();
    let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An archive with one file, stored as it is.
pub fn zip(name: &str, data: &[u8]) -> Vec<u8> {
    let crc = !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    let size = u32::try_from(data.len()).unwrap();
    // Version, flags, method, time and date; then checksum and sizes; then the lengths of the name and of what follows it.
    let common = |bytes: &mut Vec<u8>| {
        bytes.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        for number in [crc, size, size] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
    };
    let mut archive = b"PK\x03\x04".to_vec();
    common(&mut archive);
    archive.extend(name.as_bytes());
    archive.extend(data);
    let start = u32::try_from(archive.len()).unwrap();
    archive.extend(b"PK\x01\x02\x14\x00");
    common(&mut archive);
    archive.extend([0; 14]);
    archive.extend(name.as_bytes());
    let length = u32::try_from(archive.len()).unwrap() - start;
    archive.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    archive.extend(length.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}
