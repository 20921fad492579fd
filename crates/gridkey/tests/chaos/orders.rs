//! What processes are told to do, and when they are made to stop.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rustix::process::Signal;

use crate::project::{Project, Wanted};
use crate::site::{ACCOUNTS, FOREIGN, Site};

/// One process.
#[derive(Clone, Debug)]
pub struct Order {
    pub project: &'static str,
    pub arguments: Vec<String>,
    /// Whether a plan is saved first, in peace, for this to carry out.
    pub planned: bool,
    /// The environment whose keys it is told to revoke.
    pub destroys: Option<&'static str>,
    pub end: Option<End>,
}

/// How a process is made to stop.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub signal: Signal,
    pub moment: Moment,
    /// How much later the signal is sent once more.
    pub again: Option<Duration>,
}

/// When.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// So long after the emulated SendGrid has heard so many requests of the round.
    Heard(usize, Duration),
    /// So long after the start.
    After(Duration),
}

const SAVED: &str = "plan.json";

/// What lets pass what guards against mass changes: edits here are mass changes.
pub const ALLOW: [&str; 6] =
    ["--allow", "max_deletions", "--allow", "max_rotations", "--allow", "max_recreations"];

/// The processes of a round: one, or up to three at the same time.
pub fn orders(site: &Site, projects: &[Project], random: &mut StdRng) -> Vec<Order> {
    if random.random_bool(0.15) {
        return projects.iter().map(|project| everything(site, project, random)).collect();
    }
    let count = [1, 1, 1, 2, 2, 3][random.random_range(0..6)];
    let orders = (0..count).map(|_| {
        let project = &projects[random.random_range(0..projects.len())];
        order(site, project, random)
    });
    orders.collect()
}

/// Every key anew, so that the projects meet at the files that they share.
fn everything(site: &Site, project: &Project, random: &mut StdRng) -> Order {
    let keys = owned(site, project, false);
    let rotations = keys.iter().flat_map(|address| ["--rotate", address]);
    let arguments = ["apply", "--yes"].into_iter().chain(ALLOW).chain(rotations);
    let arguments = arguments.map(ToString::to_string).collect();
    let end = random.random_bool(0.3).then(|| end(random));
    Order { project: project.name, arguments, planned: false, destroys: None, end }
}

fn order(site: &Site, project: &Project, random: &mut StdRng) -> Order {
    let environments: Vec<&'static str> = project.environments().collect();
    let environment = environments[random.random_range(0..environments.len())];
    let text = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<String>>();
    let (mut planned, mut destroys) = (false, None);
    let apply = text(&[&["apply"], &ALLOW[..]].concat());
    let mut arguments = match random.random_range(0..20) {
        0..6 => apply,
        6..9 => text(&[&["apply", "--env", environment], &ALLOW[..]].concat()),
        9..12 => {
            planned = true;
            text(&[&["apply", SAVED], &ALLOW[..]].concat())
        }
        12..15 => match one_of(owned(site, project, false), random) {
            Some(address) => {
                let older = ["now", "after-overlap", "hold"][random.random_range(0..3)];
                text(&[&["rotate", &address, "--revoke-old", older], &ALLOW[..]].concat())
            }
            None => apply,
        },
        15 => text(&["rotate", "--due"]),
        16 => match one_of(owned(site, project, true), random) {
            Some(address) if random.random_bool(0.7) => text(&["retire", &address, "--now"]),
            Some(address) => text(&["retire", &address, "--hold", "1h"]),
            None => apply,
        },
        17 => {
            destroys = Some(environment);
            text(&[&["destroy", "--env", environment], &ALLOW[..]].concat())
        }
        18 => {
            let (account, _) = ACCOUNTS[random.random_range(0..ACCOUNTS.len())];
            let key = site.keys(account).into_iter().find(|key| key.name == FOREIGN).unwrap();
            text(&["revoke", &key.id, "--account", account, "--name", FOREIGN])
        }
        _ => text(&[["plan", "drift", "audit"][random.random_range(0..3)]]),
    };
    if !matches!(arguments[0].as_str(), "plan" | "drift" | "audit") {
        let patience = ["0s", "3s"][random.random_range(0..2)];
        arguments.extend(text(&["--yes", "--lock-timeout", patience]));
    }
    let end = random.random_bool(0.7).then(|| end(random));
    Order { project: project.name, arguments, planned, destroys, end }
}

/// Keys that the manifest wants and state has; `older` says whether one before it has to wait to be revoked.
fn owned(site: &Site, project: &Project, older: bool) -> Vec<String> {
    let states = site.states(project.name);
    let has = |wanted: &Wanted| {
        let mut keys = states.iter().map(|(_, state)| &state["keys"][&wanted.address]);
        keys.any(|key| {
            let waits = key["retiring"].as_array().is_some_and(|retiring| !retiring.is_empty());
            key.is_object() && (!older || waits)
        })
    };
    project.wanted().into_iter().filter(has).map(|wanted| wanted.address).collect()
}

fn one_of(mut all: Vec<String>, random: &mut StdRng) -> Option<String> {
    (!all.is_empty()).then(|| all.swap_remove(random.random_range(0..all.len())))
}

fn end(random: &mut StdRng) -> End {
    let signals = [Signal::KILL, Signal::KILL, Signal::TERM, Signal::INT];
    let signal = signals[random.random_range(0..signals.len())];
    let moment = match random.random_bool(0.75) {
        true => {
            let later = Duration::from_micros(random.random_range(0..15_000));
            Moment::Heard(random.random_range(1..24), later)
        }
        false => Moment::After(Duration::from_millis(random.random_range(0..300))),
    };
    let again = random.random_bool(0.15).then(|| Duration::from_millis(random.random_range(0..300)));
    End { signal, moment, again }
}

impl Order {
    /// The command that saves what it carries out.
    pub fn planning(&self) -> Vec<&'static str> {
        [&["plan", "--out", SAVED], &ALLOW[..]].concat()
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: gridkey {}", self.project, self.arguments.join(" "))?;
        if self.planned {
            write!(f, " (of a plan made before)")?;
        }
        match self.end {
            Some(End { signal, moment, again: None }) => write!(f, ", {signal:?} at {moment:?}"),
            Some(End { signal, moment, again: Some(later) }) => {
                write!(f, ", {signal:?} at {moment:?} and {later:?} later")
            }
            None => Ok(()),
        }
    }
}
