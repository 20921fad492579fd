//! Processes at work at the same time, each with the moment at which it is made to stop.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::orders::{End, Moment, Order};
use crate::site::Site;
use crate::watch::Watch;

/// Three seconds are promised after a signal, two more for an answer that does not come; the rest is for a machine
/// that is busy.
const SOON: Duration = Duration::from_secs(10);
/// What nobody makes stop ends by itself, whatever SendGrid answers.
const LONGEST: Duration = Duration::from_secs(60);
/// Not every run makes so many requests that its moment comes.
const LATEST: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(1);

/// What a process is documented to end with.
const CODES: [i32; 7] = [0, 1, 2, 3, 4, 64, 130];

/// How a process ended, and what it said.
pub struct Ended {
    pub what: String,
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
    /// Where it broke a promise by how it ended.
    pub broken: Option<String>,
}

struct Running<'a> {
    order: &'a Order,
    child: Child,
    said: [PathBuf; 2],
    begun: Instant,
    /// When there were enough requests.
    heard: Option<Instant>,
    told: Option<Instant>,
    told_again: bool,
    ended: Option<(ExitStatus, Option<String>)>,
}

/// Runs them at the same time; `number` tells what they say from that of others.
pub fn all(site: &Site, orders: &[Order], number: &mut usize, watch: &mut Watch) -> Vec<Ended> {
    let start = |order| Running::start(site, order, number);
    let mut running: Vec<Running<'_>> = orders.iter().map(start).collect();
    while running.iter().any(|running| running.ended.is_none()) {
        let heard = watch.look(site);
        for running in running.iter_mut().filter(|running| running.ended.is_none()) {
            running.look(heard);
        }
        std::thread::sleep(PAUSE);
    }
    watch.look(site);
    running.into_iter().map(Running::ended).collect()
}

/// Runs one in peace.
pub fn one(
    site: &Site,
    project: &'static str,
    arguments: &[&str],
    number: &mut usize,
    watch: &mut Watch,
) -> Ended {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    let order = Order { project, arguments, planned: false, destroys: None, end: None };
    all(site, &[order], number, watch).remove(0)
}

impl<'a> Running<'a> {
    fn start(site: &Site, order: &'a Order, number: &mut usize) -> Self {
        *number += 1;
        let said = ["out", "err"].map(|stream| site.said().join(format!("{number}.{stream}")));
        std::fs::create_dir_all(site.said()).unwrap();
        let arguments: Vec<&str> = order.arguments.iter().map(String::as_str).collect();
        let mut command = site.command(order.project, &arguments);
        let [out, err] = said.each_ref().map(|path| File::create(path).unwrap());
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        let begun = Instant::now();
        Self { order, child, said, begun, heard: None, told: None, told_again: false, ended: None }
    }

    fn look(&mut self, heard: usize) {
        if let Some(status) = self.child.try_wait().unwrap() {
            self.ended = Some((status, self.undocumented(status)));
            return;
        }
        if let Some(end) = self.order.end {
            self.signal(end, heard);
        }
        let (since, bound) = match self.told {
            Some(told) => (told, SOON),
            None => (self.begun, LONGEST),
        };
        if since.elapsed() > bound {
            self.child.kill().unwrap();
            let status = self.child.wait().unwrap();
            self.ended = Some((status, Some(format!("it was still there after {bound:?}"))));
        }
    }

    fn signal(&mut self, End { signal, moment, again }: End, heard: usize) {
        let send = |child: &Child| kill_process(Pid::from_child(child), signal).unwrap();
        let due = match self.told {
            None => self.is_time(moment, heard),
            Some(told) => !self.told_again && again.is_some_and(|later| told.elapsed() >= later),
        };
        if due {
            send(&self.child);
            self.told_again = self.told.is_some();
            self.told.get_or_insert_with(Instant::now);
        }
    }

    fn is_time(&mut self, moment: Moment, heard: usize) -> bool {
        match moment {
            Moment::After(time) => self.begun.elapsed() >= time,
            Moment::Heard(requests, later) => {
                if heard >= requests || self.begun.elapsed() > LATEST {
                    self.heard.get_or_insert_with(Instant::now);
                }
                self.heard.is_some_and(|heard| heard.elapsed() >= later)
            }
        }
    }

    /// An end that nothing says can come.
    fn undocumented(&self, status: ExitStatus) -> Option<String> {
        let sent = self.told.and(self.order.end).map(|end| end.signal);
        let fine = match status.code() {
            Some(130) => sent.is_some_and(|sent| sent != Signal::KILL),
            Some(code) => CODES.contains(&code),
            // Before a process listens, and where it only reads, a signal does what it does to any.
            None => status.signal() == sent.map(Signal::as_raw),
        };
        (!fine).then(|| format!("it ended with {status}"))
    }

    fn ended(self) -> Ended {
        let [out, err] = self.said.each_ref().map(|path| std::fs::read_to_string(path).unwrap());
        let (status, broken) = self.ended.unwrap();
        Ended { what: self.order.to_string(), status, out, err, broken }
    }
}
