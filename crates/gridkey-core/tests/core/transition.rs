//! How state changes, where no whole run tells what a single change leaves behind.

use std::collections::BTreeSet;
use std::time::Duration;

use gridkey_core::manifest::{Lifecycle, OnDelete};
use gridkey_core::sink::DotenvSettings;
use gridkey_core::state::transition::{Minted, Receipts};
use gridkey_core::state::{
    ABANDONED_KEPT, AccountState, PendingKey, PendingPhase, Purpose, RetiringReason, RevokeOld, Settings,
};
use gridkey_core::{
    Access, AccountIdentity, Address, KeyId, Known, Marker, Name, Receipt, Region, SinkLocation, SinkSettings,
};
use jiff::{SignedDuration, Timestamp};

const OVERLAP: Duration = Duration::from_secs(3600);

fn hour(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_hours(hours)
}

fn mailer() -> Address {
    "prod/mailer".parse().unwrap()
}

fn location(variable: &str) -> SinkLocation {
    let at = DotenvSettings::new(".env", variable);
    SinkLocation::new(Name::new("local").unwrap(), SinkSettings::Dotenv(at))
}

fn settings(variables: &[&str]) -> Settings {
    Settings {
        owner: None,
        protect: false,
        on_delete: OnDelete::Clear,
        patterns: BTreeSet::new(),
        locations: variables.iter().map(|variable| location(variable)).collect(),
        left_alone: BTreeSet::new(),
        overlap: OVERLAP,
        lifecycle: Lifecycle::default(),
        hooks: Vec::new(),
    }
}

fn empty() -> AccountState {
    let identity = AccountIdentity { parent: None, region: Region::Global, on_behalf_of: None };
    let name = |text| Name::new(text).unwrap();
    AccountState::new(name("shop"), name("acme"), identity, "lineage".to_string())
}

/// Records one more key of the address, as a run does, with the older one retiring.
fn mint(state: &mut AccountState, id: &str, variables: &[&str], at: Timestamp) {
    let minted = Minted {
        address: mailer(),
        marker: Marker::new(id),
        id: KeyId::new(id),
        name: "mailer".to_string(),
        access: Access::Full,
        reported: None,
        generation: 1,
        first_made: None,
        follows: None,
        settings: settings(variables),
        born: at,
        by: "a test".to_string(),
        overlap: OVERLAP,
        retire: Some(RetiringReason::Replaced),
        older: RevokeOld::AfterOverlap,
        uncertain: Vec::new(),
        receipts: Receipts::new(),
    };
    state.record(minted, at);
}

/// `old` and `older` retire, and `new` is the key.
fn three_generations() -> AccountState {
    let mut state = empty();
    for (hours, id) in [(0, "older"), (1, "old"), (2, "new")] {
        mint(&mut state, id, &["KEY"], hour(hours));
    }
    for retiring in &mut state.keys.get_mut(&mailer()).unwrap().retiring {
        retiring.held = true;
    }
    state
}

/// The retiring keys: id, until when, and whether held.
fn retiring(state: &AccountState) -> Vec<(&str, Timestamp, bool)> {
    let key = &state.keys[&mailer()];
    key.retiring.iter().map(|retiring| (retiring.id.as_str(), retiring.after, retiring.held)).collect()
}

#[test]
fn a_postponed_key_counts_its_overlap_anew_and_no_other_does() {
    let mut state = three_generations();
    state.postpone(&mailer(), &KeyId::new("old"), OVERLAP, hour(10));
    assert_eq!(retiring(&state), [("older", hour(2), true), ("old", hour(11), false)]);
    assert_eq!(state.keys[&mailer()].kept_until, None, "it is not the current key that was meant");

    let mut state = three_generations();
    state.postpone(&mailer(), &KeyId::new("new"), OVERLAP, hour(10));
    assert_eq!(state.keys[&mailer()].kept_until, Some(hour(11)));
    assert_eq!(retiring(&state), [("older", hour(2), true), ("old", hour(3), true)]);
}

#[test]
fn what_is_not_needed_any_more_is_forgotten_and_nothing_else() {
    let mut state = three_generations();
    let begun = |marker: &str| {
        let pending = PendingKey {
            address: mailer(),
            purpose: Purpose::Create,
            name: "mailer".to_string(),
            access: Access::Full,
            locations: Vec::new(),
            phase: PendingPhase::Intended,
            older: RevokeOld::AfterOverlap,
            at: hour(0),
            by: "a test".to_string(),
        };
        (Marker::new(marker), pending)
    };
    for (marker, at) in [("early", hour(0)), ("late", hour(1))] {
        let (marker, pending) = begun(marker);
        state.begin(marker.clone(), pending);
        state.abandon(&marker, at);
    }
    state.leaving(["older", "new"].map(KeyId::new), hour(2));
    let left = |state: &AccountState| {
        let markers: Vec<_> = state.abandoned.keys().map(ToString::to_string).collect();
        let leaving: Vec<_> = state.leaving.keys().map(ToString::to_string).collect();
        (markers, leaving)
    };
    let kept = SignedDuration::try_from(ABANDONED_KEPT).unwrap();
    let both = vec!["early".to_string(), "late".to_string()];
    let leaving = vec!["new".to_string(), "older".to_string()];
    state.prune(hour(0) + kept - SignedDuration::from_secs(1));
    assert_eq!(left(&state), (both, leaving));
    state.retired(&mailer(), &KeyId::new("older"));
    state.prune(hour(0) + kept);
    assert_eq!(left(&state), (vec!["late".to_string()], vec!["new".to_string()]));
}

/// The locations that are to be cleared: which, when, and of which keys.
fn cleared(state: &AccountState) -> Vec<(SinkLocation, Timestamp, Vec<String>)> {
    let key = &state.keys[&mailer()];
    let all = key.retiring_locations.iter().map(|leaving| {
        (leaving.location.clone(), leaving.after, leaving.given.iter().map(ToString::to_string).collect())
    });
    all.collect()
}

#[test]
fn a_location_leaves_once_and_comes_back() {
    let of = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut state = empty();
    mint(&mut state, "first", &["A", "B", "C"], hour(0));
    assert_eq!(cleared(&state), []);
    state.settle(&mailer(), settings(&["A", "C"]), &Receipts::new(), hour(1));
    assert_eq!(cleared(&state), [(location("B"), hour(2), of(&["first"]))]);
    // What left before keeps its time and its keys; what leaves now is joined to it.
    mint(&mut state, "second", &["A"], hour(5));
    let gone = [(location("B"), hour(2), of(&["first"])), (location("C"), hour(6), of(&["first"]))];
    assert_eq!(cleared(&state), gone);
    state.settle(&mailer(), settings(&["A", "B"]), &Receipts::new(), hour(7));
    assert_eq!(cleared(&state), gone[1..], "it is wanted again, and not cleared");
    state.settle(&mailer(), settings(&["A"]), &Receipts::new(), hour(8));
    let again = (location("B"), hour(9), of(&["first", "second"]));
    assert_eq!(cleared(&state), [gone[1].clone(), again]);
}

#[test]
fn a_location_that_may_be_given_the_key_is_kept_in_mind_until_that_is_recorded() {
    let mut state = empty();
    mint(&mut state, "one", &["A", "B"], hour(0));
    let (at, id) = (location("B"), location("B").id());
    let receipt = |text: &str| Known { id: KeyId::new("one"), receipt: Receipt::new(text) };
    let receipts = Receipts::from([(id.clone(), receipt("1"))]);
    state.settle(&mailer(), settings(&["A", "B"]), &receipts, hour(1));
    assert_eq!(state.known().collect::<Vec<_>>(), [(id.clone(), receipt("1"))]);
    assert_eq!(state.may_be_given_until(&mailer(), &id, OVERLAP), None);

    state.may_be_given(&mailer(), &at, hour(2));
    let key = &state.keys[&mailer()];
    assert_eq!(key.sinks.iter().map(|delivery| &delivery.location).collect::<Vec<_>>(), [&location("A")]);
    assert_eq!(cleared(&state), [(at.clone(), hour(2), vec!["one".to_string()])]);
    assert_eq!(state.known().count(), 0, "what it shows says nothing");
    assert_eq!(state.may_be_given_until(&mailer(), &id, OVERLAP), Some(hour(3)));

    // Once it is recorded without a receipt, what was there before is over.
    state.settle(&mailer(), settings(&["A", "B"]), &Receipts::new(), hour(4));
    assert_eq!((cleared(&state).len(), state.known().count()), (0, 0));
    assert_eq!(state.keys[&mailer()].sinks[1].at, hour(4));
}

/// What it was given before counts, too: it may still have that.
#[test]
fn a_location_that_was_left_keeps_all_that_it_may_have() {
    let mut state = empty();
    mint(&mut state, "first", &["A", "B"], hour(0));
    state.settle(&mailer(), settings(&["A"]), &Receipts::new(), hour(1));
    mint(&mut state, "second", &["A"], hour(5));
    state.may_be_given(&mailer(), &location("B"), hour(50));
    let both = ["first", "second"].map(ToString::to_string).to_vec();
    assert_eq!(cleared(&state), [(location("B"), hour(50), both)]);
}
