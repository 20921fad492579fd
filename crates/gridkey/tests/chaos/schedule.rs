//! One schedule: everything that happens follows from its seed, as far as processes at the same time let it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::orders::{self, ALLOW};
use crate::project::Project;
use crate::promises::Promises;
use crate::run::{self, Ended};
use crate::site::Site;
use crate::tally::Tally;
use crate::watch::Watch;
use crate::weather;

/// How many runs in peace put everything right: one finishes what broke off and makes what it finds wrong, one or two come too early
/// to revoke what waited for that, one revokes it, and the last has nothing to do.
const IN_PEACE: usize = 5;

/// An overlap may have no length, and clocks tell whole seconds: what comes due so soon is waited for.
const SOON: SignedDuration = SignedDuration::from_secs(3);

struct Schedule<'a> {
    random: StdRng,
    site: Site,
    projects: [Project; 2],
    promises: Promises,
    /// How many processes there were.
    processes: usize,
    /// All that is needed to understand what happened.
    story: String,
    tally: &'a mut Tally,
}

/// Plays the schedule of a seed.
///
/// # Errors
/// What happened, and which promises were broken.
pub async fn play(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new(seed, &mut random).await;
    let projects = ["one", "two"].map(|name| Project::new(name, &mut random));
    let promises = Promises::default();
    tally.schedules += 1;
    let schedule = Schedule { random, site, projects, promises, processes: 0, story: String::new(), tally };
    tokio::task::block_in_place(|| schedule.all())
        .map_err(|story| format!("=== seed {seed} breaks a promise\n{story}=== end of seed {seed}"))
}

impl Schedule<'_> {
    fn all(mut self) -> Result<(), String> {
        for number in 0..2 {
            self.write(number);
        }
        for round in 1..=self.random.random_range(3..=7) {
            let _ = writeln!(self.story, "--- round {round}");
            let broken = self.round();
            if !broken.is_empty() {
                return Err(self.broken(&broken));
            }
        }
        let _ = writeln!(self.story, "--- in peace");
        let broken = self.peace();
        if broken.is_empty() { Ok(()) } else { Err(self.broken(&broken)) }
    }

    fn broken(self, broken: &[String]) -> String {
        format!("{}*** broken:\n*** {}\n", self.story, broken.join("\n*** "))
    }

    fn write(&mut self, number: usize) {
        let project = &self.projects[number];
        let text = project.manifest();
        self.site.write(&format!("{}/gridkey.yaml", project.name), &text);
        let _ = writeln!(self.story, "{}/gridkey.yaml:\n{text}", project.name);
    }

    fn round(&mut self) -> Vec<String> {
        for number in 0..2 {
            let edits = self.random.random_range(0..=2);
            for _ in 0..edits {
                let edit = self.projects[number].edit(&mut self.random);
                let _ = writeln!(self.story, "{}: {edit}", self.projects[number].name);
            }
            if edits > 0 {
                self.write(number);
            }
        }
        let orders = orders::orders(&self.site, &self.projects, &mut self.random);
        for order in &orders {
            self.tally.count(format!("gridkey {}", order.arguments[0]));
        }
        let destroyed: BTreeSet<(&str, &str)> =
            orders.iter().filter_map(|order| Some((order.project, order.destroys?))).collect();
        for order in orders.iter().filter(|order| order.planned) {
            let mut watch = Watch::new(&self.site, &self.projects, &destroyed);
            let planning =
                run::one(&self.site, order.project, &order.planning(), &mut self.processes, &mut watch);
            self.tell(&planning);
        }
        let mut faults = weather::faults(&mut self.random);
        if orders.iter().all(|order| order.end.is_some()) && self.random.random_bool(0.15) {
            faults.push(weather::silence(&mut self.random));
        }
        for fault in &faults {
            let _ = writeln!(self.story, "fault: {fault:?}");
        }
        self.site.server.model().clear_log();
        self.site.server.model().set_faults(faults);
        let mut watch = Watch::new(&self.site, &self.projects, &destroyed);
        let ended = run::all(&self.site, &orders, &mut self.processes, &mut watch);
        self.site.server.model().set_faults(Vec::new());
        self.heard();
        let mut broken = Vec::new();
        for ended in &ended {
            self.tell(ended);
            broken.extend(ended.broken.iter().map(|broken| format!("{}: {broken}", ended.what)));
        }
        broken.extend(watch.broken);
        broken.extend(self.promises.after_round(&self.site, &self.projects, &destroyed));
        broken
    }

    /// What SendGrid heard, to be read in the story.
    fn heard(&mut self) {
        for entry in self.site.server.model().log() {
            let status = entry.status.map_or("no answer".to_string(), |status| status.to_string());
            if !status.starts_with('2') {
                self.tally.count(format!("SendGrid: {status}"));
            }
            let _ = writeln!(self.story, "    {} {} {}: {status}", entry.account, entry.method, entry.target);
        }
    }

    fn tell(&mut self, ended: &Ended) {
        let Ended { what, status, out, err, broken: _ } = ended;
        let _ = writeln!(self.story, "$ {what}\n{out}{err}({status})");
        self.tally.count(status.to_string());
    }

    /// Runs that nothing disturbs, until there is nothing to do.
    fn peace(&mut self) -> Vec<String> {
        self.site.settle();
        let mut broken = Vec::new();
        for project in ["one", "two"] {
            let mut runs = 0;
            let done = loop {
                runs += 1;
                let ended = self.in_peace(project, &[&["apply", "--yes"], &ALLOW[..]].concat(), &mut broken);
                let waited = wait_for_due(&ended.out);
                let nothing = ended.out.contains("No changes") && ended.status.success() && !waited;
                if nothing || runs == IN_PEACE || !ended.status.success() {
                    break nothing;
                }
            };
            self.tally.count(format!("{runs} runs in peace"));
            if !done {
                broken.push(format!("{project}: {runs} runs in peace did not come to an end"));
            }
        }
        for project in ["one", "two"] {
            let plan = self.in_peace(project, &["plan", "--detailed-exitcode"], &mut broken);
            if !plan.status.success() || !plan.out.contains("No changes") {
                broken.push(format!("{project}: there is still something to do"));
            }
        }
        broken.extend(self.promises.at_end(&self.site, &self.projects));
        broken
    }

    fn in_peace(&mut self, project: &'static str, arguments: &[&str], broken: &mut Vec<String>) -> Ended {
        self.site.server.model().clear_log();
        let mut watch = Watch::new(&self.site, &self.projects, &BTreeSet::new());
        let ended = run::one(&self.site, project, arguments, &mut self.processes, &mut watch);
        broken.extend(watch.broken);
        self.heard();
        self.tell(&ended);
        ended
    }
}

/// Waits for what a run says will come due in a moment; `true` where there is such a thing.
fn wait_for_due(said: &str) -> bool {
    let now = Timestamp::now();
    let times = said.lines().filter_map(|line| line.split_whitespace().next()?.parse::<Timestamp>().ok());
    let soon = times.filter(|time| *time < now + SOON).max();
    let due = soon.map_or(now, |time| time + SignedDuration::from_secs(1));
    while Timestamp::now() < due {
        std::thread::sleep(Duration::from_millis(5));
    }
    soon.is_some()
}
