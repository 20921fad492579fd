//! Runs that are killed at any moment, over keys that come, go, move and are rotated.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::{SinkKind, SinkLocation};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

use crate::Services;
use crate::place::Place;
use crate::service::Value;
use crate::target::{Target, secret_in, settings_of};

const KINDS: [SinkKind; 6] = [
    SinkKind::Dotenv,
    SinkKind::Json,
    SinkKind::Vault,
    SinkKind::Kubernetes,
    SinkKind::AwsSecretsManager,
    SinkKind::AwsSsm,
];

/// What CI has time for.
const KILLS: u64 = 12;

const MOST_KEYS: usize = 4;

/// How many requests of a run may follow a key that it has made, until it is killed.
const AFTER_A_KEY: usize = 30;

/// One finishes what broke off, one revokes what it replaced, and one has nothing to do; an overlap of no length may end a second
/// later than the run that began it.
const IN_PEACE: usize = 8;

const ALLOW: [&str; 4] = ["--allow", "max_deletions", "--allow", "max_rotations"];

/// A project that changes.
struct Life {
    place: Place,
    random: StdRng,
    /// The sinks of each key, by their numbers.
    wishes: BTreeMap<String, BTreeSet<usize>>,
    /// Places that a key has left since everything was in order.
    left: BTreeSet<(usize, String)>,
    /// How many requests the last run made that nothing disturbed.
    requests: usize,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

pub async fn holds(services: Arc<Services>) {
    let kills = number("GRIDKEY_KILLS").unwrap_or(KILLS);
    let seed = number("GRIDKEY_KILLS_SEED").unwrap_or(20_261_129);
    println!("{kills} kills, with the seed {seed}");
    let mut place = Place::new(&services, "fields-killed", &KINDS).await;
    for target in &mut place.targets {
        target.at = with_key(target, "{key}");
    }
    let random = StdRng::seed_from_u64(seed);
    let mut life = Life { place, random, wishes: BTreeMap::new(), left: BTreeSet::new(), requests: 20 };
    life.add();
    life.add();
    let (mut killed, mut runs) = (0, 0);
    while killed < kills {
        let (what, arguments) = life.order();
        let was_killed = life.is_killed(&arguments).await;
        killed += u64::from(was_killed);
        runs += 1;
        let broken = life.in_peace().await;
        assert_eq!(
            broken,
            Vec::<String>::new(),
            "run {runs} of the seed {seed}: {what}, killed: {was_killed}"
        );
    }
    let keys = life.place.made().len();
    println!("killed {killed} of {runs} runs, over {keys} keys: 0 orphans, 0 lost");
}

impl Life {
    fn add(&mut self) -> String {
        let name: String = (0..10).map(|_| char::from(self.random.random_range(b'a'..=b'z'))).collect();
        let sinks = self.some_sinks();
        self.wishes.insert(name.clone(), sinks);
        self.write(&[]);
        format!("add {name}")
    }

    fn some_sinks(&mut self) -> BTreeSet<usize> {
        let count = self.place.targets.len();
        let mut sinks: BTreeSet<usize> = (0..count).filter(|_| self.random.random_bool(0.6)).collect();
        sinks.insert(self.random.random_range(0..count));
        sinks
    }

    fn write(&self, moved: &[(String, String)]) {
        let sinks = &self.place.targets;
        let key = |chosen: &BTreeSet<usize>| {
            let names: Vec<&str> = chosen.iter().map(|number| sinks[*number].at.sink.as_str()).collect();
            json!({"scopes": ["mail.send"], "sinks": names, "rotate": {"every": "30d", "overlap": "0s"}})
        };
        let keys: serde_json::Map<String, Json> =
            self.wishes.iter().map(|(name, chosen)| (name.clone(), key(chosen))).collect();
        let moved: Vec<Json> = moved
            .iter()
            .map(|(from, to)| json!({"from": format!("prod/{from}"), "to": format!("prod/{to}")}))
            .collect();
        self.place.wants(json!(keys), json!(moved));
    }

    /// What is wanted next, and the run that is to do it.
    fn order(&mut self) -> (String, Vec<String>) {
        let names: Vec<String> = self.wishes.keys().cloned().collect();
        let name = names[self.random.random_range(0..names.len())].clone();
        let what = match self.random.random_range(0..10) {
            6..8 if names.len() < MOST_KEYS => self.add(),
            0..2 if names.len() > 1 => {
                let sinks = self.wishes.remove(&name).unwrap();
                self.left.extend(sinks.into_iter().map(|sink| (sink, name.clone())));
                self.write(&[]);
                format!("remove {name}")
            }
            2..4 => {
                let sinks = self.wishes.remove(&name).unwrap();
                self.left.extend(sinks.iter().map(|sink| (*sink, name.clone())));
                let to = name.chars().rev().collect::<String>();
                self.wishes.insert(to.clone(), sinks);
                self.write(&[(name.clone(), to.clone())]);
                format!("move {name} to {to}")
            }
            4..6 => {
                let sinks = self.some_sinks();
                let before = self.wishes.insert(name.clone(), sinks.clone()).unwrap();
                self.left.extend(before.difference(&sinks).map(|sink| (*sink, name.clone())));
                self.write(&[]);
                format!("{name} goes to {sinks:?}")
            }
            _ => {
                let mut arguments =
                    vec!["rotate", "--yes"].into_iter().map(str::to_string).collect::<Vec<_>>();
                arguments.push(format!("prod/{name}"));
                if self.random.random_bool(0.5) {
                    arguments.extend(["--revoke-old", "now"].map(str::to_string));
                }
                return (format!("rotate {name}"), arguments);
            }
        };
        let arguments = ["apply", "--yes"].into_iter().chain(ALLOW).map(str::to_string).collect();
        (what, arguments)
    }

    /// How much was asked until now, of SendGrid and of the services.
    fn heard(&self) -> usize {
        let services = self.place.targets.iter().filter_map(Target::proxy).map(|proxy| proxy.count());
        self.place.server.model().log().len() + services.sum::<usize>()
    }

    /// Runs it until its moment comes; `true` where it did not come to its end.
    async fn is_killed(&mut self, arguments: &[String]) -> bool {
        let (begun, made) = (self.heard(), self.place.made().len());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child =
            self.place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // More than half of what a run asks is before it makes a key, where little can go wrong.
        let makes = self.wishes.len() > self.place.live().len() || arguments[0] == "rotate";
        let since_made = makes && self.random.random_bool(0.8);
        let most = if since_made { AFTER_A_KEY } else { self.requests };
        let moment = self.random.random_range(0..=most);
        let a_bit_later = Duration::from_micros(self.random.random_range(0..20_000));
        let mut begun = (!since_made).then_some(begun);
        while begun.is_none_or(|begun| self.heard() < begun + moment) {
            if begun.is_none() && self.place.made().len() > made {
                begun = Some(self.heard());
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(a_bit_later).await;
        let _ = child.kill();
        child.wait().unwrap().code().is_none()
    }

    /// Runs that nothing disturbs, until there is nothing to do; what is wrong then.
    async fn in_peace(&mut self) -> Vec<String> {
        let apply = [&["apply", "--yes"], &ALLOW[..]].concat();
        let (mut said, begun) = (Vec::new(), self.heard());
        let is_done = (0..IN_PEACE).any(|run| {
            let is_first = run == 0;
            let run = self.place.run(&apply);
            if is_first {
                self.requests = self.heard() - begun;
            }
            // What waits for an overlap comes due in a moment.
            let is_done =
                run.code == Some(0) && run.text.contains("No changes") && !run.text.contains("Coming up");
            said.push(run.text);
            is_done
        });
        if !is_done {
            return vec![format!(
                "{IN_PEACE} runs in peace do not come to an end:\n{}",
                said.join("\n---\n")
            )];
        }
        let mut broken = Vec::new();
        let (live, owned) = (self.place.live(), self.place.owned());
        if live != owned || self.place.pending() > 0 {
            broken.push(format!("live: {live:?}, in state: {owned:?}, pending: {}", self.place.pending()));
        }
        for (name, sinks) in &self.wishes {
            let mut held = BTreeSet::new();
            for sink in sinks {
                match self.held(*sink, name).await {
                    Value::Text(secret) if self.place.works(&secret) => held.extend(Some(secret)),
                    Value::Text(_) | Value::Nothing | Value::Other => {
                        broken.push(format!("{} is lost to {name}", self.place.targets[*sink].kind()));
                    }
                }
            }
            if held.len() != 1 {
                broken.push(format!("{name} has {} secrets", held.len()));
            }
        }
        for (sink, name) in std::mem::take(&mut self.left) {
            let is_wanted = self.wishes.get(&name).is_some_and(|sinks| sinks.contains(&sink));
            if !is_wanted && self.held(sink, &name).await != Value::Nothing {
                broken.push(format!("{} still holds {name}", self.place.targets[sink].kind()));
            }
        }
        if !broken.is_empty() {
            broken.extend(said);
        }
        broken
    }

    /// What the sink holds for a key, as another client than gridkey finds it.
    async fn held(&self, sink: usize, key: &str) -> Value {
        let target = &self.place.targets[sink];
        let at = with_key(target, key);
        match target.service() {
            Some(service) => service.value(&at).await,
            None => {
                let mut at = (*at.at).clone();
                let path = at.path_mut().expect("it is a file");
                secret_in(&self.place.path(path)).map_or(Value::Nothing, Value::Text)
            }
        }
    }
}

/// The place of a key: a field of a document that all share, or a file of its own.
fn with_key(target: &Target, key: &str) -> SinkLocation {
    let mut settings = json!(&*target.at.at);
    let kind = target.kind();
    let (name, value) = if target.service().is_some() {
        ("field", key.to_string())
    } else {
        ("path", format!("{key}.{kind}"))
    };
    settings[kind.as_str()][name] = json!(value);
    SinkLocation::new(target.at.sink.clone(), settings_of(settings))
}
