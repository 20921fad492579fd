//! Gates: what stands against a plan, and what was allowed to pass.

mod account;
mod changes;
mod lint;
mod policy;
mod project;
mod reach;

use crate::address::Address;
use crate::manifest::Allowance;
use crate::name::Name;
use crate::plan::input::PlanInput;
use crate::plan::{Code, Finding, Severity};

pub(crate) use account::{is_right_account, unreadable};
pub(crate) use changes::changes;
pub(crate) use lint::lints;
pub(crate) use policy::{foreign, full_access, policy, vanished};
pub(crate) use project::project;
pub use reach::reach;

/// Who made the rule that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// gridkey or the manifest; the manifest can loosen it.
    Manifest,
    /// `--policy FILE`, which neither the manifest nor a plan file can loosen.
    PolicyFile,
}

/// Collects findings, and lets those pass that a person allowed.
pub(crate) struct Gates<'a> {
    input: &'a PlanInput<'a>,
    findings: Vec<Finding>,
}

impl<'a> Gates<'a> {
    pub fn new(input: &'a PlanInput<'a>) -> Self {
        Self { input, findings: Vec::new() }
    }

    pub fn raise(&mut self, finding: Finding) {
        self.raise_by(Origin::Manifest, finding);
    }

    pub fn raise_by(&mut self, origin: Origin, mut finding: Finding) {
        if matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount) {
            if self.passes(finding.code, finding.address.as_ref(), origin) {
                finding.severity = Severity::Allowed;
            } else if let Some(ended) = self.ended(finding.code, finding.address.as_ref()) {
                let help = finding.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
                finding.help = Some(format!("{help}{ended}"));
            }
        }
        self.findings.push(finding);
    }

    /// Whether a person lets findings of this code pass, by `--allow` or in the manifest.
    pub fn is_allowed(&self, code: Code, address: Option<&Address>) -> bool {
        self.passes(code, address, Origin::Manifest)
    }

    fn passes(&self, code: Code, address: Option<&Address>, origin: Origin) -> bool {
        let options = self.input.options;
        let today = self.input.today();
        let holds = |allowance: &&Allowance| {
            covers(allowance, code, address) && allowance.until.is_none_or(|until| today <= until)
        };
        let here = options.allow.iter().any(|allow| allow.covers(code, address))
            || self.of_file().iter().any(|allowance| holds(&allowance));
        let elsewhere = options.approved_allow.iter().any(|allow| allow.covers(code, address))
            || self.input.manifest.policy.allow.iter().any(|allowance| holds(&allowance));
        code.is_allowable() && (here || (origin == Origin::Manifest && elsewhere))
    }

    /// The exception that would have let it pass until some day.
    fn ended(&self, code: Code, address: Option<&Address>) -> Option<String> {
        let mut all = self.of_file().iter().chain(&self.input.manifest.policy.allow);
        let ended = all.find(|allowance| covers(allowance, code, address) && allowance.until.is_some())?;
        let until = ended.until?;
        Some(format!("the exception at {} held until {until}", ended.position))
    }

    fn of_file(&self) -> &[Allowance] {
        self.input.policy.map(|file| &file.policy.allow[..]).unwrap_or_default()
    }

    /// Takes back what was found about addresses of an account that the plan leaves alone.
    pub fn forget(&mut self, account: &Name, about: impl Fn(&Address) -> bool) {
        self.findings.retain(|finding| {
            finding.account.as_ref() != Some(account) || !finding.address.as_ref().is_some_and(&about)
        });
    }

    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

fn covers(allowance: &Allowance, code: Code, address: Option<&Address>) -> bool {
    allowance.code == code.as_str() && (allowance.address.is_none() || allowance.address.as_ref() == address)
}

fn blocks(code: Code, message: String, help: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Blocks,
        code,
        account: None,
        address: None,
        message,
        help: Some(help.into()),
        position: None,
    }
}
