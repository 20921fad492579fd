//! Progress on standard error: a bar on a terminal, lines elsewhere, JSON for machines.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gridkey_engine::{Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use super::events;
use super::words::{duration, safe};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A bar that is drawn over again; what is done, failed or left stays above it.
    Terminal,
    /// A line for each event.
    Lines,
    /// A JSON object for each event.
    Json,
    /// A line for what failed.
    Quiet,
    /// A JSON object for what failed.
    QuietJson,
}

/// Waits shorter than this are not worth a line; a bar shows them all.
const SHORTEST_WAIT_SAID: Duration = Duration::from_secs(1);

const SPINNER: &str = "{spinner} {msg}{wait}";
const COUNTER: &str = "{spinner} {pos}/{len} {msg}{wait}";

/// Shows events as they happen.
pub struct Progress {
    form: Form,
    bar: ProgressBar,
    waits: Arc<Mutex<Vec<Wait>>>,
    said: Mutex<Said>,
    out: Mutex<Box<dyn Write + Send>>,
}

/// How often it is said without news that something is waited for.
const WAIT_SAID_EVERY: Duration = Duration::from_secs(10);

/// Which waits were said, and when.
#[derive(Default)]
struct Said(BTreeMap<String, Instant>);

impl Said {
    /// Whether a wait is worth a line: many requests wait for the same thing, and a long wait is told step by step.
    fn is_news(&mut self, what: &str, now: Instant) -> bool {
        let known = self.0.get(what).is_some_and(|said| now.duration_since(*said) < WAIT_SAID_EVERY);
        if !known {
            self.0.insert(what.to_string(), now);
        }
        !known
    }
}

/// Something that is waited for.
struct Wait {
    what: String,
    until: Instant,
}

#[derive(Serialize)]
struct RateLimited<'a> {
    event: &'static str,
    what: &'a str,
    wait: Duration,
}

impl Progress {
    pub fn new(form: Form) -> Self {
        Self::to(form, Box::new(io::stderr()))
    }

    fn to(form: Form, out: Box<dyn Write + Send>) -> Self {
        let target = match form {
            Form::Terminal => ProgressDrawTarget::stderr(),
            Form::Lines | Form::Json | Form::Quiet | Form::QuietJson => ProgressDrawTarget::hidden(),
        };
        let progress = Self {
            form,
            bar: ProgressBar::with_draw_target(None, target),
            waits: Arc::default(),
            said: Mutex::default(),
            out: Mutex::new(out),
        };
        progress.bar.set_style(progress.bar_style(SPINNER));
        if form == Form::Terminal {
            progress.bar.enable_steady_tick(Duration::from_millis(100));
        }
        progress
    }

    /// From now on a number of changes is carried out, and the bar counts them.
    pub fn expect(&self, changes: usize) {
        self.bar.set_length(changes as u64);
        self.bar.set_position(0);
        self.bar.set_style(self.bar_style(COUNTER));
    }

    /// SendGrid's rate limit makes a request wait; `what` is the kind of request.
    pub fn rate_limited(&self, what: &str, wait: Duration) {
        let words = format!("for SendGrid's rate limit ({})", safe(what));
        match self.form {
            Form::Terminal => lock(&self.waits).push(Wait { what: words, until: Instant::now() + wait }),
            Form::Lines if wait >= SHORTEST_WAIT_SAID => {
                if lock(&self.said).is_news(&words, Instant::now()) {
                    self.print(&format!("waiting {} {words}", duration(wait)));
                }
            }
            Form::Lines | Form::Quiet | Form::QuietJson => {}
            Form::Json => {
                let event = RateLimited { event: "rate_limited", what, wait };
                self.print(&events::timed(&event));
            }
        }
    }

    /// Takes the bar away while something else is printed, or a question asked.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away for good.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the bar. A standard error that is closed stops nothing.
    fn print(&self, line: &str) {
        self.suspend(|| {
            let _ = writeln!(lock(&self.out), "{line}");
        });
    }

    fn on_terminal(&self, event: &Event) {
        let Some(line) = events::line(event) else { return };
        match event {
            // What was done, and what somebody has to know, stays.
            Event::Done { .. } | Event::Failed(_) => {
                self.bar.inc(1);
                self.print(&line);
                self.bar.set_message("");
            }
            Event::NotCleared { .. }
            | Event::Unproven { .. }
            | Event::LeftForSuccessor { .. }
            | Event::NameNotHeld { .. }
            | Event::HookLeftOut { .. }
            | Event::LessThanFull(_)
            | Event::AccountStopped { .. }
            | Event::Interrupted => self.print(&line),
            // These say by themselves how long they take, so that the bar can count it down.
            Event::Settling { account, remaining } => {
                let what = format!("until SendGrid shows what an earlier run did in {account}");
                lock(&self.waits).push(Wait { what, until: Instant::now() + *remaining });
            }
            Event::Watching { account: _, address, remaining } => {
                let what = format!("for the key of {address}, as SendGrid's answer was lost");
                lock(&self.waits).push(Wait { what, until: Instant::now() + *remaining });
            }
            Event::WaitingForLock { .. }
            | Event::Observing { .. }
            | Event::Started { .. }
            | Event::Created { .. }
            | Event::Delivered { .. }
            | Event::Recorded { .. }
            | Event::Renamed { .. }
            | Event::Updated { .. }
            | Event::Adopted { .. }
            | Event::Forgotten { .. }
            | Event::Moved { .. }
            | Event::Revoked { .. }
            | Event::Cleared { .. }
            | Event::HookStarted { .. }
            | Event::HookEnded { .. } => self.bar.set_message(line),
        }
    }

    /// Whether an event says more than what was said a moment ago.
    fn is_news(&self, event: &Event) -> bool {
        let what = match event {
            Event::WaitingForLock { account, holder } => format!("{account}: the lock of {holder}"),
            Event::Settling { account, remaining: _ } => format!("{account}: settling"),
            Event::Watching { account, address, remaining: _ } => format!("{account}: {address}: watching"),
            _ => return true,
        };
        lock(&self.said).is_news(&what, Instant::now())
    }

    fn bar_style(&self, template: &str) -> ProgressStyle {
        let waits = Arc::clone(&self.waits);
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).with_key(
            "wait",
            move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                if let Some(words) = longest(&mut lock(&waits), Instant::now()) {
                    let _ = write!(out, "   {words}");
                }
            },
        )
    }
}

/// The wait that ends last, in words; those that are over are taken out.
fn longest(waits: &mut Vec<Wait>, now: Instant) -> Option<String> {
    waits.retain(|wait| wait.until > now);
    let Wait { what, until } = waits.iter().max_by_key(|wait| wait.until)?;
    Some(format!("waiting {} {what}", duration(*until - now)))
}

/// A thread that panicked while printing leaves nothing half done.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        match self.form {
            Form::Terminal => self.on_terminal(&event),
            Form::Lines => {
                if let Some(line) = events::line(&event).filter(|_| self.is_news(&event)) {
                    self.print(&line);
                }
            }
            Form::Json => self.print(&events::timed(&event)),
            Form::Quiet | Form::QuietJson if !is_failure(&event) => {}
            Form::QuietJson => self.print(&events::timed(&event)),
            Form::Quiet => {
                if let Some(line) = events::line(&event) {
                    self.print(&line);
                }
            }
        }
    }
}

/// What is said to a person who asked for quiet.
fn is_failure(event: &Event) -> bool {
    matches!(event, Event::Failed(_) | Event::AccountStopped { .. })
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use gridkey_core::Name;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(form: Form) -> String {
        let page = Page::default();
        let progress = Progress::to(form, Box::new(page.clone()));
        progress.event(Event::Observing { account: Name::new("acme").expect("a name") });
        progress.rate_limited("create", Duration::from_millis(2_900));
        progress.event(Event::Interrupted);
        String::from_utf8(lock(&page.0).clone()).expect("text")
    }

    #[test]
    fn without_a_terminal_each_event_is_a_line() {
        assert_eq!(
            printed(Form::Lines),
            "acme: reading keys and sinks\nwaiting 2.9 s for SendGrid's rate limit (create)\ninterrupted: what is under way is finished, nothing new is started\n"
        );
    }

    #[test]
    fn a_wait_is_said_once_and_again_every_ten_seconds() {
        let (mut said, now) = (Said::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let told: Vec<bool> =
            [0, 1, 9, 10, 19, 20].into_iter().map(|at| said.is_news("for a", after(at))).collect();
        assert_eq!(told, [true, false, false, true, false, true]);
        assert!(said.is_news("for b", after(20)));

        let page = Page::default();
        let progress = Progress::to(Form::Lines, Box::new(page.clone()));
        for seconds in [3, 2, 1] {
            let account = Name::new("acme").expect("a name");
            progress.event(Event::Settling { account, remaining: Duration::from_secs(seconds) });
            progress.rate_limited("create", Duration::from_secs(seconds));
        }
        let lines = String::from_utf8(lock(&page.0).clone()).expect("text");
        assert_eq!(lines.lines().count(), 2, "{lines}");
    }

    #[test]
    fn for_machines_each_event_is_a_json_object() {
        let printed = printed(Form::Json);
        let events: Vec<serde_json::Value> =
            printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let names: Vec<_> = events.iter().map(|event| event["event"].clone()).collect();
        assert_eq!(names, ["observing", "rate_limited", "interrupted"]);
    }

    #[test]
    fn in_quiet_nothing_but_failures_is_said_in_either_format() {
        for form in [Form::Quiet, Form::QuietJson] {
            assert_eq!(printed(form), "");
        }
    }

    #[test]
    fn the_bar_s_templates_are_valid() {
        for template in [SPINNER, COUNTER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_bar_counts_the_longest_wait_down() {
        let now = Instant::now();
        let wait =
            |what: &str, seconds| Wait { what: what.into(), until: now + Duration::from_secs(seconds) };
        let mut waits = vec![wait("for a", 5), wait("for b", 30)];
        assert_eq!(longest(&mut waits, now).expect("a wait"), "waiting 30 s for b");
        assert_eq!(longest(&mut waits, now + Duration::from_secs(20)).expect("a wait"), "waiting 10 s for b");
        assert_eq!(longest(&mut waits, now + Duration::from_secs(31)), None);
    }
}
