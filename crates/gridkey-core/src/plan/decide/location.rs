//! Sink locations: whether one may be written, and what it would overwrite.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::inventory::{SinkCaveat, SinkContent, SinkObservation};
use crate::key::KeyId;
use crate::manifest::WantedKey;
use crate::plan::account::{Account, overlap_of};
use crate::plan::document::change::Note;
use crate::plan::document::step::Put;
use crate::plan::findings::{Findings, about};
use crate::sink::{SinkKind, SinkLocation};
use crate::time::later;

impl Account<'_> {
    /// Plans to write a location of a wanted key, and reports what stands against it.
    ///
    /// `ours` are the ids that this address may find there: its own older ones.
    pub(crate) fn put(
        &self,
        wanted: &WantedKey,
        location: &SinkLocation,
        ours: &BTreeSet<&KeyId>,
        notes: &mut Vec<Note>,
        findings: &mut Findings<'_>,
    ) -> Put {
        let kind = location.at.kind();
        let finding =
            |code, message: String, help: String| about(Finding::blocks(code, message, help), wanted);
        if self.input.options.missing_sinks.contains(&kind) {
            findings.raise(finding(
                Code::NotSupported,
                format!("this build of gridkey has no `{kind}` sink, which `{}` is", location.sink),
                "use another sink, or `--emulator`, which stands in for every kind".to_string(),
            ));
        }
        let owner = self.giver(&wanted.address, location);
        let leaving = self.leaver(&wanted.address, location);
        let taken = self.taken(wanted, location, owner, leaving);
        taken.into_iter().for_each(|(message, help)| {
            findings.raise(finding(Code::LocationTaken, message, help));
        });
        let mut foreign = false;
        let left = leaving.map(|(other, _)| self.index.own_ids(other, self.name())).unwrap_or_default();
        let replaces = match self.overwritten(location, owner, ours.iter().chain(&left).copied()) {
            SinkObservation::WriteOnly => SinkContent::Empty,
            SinkObservation::Unreadable(_) if self.is_not_asked(location) => SinkContent::Empty,
            SinkObservation::Unreadable(reason) => {
                findings.raise(finding(
                    Code::SinkUnreadable,
                    format!("{location} cannot be read: {reason}"),
                    until_readable(location.at.kind()).to_string(),
                ));
                SinkContent::Empty
            }
            SinkObservation::Holds(content) => {
                let is_foreign = match &content {
                    SinkContent::Empty => false,
                    SinkContent::Key(id) => !ours.contains(id) && !left.contains(id),
                    SinkContent::Other => true,
                };
                foreign = is_foreign && owner.is_none();
                if foreign {
                    let (code, message, help) = self.foreign_value(wanted, location, &content);
                    findings.raise(finding(code, message, help));
                    let holder = match &content {
                        SinkContent::Key(id) => Some(id.clone()),
                        SinkContent::Empty | SinkContent::Other => None,
                    };
                    notes.push(Note::Overwrites { location: location.clone(), holder });
                }
                content
            }
        };
        self.tell_caveats(wanted, location, findings);
        Put { location: location.clone(), replaces, foreign }
    }

    /// What a write to a location would overwrite. One that never tells its value has none of these keys, and not its owner's, where its
    /// service denies them all.
    fn overwritten<'k>(
        &'k self,
        location: &SinkLocation,
        owner: Option<&Address>,
        known: impl Iterator<Item = &'k KeyId>,
    ) -> SinkObservation {
        match self.observed(location) {
            SinkObservation::WriteOnly => {
                let theirs = owner.map(|other| self.index.own_ids(other, self.name())).unwrap_or_default();
                let denied = self.denied(location, known.chain(theirs));
                denied.map_or(SinkObservation::WriteOnly, SinkObservation::Holds)
            }
            seen @ (SinkObservation::Holds(_) | SinkObservation::Unreadable(_)) => seen,
        }
    }

    /// Whether a location is not looked at: no sinks are, or this build has none of its kind, which is a finding of its own.
    fn is_not_asked(&self, location: &SinkLocation) -> bool {
        let options = &self.input.options;
        !options.sinks || options.missing_sinks.contains(&location.at.kind())
    }

    /// What a write to the location brings with it.
    fn tell_caveats(&self, wanted: &WantedKey, location: &SinkLocation, findings: &mut Findings<'_>) {
        let caveats = self.input.inventory.caveats.get(&location.id());
        for caveat in caveats.into_iter().flatten() {
            findings.raise(about(told(location, caveat), wanted));
        }
    }

    /// What stands against giving a location to a key that another has, or had not long ago: what it is, and the way out.
    fn taken(
        &self,
        wanted: &WantedKey,
        location: &SinkLocation,
        owner: Option<&Address>,
        leaving: Option<(&Address, Option<Timestamp>)>,
    ) -> Option<(String, String)> {
        if let Some((other, Some(after))) = leaving {
            let until = after.strftime("%Y-%m-%dT%H:%M:%SZ");
            return Some((
                format!(
                    "{location} keeps the secret of `{other}` until {until}, for those who still read it there"
                ),
                format!("apply again after that, or give `{}` another location", wanted.address),
            ));
        }
        let owner = owner?;
        let help = match self.index.before_move(self.name(), owner) {
            // Another entry would make the circle larger.
            Some(before) => format!(
                "`moved` makes `{before}` `{owner}` in this run, and its secret stays where it is: write out the \
                 locations of both keys, or take the entry out"
            ),
            None => format!(
                "if the key was renamed, say `moved: [{{ from: {owner}, to: {} }}]`; otherwise give it another \
                 location, or remove `{owner}` in a run of its own first",
                wanted.address
            ),
        };
        Some((format!("{location} belongs to `{owner}`, whose key is there"), help))
    }

    /// The other address that state gives a location to.
    fn giver(&self, address: &Address, location: &SinkLocation) -> Option<&Address> {
        let given = self.index.given(&location.id()).iter().filter(|given| given.address != address);
        given
            .filter(|given| given.leaving.is_none() && self.newer(given.address, given.key).is_none())
            .map(|given| given.address)
            .min()
    }

    /// The other address that used a location before, and the time until which it keeps it, where that is to come.
    fn leaver(&self, address: &Address, location: &SinkLocation) -> Option<(&Address, Option<Timestamp>)> {
        let given = self.index.given(&location.id()).iter().filter(|given| given.address != address);
        let leaving = given.filter_map(|given| {
            let after = given.leaving.map(|leaving| leaving.after).or_else(|| {
                // The key went to another account, and was given other locations there.
                let newer = self.newer(given.address, given.key)?;
                Some(later(newer.delivered(), overlap_of(self.input.manifest, given.address)))
            })?;
            Some((given.address, after))
        });
        // The one that keeps it longest is the one to wait for.
        let (other, after) = leaving.max_by_key(|(_, after)| *after)?;
        Some((other, Some(after).filter(|after| *after > self.at())))
    }

    /// A place that has the key of another address, and that nobody knows to be that address's own.
    fn held_by_another(
        &self,
        wanted: &WantedKey,
        location: &SinkLocation,
        content: &SinkContent,
    ) -> Option<(String, String)> {
        let SinkContent::Key(id) = content else { return None };
        let owner = self.index.owner_of(id).filter(|owner| **owner != wanted.address)?;
        Some((
            format!("{location} holds the key {id}, which is that of `{owner}`"),
            format!(
                "it is probably a place of `{owner}` by another name: give `{}` another location; or have the key taken out of \
                 there first, if nothing needs it",
                wanted.address
            ),
        ))
    }

    fn foreign_value(
        &self,
        wanted: &WantedKey,
        location: &SinkLocation,
        content: &SinkContent,
    ) -> (Code, String, String) {
        if let Some((message, help)) = self.held_by_another(wanted, location, content) {
            return (Code::LocationTaken, message, help);
        }
        let (message, help) = self.unowned_value(wanted, location, content);
        (Code::ForeignValue, message, help)
    }

    fn unowned_value(
        &self,
        wanted: &WantedKey,
        location: &SinkLocation,
        content: &SinkContent,
    ) -> (String, String) {
        let allow = format!("`--allow {}:{}` overwrites it", Code::ForeignValue, wanted.address);
        match content {
            SinkContent::Key(id) => match self.read.live.get(id) {
                Some(name) => {
                    let address = &wanted.address;
                    // An import is for an address without a key.
                    let adopt = match self.owned(address) {
                        Some(owned) => format!(
                            "let go of {} with `gridkey state forget {address}`, which leaves it as it is, and run \
                             `gridkey import {address} {id}`",
                            owned.id
                        ),
                        // Where state knows no key at all, it was probably lost.
                        None if self.input.states.values().all(|state| state.keys.is_empty()) => format!(
                            "adopt it: `import: [{{ to: {address}, id: {id} }}]`, or all that the sinks hold with \
                             `gridkey import --from-sinks`"
                        ),
                        None => format!("adopt it: `import: [{{ to: {address}, id: {id} }}]`"),
                    };
                    (
                        format!("{location} holds the live key `{name}` ({id}), which gridkey does not own"),
                        format!("to keep that key, {adopt}; {allow}, and the key itself stays live"),
                    )
                }
                None => (
                    format!(
                        "{location} holds a SendGrid key ({id}) that is not live in account `{}`",
                        self.name()
                    ),
                    format!("it may belong to another account; {allow}"),
                ),
            },
            SinkContent::Empty | SinkContent::Other if !location.at.is_readable() => (
                format!(
                    "{location} was written by another program since gridkey did, and what it holds cannot be read"
                ),
                format!("find out what needs that value; {allow}"),
            ),
            SinkContent::Empty | SinkContent::Other => (
                format!("{location} holds a value that is not a SendGrid key"),
                format!("it may belong to another program; {allow}"),
            ),
        }
    }
}

/// Locations in the order in which they are written: those that can be read come first, so that a secret
/// is safe before one is tried that never tells.
pub(crate) fn readable_first(puts: &mut [Put]) {
    puts.sort_by_key(|put| !put.location.at.is_readable());
}

/// What a plan says of what a write brings with it.
fn told(location: &SinkLocation, caveat: &SinkCaveat) -> Finding {
    match caveat {
        SinkCaveat::Mode { from, to } => Finding::warns(
            Code::ModeChanges,
            format!("the file of {location} has mode {from}, and gets {to}"),
            "see that the program that reads it still can; `mode` in the sink's settings says another one, and others never get a right",
        ),
        SinkCaveat::InPlace(why) => Finding::warns(
            Code::WrittenInPlace,
            format!("the file of {location} is written where it is, as it cannot be replaced: {why}"),
            "a program that reads it in that moment may see a part of it, and so may all after a crash; mount its folder and not the file, let \
             this user write the folder, or run as the file's owner, and it is replaced whole",
        ),
        SinkCaveat::NotWritable(why) => Finding::blocks(
            Code::SinkUnwritable,
            format!("{location} cannot be given a new secret: {why}"),
            "a secret is only made where it can be stored",
        ),
        SinkCaveat::Ends(when) => Finding::warns(
            Code::ValueEnds,
            format!("what is written to {location} ends by itself: {when}"),
            "the key stays valid, and what reads it there stops working; take that setting away at the service, or rotate before it strikes",
        ),
    }
}

/// What to do about a sink that cannot be read.
fn until_readable(kind: SinkKind) -> &'static str {
    if kind == SinkKind::Command {
        "a secret is only made where it can be stored; where `read` fails because nothing is stored yet, name its exit code in \
         `absent_exit`, or let it print nothing and end with exit code 0"
    } else {
        "put that right, or make the sink reachable; a secret is only made where it can be stored"
    }
}
