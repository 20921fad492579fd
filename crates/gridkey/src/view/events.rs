//! Events of the engine in words for standard error, and as lines of JSON.

use gridkey_core::SinkKind;
use gridkey_engine::{Event, Failure, LessThanFull};
use jiff::Timestamp;
use serde::Serialize;

use super::words::{count, doing, done, duration, on_one_line, safe};

/// An event as one line; `None` for those that only a machine cares about.
pub fn line(event: &Event) -> Option<String> {
    let line = match event {
        Event::WaitingForLock { account, holder } => {
            format!("{account}: waiting for the lock, which {} holds", safe(holder))
        }
        Event::Observing { account } => format!("{account}: reading keys and sinks"),
        Event::Settling { account, remaining } => format!(
            "{account}: waiting {} until SendGrid shows what an earlier run did",
            duration(*remaining)
        ),
        // Whether a command stores anything is never known before it is run.
        Event::Unproven { location, why: _, others: _ } if location.at.kind() == SinkKind::Command => {
            return None;
        }
        Event::Unproven { location, why, others } => {
            let more = if *others == 0 { String::new() } else { format!(" and {others} more") };
            format!(
                "{}{more}: seems ready, which the first write will prove: {}",
                safe(location.to_string()),
                on_one_line(why)
            )
        }
        Event::Started { account, address, action } => {
            format!("{account}: {address}: {}", doing(*action))
        }
        Event::Created { account, address, id } => format!("{account}: {address}: made key {id}"),
        Event::Watching { account, address, remaining } => format!(
            "{account}: {address}: SendGrid's answer was lost; looking for the key for {}",
            duration(*remaining)
        ),
        Event::Delivered { address, id, location } => {
            format!("{address}: delivered key {id} to {}", safe(location.to_string()))
        }
        Event::Recorded { account: _, address: _, id: _ } => return None,
        Event::Renamed { account, address, id, name } => {
            format!("{account}: {address}: renamed key {id} to \"{}\"", safe(name))
        }
        Event::NameNotHeld { account, address, id, asked, held } => format!(
            "{account}: {address}: SendGrid names key {id} \"{}\" rather than \"{}\", and is not asked again",
            safe(held),
            safe(asked)
        ),
        Event::LessThanFull(LessThanFull { account, address, id, scopes }) => format!(
            "{account}: {address}: key {id} did not get Full Access, but {}",
            count(scopes.len(), "scope")
        ),
        Event::Updated { account, address, id } => format!("{account}: {address}: updated key {id}"),
        Event::Adopted { account, address, id } => format!("{account}: {address}: owns key {id} from now on"),
        Event::Forgotten { account, address, id } => {
            format!("{account}: {address}: let go of key {id}, which stays live")
        }
        Event::Moved { account, from, address } => format!("{account}: {from} is {address} from now on"),
        Event::Revoked { account, address, id } => format!("{account}: {address}: revoked key {id}"),
        Event::LeftForSuccessor { account, address, successor } => {
            format!("{account}: {address}: not revoked, as its successor {successor} was not made")
        }
        Event::Cleared { address, location } => {
            format!("{address}: cleared {}", safe(location.to_string()))
        }
        Event::NotCleared { address, location, reason } => {
            format!("{address}: left the value in {}: {}", safe(location.to_string()), on_one_line(reason))
        }
        Event::HookStarted { account, address, hook } => {
            format!("{account}: {address}: {}", safe(hook.does.to_string()))
        }
        Event::HookEnded { account, address, hook } => {
            format!("{account}: {address}: {} ended well", safe(hook.whose()))
        }
        Event::HookLeftOut { account, address, hook } => format!(
            "{account}: {address}: {} is left out here, where nothing outside is touched: it {}",
            safe(hook.whose()),
            safe(hook.does.to_string())
        ),
        Event::Done { account, address, action } => format!("{account}: {address}: {}", done(*action)),
        Event::Failed(Failure { account, address, action, message, help }) => {
            let help =
                help.as_ref().map(|help| format!(" (help: {})", on_one_line(help))).unwrap_or_default();
            format!("{account}: {address}: failed to {action}: {}{help}", on_one_line(message))
        }
        Event::AccountStopped { account, reason } => {
            format!("{account}: nothing more is done here: {}", on_one_line(reason))
        }
        Event::Interrupted => {
            "interrupted: what is under way is finished, nothing new is started".to_string()
        }
    };
    Some(line)
}

/// What happened just now, as one line of JSON with its time.
#[derive(Serialize)]
struct Timed<'a, T> {
    time: Timestamp,
    #[serde(flatten)]
    event: &'a T,
}

/// An event as one line of JSON, named by its field `event`, and with the time by this machine's clock.
pub fn timed<T: Serialize>(event: &T) -> String {
    let time = Timestamp::now();
    serde_json::to_string(&Timed { time, event }).expect("an event is plain data with text keys")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gridkey_core::plan::Action;
    use gridkey_core::{KeyId, Name};

    use super::*;

    fn account() -> Name {
        Name::new("acme").expect("a name")
    }

    #[test]
    fn a_failure_says_what_why_and_the_way_out() {
        let event = Event::Failed(Failure {
            account: account(),
            address: "prod/mailer".parse().expect("an address"),
            action: Action::Create,
            message: "SendGrid refused the scopes".into(),
            help: Some("grant them to the managing key".into()),
        });
        assert_eq!(
            line(&event).expect("words"),
            "acme: prod/mailer: failed to create: SendGrid refused the scopes (help: grant them to the managing key)"
        );
        let told: serde_json::Value = serde_json::from_str(&timed(&event)).expect("JSON");
        assert_eq!((&told["event"], &told["account"]), (&"failed".into(), &"acme".into()));
        let time: Timestamp = told["time"].as_str().expect("a time").parse().expect("a time");
        assert!((Timestamp::now() - time).as_hours() < 1, "{time}");
    }

    #[test]
    fn waits_say_for_what_and_how_long() {
        let event = Event::Settling { account: account(), remaining: Duration::from_millis(2_900) };
        assert_eq!(
            line(&event).expect("words"),
            "acme: waiting 2.9 s until SendGrid shows what an earlier run did"
        );
    }

    #[test]
    fn records_of_state_are_for_machines_alone() {
        let address = "prod/mailer".parse().expect("an address");
        let event = Event::Recorded { account: account(), address, id: KeyId::new("id") };
        assert_eq!(line(&event), None);
        assert!(timed(&event).contains(r#""event":"recorded""#));
    }
}
