//! Findings, collected; those that a person allowed pass.

use crate::address::Address;
use crate::finding::Severity;
use crate::finding::{Allow, Code, Finding};
use crate::manifest::{Allowance, WantedKey};
use crate::plan::input::PlanInput;

/// Where the rule comes from that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleSource {
    /// gridkey or the manifest; the manifest can loosen it.
    Manifest,
    /// `--policy FILE`, which neither the manifest nor a plan file can loosen.
    PolicyFile,
}

/// Collects findings, and lets those pass that a person allowed.
pub(crate) struct Findings<'a> {
    input: &'a PlanInput<'a>,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub fn new(input: &'a PlanInput<'a>) -> Self {
        Self { input, list: Vec::new() }
    }

    pub fn raise(&mut self, finding: Finding) {
        self.raise_for(RuleSource::Manifest, finding);
    }

    pub fn raise_for(&mut self, source: RuleSource, mut finding: Finding) {
        if finding.is_blocking() {
            if let Some(how) = self.passes(finding.code, finding.address.as_ref(), source) {
                finding.severity = Severity::Allowed;
                finding.help = Some(how);
            } else if let Some(ended) = self.ended(finding.code, finding.address.as_ref()) {
                let help = finding.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
                finding.help = Some(format!("{help}{ended}"));
            }
        }
        self.list.push(finding);
    }

    /// Takes findings that another collection has judged.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.list.extend(findings);
    }

    /// Whether a person lets findings of this code pass, by `--allow` or in the manifest.
    pub fn is_allowed(&self, code: Code, address: Option<&Address>) -> bool {
        self.passes(code, address, RuleSource::Manifest).is_some()
    }

    /// By what a finding passes, if by anything.
    fn passes(&self, code: Code, address: Option<&Address>, source: RuleSource) -> Option<String> {
        if !code.is_allowable() {
            return None;
        }
        let options = self.input.options;
        let today = self.input.today();
        let holds = |allowance: &&Allowance| {
            is_about(allowance, code, address) && allowance.until.is_none_or(|until| today <= until)
        };
        let once = |allow: &[Allow], by: &str| {
            let allow = allow.iter().find(|allow| allow.is_about(code, address))?;
            Some(format!("allowed this once by `{allow}`{by}"))
        };
        let lasting = |allowances: &[Allowance]| allowances.iter().find(holds).map(because);
        let here = once(&options.allow, "").or_else(|| lasting(self.of_policy_file()));
        let elsewhere = || {
            once(&options.approved_allow, ", which the approved plan has")
                .or_else(|| lasting(&self.input.manifest.policy.allow))
        };
        match source {
            RuleSource::Manifest => here.or_else(elsewhere),
            RuleSource::PolicyFile => here,
        }
    }

    /// The exception that would have let it pass until some day.
    fn ended(&self, code: Code, address: Option<&Address>) -> Option<String> {
        let mut all = self.of_policy_file().iter().chain(&self.input.manifest.policy.allow);
        let ended = all.find(|allowance| is_about(allowance, code, address) && allowance.until.is_some())?;
        let until = ended.until?;
        Some(format!("the exception at {} held until {until}", ended.position))
    }

    fn of_policy_file(&self) -> &[Allowance] {
        self.input.policy.map(|file| &file.policy.allow[..]).unwrap_or_default()
    }

    pub fn into_list(self) -> Vec<Finding> {
        self.list
    }
}

fn because(allowance: &Allowance) -> String {
    let until = allowance.until.map(|until| format!(", until {until}")).unwrap_or_default();
    format!("allowed at {}: {}{until}", allowance.position, allowance.reason)
}

fn is_about(allowance: &Allowance, code: Code, address: Option<&Address>) -> bool {
    allowance.code == code.as_str() && (allowance.address.is_none() || allowance.address.as_ref() == address)
}

/// A finding about a wanted key.
pub(crate) fn about(finding: Finding, wanted: &WantedKey) -> Finding {
    finding.in_account(&wanted.account).at_address(&wanted.address).at_position(Some(&wanted.position))
}
