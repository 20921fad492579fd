//! Which parts of each decision are done: those that `--due` and the plan files let pass, and of what has come due as
//! much as there are slots for.

use crate::finding::{Code, Finding};
use crate::manifest::AtLimit;
use crate::plan::account::Account;
use crate::plan::choose::approval::Approval;
use crate::plan::choose::schedule::{self, Rotation};
use crate::plan::decide::decision::{Decision, Due, Parts, What};
use crate::plan::decide::schedule::left;
use crate::plan::document::change::Change;
use crate::plan::input::{self, PlanInput};

/// A decision, and the change that its chosen parts come to.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub decision: Decision,
    pub change: Change,
}

/// What was chosen in an account.
#[derive(Default)]
pub(crate) struct Choice {
    pub done: Vec<Chosen>,
    /// Wanted, and not approved.
    pub not_approved: Vec<Change>,
    /// Brought by the clock since the plan files were made, and left for a later run.
    pub left: Vec<Change>,
    pub findings: Vec<Finding>,
}

/// What stands against a change by itself, if anything does.
pub(crate) type Stands<'s> = &'s dyn Fn(&Decision, &Change) -> Option<Finding>;

/// Chooses in an account that was read.
pub(crate) fn choose(
    account: &Account<'_>,
    decisions: Vec<Decision>,
    approval: Option<&Approval>,
    stands: Stands<'_>,
) -> Choice {
    let mut choosing = Choosing { input: account.input, approval, stands, choice: Choice::default() };
    let mut offers: Vec<Offer> = Vec::with_capacity(decisions.len());
    for decision in decisions {
        offers.extend(choosing.offer(decision, Some(account)));
    }
    choosing.rotations(account, &mut offers);
    choosing.take(offers)
}

/// Chooses in an account that is let go of, and was not looked at.
pub(crate) fn choose_unobserved(
    input: &PlanInput<'_>,
    decisions: Vec<Decision>,
    approval: Option<&Approval>,
    stands: Stands<'_>,
) -> Choice {
    let mut choosing = Choosing { input, approval, stands, choice: Choice::default() };
    let mut offers: Vec<Offer> = Vec::with_capacity(decisions.len());
    for decision in decisions {
        offers.extend(choosing.offer(decision, None));
    }
    choosing.take(offers)
}

struct Choosing<'a> {
    input: &'a PlanInput<'a>,
    approval: Option<&'a Approval>,
    stands: Stands<'a>,
    choice: Choice,
}

/// A decision, and what of it may be done.
struct Offer {
    decision: Decision,
    parts: Parts,
    /// A rotation that may take the place of the edit, where there is a slot.
    rotation: Option<Rotation>,
    /// The edit is wanted, and no plan file approves it by itself.
    unapproved: bool,
    /// What would be retired, and no plan file approves.
    left: Option<Change>,
}

impl Choosing<'_> {
    /// What of a decision may be done; `None` where no plan file is about the key.
    fn offer(&mut self, decision: Decision, account: Option<&Account<'_>>) -> Option<Offer> {
        // What an earlier run left behind is settled wherever it is, as far as a file approves it or needs to.
        let is_outside = |approval: &Approval| {
            let all = Parts { edit: true, due: false, retirement: true };
            let settles = decision.settles && approval.approves(&decision.change(all));
            !approval.is_about(self.input.manifest, &decision.address) && !settles
        };
        let approval = self.approval;
        if approval.is_some_and(is_outside) {
            return None;
        }
        self.choice.findings.extend(decision.findings.iter().cloned());
        let mut parts = self.by_due(&decision);
        let mut unapproved = false;
        let mut left = None;
        let is_whole = |approval: &Approval| approval.approves(&decision.change(parts));
        if let Some(approval) = approval.filter(|approval| !is_whole(approval)) {
            let edit = Parts { edit: true, ..Parts::default() };
            unapproved = parts.edit && decision.has_edit() && !approval.approves(&decision.change(edit));
            let retirement = Parts { retirement: true, ..Parts::default() };
            if parts.retirement && decision.retirement.is_some() {
                let change = decision.change(retirement);
                if !approval.approves_retirement(&change) {
                    parts.retirement = false;
                    left = Some(change);
                }
            }
        }
        let mut offer = Offer { decision, parts, rotation: None, unapproved, left };
        if let (Some(due), Some(account)) = (offer.decision.due.clone(), account) {
            self.due(&mut offer, &due, account);
        }
        Some(offer)
    }

    /// What `--due` lets pass. What an earlier run left behind is settled in any case.
    fn by_due(&self, decision: &Decision) -> Parts {
        let recovery = decision.settles && decision.assumes.is_none();
        match self.input.options.due {
            input::Due::Include => Parts { edit: true, due: false, retirement: true },
            input::Due::Exclude => Parts { edit: true, due: false, retirement: false },
            input::Due::Only => {
                let edit = recovery || !decision.has_edit();
                Parts { edit, due: false, retirement: decision.assumes.is_none() }
            }
        }
    }

    /// What the clock would have done in the place of the edit.
    fn due(&mut self, offer: &mut Offer, due: &Due, account: &Account<'_>) {
        let (address, now) = (offer.decision.address.clone(), account.at());
        if self.input.options.due == input::Due::Exclude {
            let told = left(due, &address, now);
            self.choice.findings.extend(told.map(|finding| self.about(finding, &offer.decision)));
            return;
        }
        if self.input.options.due == input::Due::Only && offer.decision.assumes.is_some() {
            return;
        }
        let change = offer.decision.change(Parts { due: true, ..Parts::default() });
        let own = due.part.findings.iter().find(|finding| finding.is_blocking()).cloned();
        if let Some(stands) = own.or_else(|| (self.stands)(&offer.decision, &change)) {
            if due.at <= now {
                let finding = cannot(due, &change, &stands);
                self.choice.findings.push(self.about(finding, &offer.decision));
            }
        } else if self.approval.is_some_and(|approval| !approval.approves(&change)) {
            if due.at <= now {
                self.choice.left.push(change);
            }
        } else {
            match due.what {
                What::Expiry => {
                    offer.parts = Parts { edit: false, due: true, retirement: false };
                    offer.left = None;
                }
                What::Rotation(at_limit) => {
                    let at_limit = self.approved_at_limit(&offer.decision, at_limit);
                    let approved = self.approval.is_some();
                    offer.rotation = Some(Rotation { at: due.at, at_limit, approved });
                }
            }
        }
    }

    /// What a rotation does at the limit: an overlap that was approved is no approval to revoke first.
    fn approved_at_limit(&self, decision: &Decision, at_limit: AtLimit) -> AtLimit {
        let Some(approval) = self.approval else { return at_limit };
        match at_limit {
            AtLimit::Replace => {
                let mut replaced = decision.clone();
                schedule::revoke_first(&mut replaced);
                let change = replaced.change(Parts { due: true, ..Parts::default() });
                if approval.approves(&change) { AtLimit::Replace } else { AtLimit::Postpone }
            }
            AtLimit::Postpone | AtLimit::Block => at_limit,
        }
    }

    fn about(&self, finding: Finding, decision: &Decision) -> Finding {
        finding
            .in_account(&decision.account)
            .at_address(&decision.address)
            .at_position(decision.position.as_ref())
    }

    /// As many rotations as there are slots for.
    fn rotations(&mut self, account: &Account<'_>, offers: &mut [Offer]) {
        let mut waiting: Vec<(usize, Rotation)> =
            offers.iter().enumerate().filter_map(|(index, offer)| Some((index, offer.rotation?))).collect();
        waiting.sort_by(|(a, of_a), (b, of_b)| {
            (of_a.at, &offers[*a].decision.address).cmp(&(of_b.at, &offers[*b].decision.address))
        });
        if waiting.is_empty() {
            return;
        }
        let others: Vec<Change> = offers
            .iter()
            .map(|offer| {
                let edit = offer.parts.edit && !offer.unapproved;
                offer.decision.change(Parts { edit, ..offer.parts })
            })
            .collect();
        let decisions: Vec<(&Decision, Rotation)> =
            waiting.iter().map(|(index, rotation)| (&offers[*index].decision, *rotation)).collect();
        let others: Vec<&Change> = others.iter().collect();
        let fit = schedule::fit(account, &others, &decisions);
        self.choice.findings.extend(fit.findings);
        for ((index, _), taken) in waiting.iter().zip(fit.taken) {
            let offer = &mut offers[*index];
            match taken {
                schedule::Taken::No => continue,
                schedule::Taken::Overlapping => {}
                schedule::Taken::RevokedFirst => schedule::revoke_first(&mut offer.decision),
            }
            offer.parts.edit = false;
            offer.parts.due = true;
        }
    }

    fn take(mut self, offers: Vec<Offer>) -> Choice {
        self.choice.done.reserve(offers.len());
        for Offer { decision, mut parts, rotation, unapproved, left } in offers {
            self.choice.left.extend(left);
            if unapproved && !parts.due {
                parts.edit = false;
                // Where a rotation with the edit in it is approved and only waits for a slot, so does the edit.
                if rotation.is_none() {
                    let edit = Parts { edit: true, ..Parts::default() };
                    self.choice.not_approved.push(decision.change(edit));
                }
            }
            let nothing =
                parts == Parts::default() || (!parts.edit && !parts.due && decision.retirement.is_none());
            if nothing {
                continue;
            }
            self.choice.findings.extend(decision.findings(parts).cloned());
            let change = decision.change(parts);
            self.choice.done.push(Chosen { decision, change });
        }
        self.choice
    }
}

/// What has come due and cannot be done just now stands in the way of nothing else.
fn cannot(due: &Due, change: &Change, stands: &Finding) -> Finding {
    let what = match due.what {
        What::Rotation(_) => "due for rotation",
        What::Expiry => "past its environment's ttl",
    };
    Finding::warns(
        Code::RotationPostponed,
        format!("`{}` is {what}, which has to wait: {}", change.address, stands.message),
        stands.help.clone().unwrap_or_default(),
    )
}
