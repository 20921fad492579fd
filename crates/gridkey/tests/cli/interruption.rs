//! Runs that are killed, and runs that are asked to stop.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gridkey_emulator::{Operation, RateLimit, Settings};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{Place, manifest, many, secrets};

const KEYS: usize = 20;
const KILLS: usize = 50;

/// Every key lives, its secret works, and there is no other.
#[track_caller]
fn whole(place: &Place) {
    let model = place.server.model();
    let live: Vec<_> =
        model.keys("acme").into_iter().filter(|key| key.live && key.name != "managing key").collect();
    let mut names: Vec<_> = live.iter().map(|key| key.name.clone()).collect();
    names.sort();
    let mut wanted: Vec<_> = (1..=KEYS).map(|number| format!("key-{number}")).collect();
    wanted.sort();
    assert_eq!(names, wanted);
    let secrets = secrets(&place.read(".env"));
    assert_eq!(secrets.len(), KEYS);
    assert!(
        secrets.iter().all(|secret| model.authenticates(secret, Timestamp::now())),
        "a secret does not work"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_fifty_times_is_put_right_by_the_next() {
    let latency = Duration::from_millis(20);
    let place = Place::with_latency(Settings::default(), latency).await;
    place.write("gridkey.yaml", &manifest(&many(KEYS)));
    let mut random = StdRng::seed_from_u64(20_261_123);
    let mut killed = 0;
    for round in 0..KILLS {
        // Moments count from the first request that the run makes, so that none is lost to starting up.
        place.server.model().clear_log();
        let mut child = place.spawn(&["apply", "--yes", "--allow", "foreign_value"]);
        let requests = random.random_range(0..12);
        wait_for(&place, &mut child, |log| log > requests).await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        let _ = child.kill();
        let status = child.wait().unwrap();
        killed += usize::from(!status.success());
        // Once everything is there, begin anew with other keys, so that every kill has something to hit.
        if status.success() && round + 1 < KILLS {
            place.write("gridkey.yaml", &manifest("  other: { scopes: [stats.read] }\n"));
            place.run(&["apply", "--yes", "--allow", "max_deletions"]).ends(0);
            place.write("gridkey.yaml", &manifest(&many(KEYS)));
        }
    }
    println!("killed {killed} of {KILLS} runs");
    assert!(killed >= KILLS / 2, "only {killed} runs were killed");
    let last = place.run(&["apply", "--yes"]);
    last.ends(0);
    whole(&place);
    place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    place.no_secrets_in_state();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_an_approved_plan_that_is_killed_anywhere_is_completed_with_the_same_file() {
    const NEW: usize = 3;
    let old = "  old: { scopes: [mail.send] }\n  edited: { scopes: [mail.send] }\n";
    let edited = format!("  edited: {{ scopes: [stats.read] }}\n{}", many(NEW));
    let mut killed = 0;
    // Two reads of the account, two of its keys, one of its scopes, and two requests for each change.
    for requests in 0..=13 {
        let place = Place::with_latency(Settings::default(), Duration::from_millis(10)).await;
        place.write("gridkey.yaml", &manifest(old));
        place.run(&["apply", "--yes"]).ends(0);
        place.write("gridkey.yaml", &manifest(&edited));
        place.run(&["plan", "--out", "plan.json"]).ends(0);
        place.server.model().clear_log();
        let mut child = place.spawn(&["apply", "plan.json", "--yes"]);
        wait_for(&place, &mut child, |log| log > requests).await;
        let _ = child.kill();
        killed += usize::from(!child.wait().unwrap().success());
        place.run(&["apply", "plan.json", "--yes"]).ends(0);
        place
            .run(&["apply", "plan.json", "--yes"])
            .ends(0)
            .says("Approved, and done already")
            .says("No changes");
        place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
        let live = place.server.model().keys("acme");
        let live = live.into_iter().filter(|key| key.live && key.name != "managing key").count();
        assert_eq!(live, NEW + 1, "killed after {requests} requests");
        place.no_secrets_in_artefacts();
    }
    println!("killed {killed} of 14 runs");
    assert!(killed >= 10, "only {killed} runs were killed");
}

/// Waits until the emulator has heard so many requests, or the process has ended.
async fn wait_for(place: &Place, child: &mut Child, enough: impl Fn(usize) -> bool) {
    loop {
        if enough(place.server.model().log().len()) || child.try_wait().unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_signal_finishes_what_is_under_way() {
    for signal in ["INT", "TERM"] {
        let place = Place::with_latency(Settings::default(), Duration::from_millis(20)).await;
        place.write("gridkey.yaml", &manifest(&many(KEYS)));
        let mut child = place.spawn(&["apply", "--yes"]);
        wait_for(&place, &mut child, |log| log > 6).await;
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let made =
            place.server.model().log().iter().filter(|entry| entry.operation == Operation::Create).count();
        assert!(made < KEYS, "it went on to the end");
        let state = place.run(&["state", "list"]);
        assert!(!state.ends(0).out.contains("pending"), "{}", state.out);
        assert_eq!(state.out.lines().count(), made, "what was made is recorded");
        place.run(&["apply", "--yes"]).ends(0);
        whole(&place);
    }
}

/// CI systems wait ten seconds between the first signal and the last; a person less.
const SOON: Duration = Duration::from_secs(3);

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// How a process ended that was told to.
async fn ended_soon(child: &mut Child) -> Option<i32> {
    let told = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if told.elapsed() > SOON {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it was still there {SOON:?} after it was told to stop");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_anywhere_ends_the_run_soon_and_the_next_run_finishes() {
    let (old, edited) = ("  old: { scopes: [mail.send] }\n", "  old: { scopes: [stats.read] }\n");
    let (mut requests, mut interrupted) = (0, 0);
    loop {
        let place = Place::with_latency(Settings::default(), Duration::from_millis(20)).await;
        place.write("gridkey.yaml", &manifest(&format!("{old}  gone: {{ scopes: [mail.send] }}\n")));
        place.run(&["apply", "--yes"]).ends(0);
        place.write("gridkey.yaml", &manifest(&format!("{edited}{}", many(5))));
        place.server.model().clear_log();
        let mut child = place.spawn(&["apply", "--yes"]);
        wait_for(&place, &mut child, |log| log > requests).await;
        if child.try_wait().unwrap().is_some() {
            break;
        }
        signal(&child, ["INT", "TERM"][requests % 2]);
        let asked = place.asked(Operation::Create);
        let code = ended_soon(&mut child).await;
        // At the very end of a run a signal comes too late to leave anything undone.
        interrupted += usize::from(code == Some(130));
        assert!(matches!(code, Some(0 | 130)), "after {requests} requests: {code:?}");
        let made = place.asked(Operation::Create) - asked;
        assert!(made <= 1, "after {requests} requests: {made} more keys were asked for");
        place.run(&["apply", "--yes"]).ends(0);
        place.converged();
        assert_eq!(place.live("acme").len(), 6, "after {requests} requests");
        place.no_secrets_in_state();
        requests += 1;
    }
    println!("interrupted {interrupted} of {requests} runs");
    assert!(interrupted > 12, "only {interrupted} runs of {requests} were interrupted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_wait_for_the_rate_limit_and_nothing_more_is_asked_for() {
    let limit = RateLimit { requests: 4, seconds: 60 };
    let place = Place::new(Settings { write_rate_limit: Some(limit), ..Settings::default() }).await;
    place.write("gridkey.yaml", &manifest(&many(6)));
    let mut child = place.spawn(&["apply", "--yes"]);
    // Two keys take four writes, so that the third has to wait.
    wait_for_writes(&place, &mut child, 4).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(&child, "INT");
    let asked = place.asked(Operation::Create);
    assert_eq!(ended_soon(&mut child).await, Some(130));
    assert_eq!(place.asked(Operation::Create), asked, "a key was asked for after the signal");
    let state = place.run(&["state", "list"]);
    assert!(!state.ends(0).out.contains("pending"), "nothing was sent for it: {}", state.out);
}

async fn wait_for_writes(place: &Place, child: &mut Child, count: usize) {
    loop {
        let writes = place.asked(Operation::Create) + place.asked(Operation::Rename);
        if writes >= count || child.try_wait().unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_at_the_question_ends_the_run_and_gives_the_lock_back() {
    for name in ["INT", "TERM"] {
        let place = Place::new(Settings::default()).await;
        place.write("gridkey.yaml", &manifest(&many(1)));
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let other = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let other = || Stdio::from(File::options().read(true).write(true).open(&other).unwrap());
        let mut command = place.command(&["apply"]);
        let mut child = command.stdin(other()).stderr(other()).stdout(Stdio::null()).spawn().unwrap();
        let mut terminal = File::from(terminal);
        let question = tokio::task::spawn_blocking(move || {
            let (mut seen, mut bytes) = (String::new(), [0; 1024]);
            while !seen.contains("Apply these changes?") {
                let length = terminal.read(&mut bytes).unwrap();
                seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
            // It is kept open, as a terminal that goes away is an end of its own.
            terminal
        });
        let terminal = question.await.unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(
            core.split_whitespace().filter(|word| *word == "0").count(),
            2,
            "it could be dumped: {core}"
        );
        signal(&child, name);
        assert_eq!(ended_soon(&mut child).await, Some(130), "{name}");
        drop(terminal);
        assert_eq!(place.asked(Operation::Create), 0);
        place.run(&["apply", "--yes", "--lock-timeout", "0s"]).ends(0);
    }
}

/// What keeps a run from going on, besides SendGrid: another program that edits the same folder, and a command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_the_wait_for_a_sink() {
    const COMMAND: &str =
        "  tool: { command: { put: [sh, -c, \"cat >/dev/null; echo > begun; sleep 600\"] } }\n";
    for (sink, from_the_start) in [("local", true), ("local", false), ("tool", false)] {
        let place = Place::with_latency(Settings::default(), Duration::from_millis(50)).await;
        let text =
            manifest("  old: { scopes: [mail.send] }\n").replace("sinks:\n", &format!("sinks:\n{COMMAND}"));
        place.write("gridkey.yaml", &text);
        place.run(&["apply", "--yes"]).ends(0);
        let new = "  new: { scopes: [mail.send], sinks: [SINK] }\n".replace("SINK", sink);
        place.write("gridkey.yaml", &format!("{text}{new}"));
        place.server.model().clear_log();
        let lock = || {
            let file = File::create(place.path(".gridkey-lock.tmp")).unwrap();
            file.lock().unwrap();
            file
        };
        let early = from_the_start.then(lock);
        let printed = File::create(place.path("printed.tmp")).unwrap();
        let mut child =
            place.command(&["apply", "--yes"]).stdout(printed).stderr(Stdio::null()).spawn().unwrap();
        if from_the_start {
            // It has shown the plan, and would ask for the key at once.
            while !place.read("printed.tmp").contains("Plan:") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } else {
            while place.asked(Operation::Create) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let late = (!from_the_start && sink == "local").then(lock);
        while sink == "tool" && !place.path("begun").exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        signal(&child, "INT");
        assert_eq!(ended_soon(&mut child).await, Some(130), "{sink} {from_the_start}");
        assert_eq!(place.asked(Operation::Create), usize::from(!from_the_start));
        drop((early, late));
        if sink == "tool" {
            let text = place.read("gridkey.yaml").replace("; sleep 600", "");
            place.write("gridkey.yaml", &text);
        }
        place.run(&["apply", "--yes"]).ends(0);
        // Whether a command that was killed has the secret is not known: its key retires with the overlap.
        let uncertain = usize::from(sink == "tool");
        assert_eq!(place.live("acme").len(), 2 + uncertain, "{sink} {from_the_start}");
        place.no_secrets_in_state();
        place.converged();
    }
}

/// Nobody is left who could see its end: the next run looks at the sink, and must not look too early.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_does_not_outlive_a_run_that_is_killed() {
    const SINK: &str = "  tool: { command: { put: [sh, -c, 'held=$(cat); echo $$ > begun; until [ -e go ]; do sleep 0.01; \
                        done; printf %s \"$held\" > value'], read: [cat, value], absent_exit: [1] } }\n";
    let place = Place::new(Settings::default()).await;
    let keys = "  new: { scopes: [mail.send], sinks: [tool] }\n";
    place.write("gridkey.yaml", &manifest(keys).replace("sinks:\n", &format!("sinks:\n{SINK}")));
    let mut child = place.spawn(&["apply", "--yes"]);
    let command = loop {
        let begun = std::fs::read_to_string(place.path("begun")).unwrap_or_default();
        if let Some(id) = begun.strip_suffix('\n') {
            break id.to_string();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let runs = || match std::fs::read_to_string(format!("/proc/{command}/stat")) {
        // Whoever it is left to may be in no hurry to hear of its end.
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => false,
    };
    let patience = Instant::now() + Duration::from_secs(60);
    while runs() {
        assert!(Instant::now() < patience, "it goes on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    place.write("go", "");
    place.run(&["apply", "--yes"]).ends(0);
    let held = place.read("value");
    assert!(
        place.live("acme").keys().any(|id| held.starts_with(&format!("SG.{id}."))),
        "a live key is stored"
    );
    assert_eq!(place.live("acme").len(), 1);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_while_it_revokes_is_no_reason_to_doubt_the_account() {
    for next in ["destroy", "apply"] {
        let place = Place::with_latency(Settings::default(), Duration::from_millis(50)).await;
        place.write("gridkey.yaml", &manifest(&many(3)));
        place.run(&["apply", "--yes"]).ends(0);
        let mut child = place.spawn(&["destroy", "--yes"]);
        while place.asked(Operation::Delete) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(place.owns("acme").len(), 3, "state was not told");
        assert!(place.live("acme").len() < 2, "{:?}", place.live("acme"));
        let plan = place.plan(&[]);
        assert!(plan.findings("account_mismatch").is_empty(), "{}", plan.brief());
        place.run(&[next, "--yes"]).ends(0);
        let left = if next == "destroy" { 0 } else { 3 };
        assert_eq!((place.owns("acme").len(), place.live("acme").len()), (left, left), "{next}");
        if next == "apply" {
            place.converged();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retirement_of_several_that_broke_off_is_done_by_the_same_command() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(2)));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["rotate", "key-1", "key-2", "--revoke-old", "hold", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 4);
    // What a run leaves that is killed after the first of them.
    place.run(&["retire", "--now", "key-1", "--yes"]).ends(0);
    let both = ["retire", "--now", "key-1", "key-2", "--yes"];
    place.run(&both).ends(0).says("no older key of `key-1` waits to be revoked any more");
    assert_eq!(place.live("acme").len(), 2);
    place.run(&both).ends(64).says("no older key of `key-1` waits to be revoked");
    place.converged();
}
