//! A decision: all that may be done for one key, in parts that can be done or left for themselves.

use jiff::Timestamp;

use crate::address::Address;
use crate::finding::Finding;
use crate::manifest::AtLimit;
use crate::name::Name;
use crate::plan::document::change::{Action, Cause, Change, KeyValues, Note, Reason, RotationDates};
use crate::plan::document::step::{Adopt, Step};
use crate::text::source::Position;

/// What may be done for one key.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub address: Address,
    pub account: Name,
    /// What the key is now.
    pub before: Option<KeyValues>,
    /// What state says that it is, where SendGrid has something else by now.
    pub recorded: Option<KeyValues>,
    /// What has to be told state first, as everything else was decided as if it were so.
    pub assumes: Option<Assumption>,
    /// What the manifest asks for, and what puts things right.
    pub edit: Part,
    /// What the clock would have done in the place of `edit`.
    pub due: Option<Box<Due>>,
    /// Older keys and locations whose overlap has passed.
    pub retirement: Option<Box<Part>>,
    /// What there is to say of the key whatever is done.
    pub findings: Vec<Finding>,
    pub rotation: Option<RotationDates>,
    pub position: Option<Position>,
    /// Whether it settles what an earlier run left behind, which any run does.
    pub settles: bool,
}

/// What a decision counts on.
#[derive(Clone, Debug)]
pub(crate) enum Assumption {
    Moved { from: Address },
    Adopted { adopt: Box<Adopt>, reason: Reason },
}

/// Something that may be done for itself.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub cause: Cause,
    /// Actions and reasons in the order in which they were found; the most telling action stands for all.
    pub said: Vec<(Action, Reason)>,
    pub notes: Vec<Note>,
    pub steps: Vec<Step>,
    /// `None` where the key is gone, or let go of.
    pub after: Option<KeyValues>,
    /// What stands against it, or is worth saying where it is done.
    pub findings: Vec<Finding>,
}

/// Due work: what comes by the time alone.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub part: Part,
    pub what: What,
    /// When it comes, or came, due.
    pub at: Timestamp,
    /// Whether it is due by an edit that is not applied yet.
    pub by_edit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Rotation(AtLimit),
    Expiry,
}

/// Which parts of a decision are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub edit: bool,
    /// In the place of the edit.
    pub due: bool,
    pub retirement: bool,
}

impl Part {
    /// A part that does nothing: the key is as it should be.
    pub fn nothing(after: Option<KeyValues>) -> Self {
        Self {
            cause: Cause::InStep,
            said: Vec::new(),
            notes: Vec::new(),
            steps: Vec::new(),
            after,
            findings: Vec::new(),
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.said.is_empty() && self.steps.is_empty()
    }
}

impl Decision {
    /// A decision with nothing but an edit.
    pub fn new(address: &Address, account: &Name, before: Option<KeyValues>, edit: Part) -> Self {
        Self {
            address: address.clone(),
            account: account.clone(),
            before,
            recorded: None,
            assumes: None,
            edit,
            due: None,
            retirement: None,
            findings: Vec::new(),
            rotation: None,
            position: None,
            settles: false,
        }
    }

    /// Whether the edit, with what it counts on, does something.
    pub fn has_edit(&self) -> bool {
        !self.edit.is_nothing() || self.assumes.is_some()
    }

    /// The change that some parts come to.
    pub fn change(&self, parts: Parts) -> Change {
        let Parts { edit, due, retirement } = parts;
        let retirement = self.retirement.as_deref().filter(|_| retirement);
        let due = self.due.as_ref().filter(|_| due).map(|due| &due.part);
        let main = due.or(Some(&self.edit).filter(|_| edit));
        let done: Vec<&Part> = main.into_iter().chain(retirement).collect();
        let assumes = self.assumes.as_ref().filter(|_| main.is_some());
        let mut steps: Vec<Step> = assumes.map(Assumption::step).into_iter().collect();
        steps.extend(done.iter().flat_map(|part| &part.steps).cloned());
        steps.sort_by_key(Step::phase);
        let (mut action, mut reasons) = told(done.iter().flat_map(|part| &part.said).copied());
        let mut notes: Vec<Note> = done.iter().flat_map(|part| &part.notes).cloned().collect();
        if let Some(assumes) = assumes {
            assumes.tell(&mut action, &mut reasons, &mut notes);
        }
        if reasons.is_empty() {
            reasons.push(Reason::InStep);
        }
        let cause = done.iter().map(|part| part.cause).find(|cause| *cause != Cause::InStep);
        let cause = cause.or(assumes.map(Assumption::cause)).unwrap_or(Cause::InStep);
        // What is only retired leaves the key as it is, unless the key itself is what retires.
        let after = match (main, retirement) {
            (Some(main), None) => main.after.clone(),
            (Some(main), Some(retirement)) if retirement.after.is_some() => main.after.clone(),
            (None, None) => self.before.clone(),
            (_, Some(retirement)) => retirement.after.clone(),
        };
        Change {
            address: self.address.clone(),
            account: self.account.clone(),
            action,
            cause,
            reasons,
            before: self.before.clone(),
            after,
            notes,
            steps,
            rotation: self.rotation,
            position: self.position.clone(),
        }
    }

    /// What is to be said where some parts are done.
    pub fn findings(&self, parts: Parts) -> impl Iterator<Item = &Finding> {
        let Parts { edit, due, retirement } = parts;
        let edit = edit.then_some(&self.edit);
        let due = self.due.as_ref().filter(|_| due).map(|due| &due.part);
        let retirement = self.retirement.as_deref().filter(|_| retirement);
        edit.into_iter().chain(due).chain(retirement).flat_map(|part| &part.findings)
    }
}

impl Assumption {
    fn step(&self) -> Step {
        match self {
            Self::Moved { from } => Step::Move { from: from.clone() },
            Self::Adopted { adopt, reason: _ } => Step::Adopt((**adopt).clone()),
        }
    }

    fn cause(&self) -> Cause {
        match self {
            Self::Moved { .. } | Self::Adopted { .. } => Cause::Edited,
        }
    }

    fn tell(&self, action: &mut Action, reasons: &mut Vec<Reason>, notes: &mut Vec<Note>) {
        match self {
            Self::Moved { from } => {
                if *action == Action::Keep {
                    *action = Action::Move;
                }
                reasons.push(Reason::Moved);
                notes.push(Note::MovedFrom(from.clone()));
            }
            Self::Adopted { adopt, reason } => {
                *action = Action::Adopt;
                reasons.insert(0, *reason);
                let unknown = adopt.secret == crate::state::SecretStatus::Unknown;
                if unknown && !notes.contains(&Note::SecretUnknown) {
                    notes.push(Note::SecretUnknown);
                }
            }
        }
    }
}

/// The action that stands for all that was said, and the reasons, those of the most telling action first.
fn told(said: impl Iterator<Item = (Action, Reason)>) -> (Action, Vec<Reason>) {
    let mut action = Action::Keep;
    let mut reasons: Vec<Reason> = Vec::new();
    for (next, reason) in said {
        if reasons.contains(&reason) {
            continue;
        }
        if weight(next) > weight(action) {
            action = next;
            reasons.insert(0, reason);
        } else {
            reasons.push(reason);
        }
    }
    (action, reasons)
}

fn weight(action: Action) -> u8 {
    match action {
        Action::Keep => 0,
        Action::Retire => 1,
        Action::Deliver => 2,
        Action::Update => 3,
        Action::Move
        | Action::Adopt
        | Action::Forget
        | Action::Recover
        | Action::Create
        | Action::Rotate
        | Action::Delete => 4,
    }
}
