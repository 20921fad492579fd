//! Gates: what stands against a plan, and what was allowed to pass.

use crate::address::Address;
use crate::finding::{Allow, Code, Finding, Severity};
use crate::manifest::Allowance;
use crate::name::Name;
use crate::plan::input::PlanInput;

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
            if let Some(how) = self.passes(finding.code, finding.address.as_ref(), origin) {
                finding.severity = Severity::Allowed;
                finding.help = Some(how);
            } else if let Some(ended) = self.ended(finding.code, finding.address.as_ref()) {
                let help = finding.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
                finding.help = Some(format!("{help}{ended}"));
            }
        }
        self.findings.push(finding);
    }

    /// Whether a person lets findings of this code pass, by `--allow` or in the manifest.
    pub fn is_allowed(&self, code: Code, address: Option<&Address>) -> bool {
        self.passes(code, address, Origin::Manifest).is_some()
    }

    /// By what a finding passes, if by anything.
    fn passes(&self, code: Code, address: Option<&Address>, origin: Origin) -> Option<String> {
        if !code.is_allowable() {
            return None;
        }
        let options = self.input.options;
        let today = self.input.today();
        let holds = |allowance: &&Allowance| {
            covers(allowance, code, address) && allowance.until.is_none_or(|until| today <= until)
        };
        let once = |allow: &[Allow], by: &str| {
            let allow = allow.iter().find(|allow| allow.covers(code, address))?;
            Some(format!("allowed this once by `{allow}`{by}"))
        };
        let lasting = |allowances: &[Allowance]| allowances.iter().find(holds).map(because);
        let here = once(&options.allow, "").or_else(|| lasting(self.of_file()));
        let elsewhere = || {
            once(&options.approved_allow, ", which the approved plan has")
                .or_else(|| lasting(&self.input.manifest.policy.allow))
        };
        match origin {
            Origin::Manifest => here.or_else(elsewhere),
            Origin::PolicyFile => here,
        }
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

    /// Another collection, for what may turn out not to be done.
    pub fn scratch(&self) -> Self {
        Self::new(self.input)
    }

    /// Takes what another collection holds.
    pub fn keep(&mut self, finding: Finding) {
        self.findings.push(finding);
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

fn because(allowance: &Allowance) -> String {
    let until = allowance.until.map(|until| format!(", until {until}")).unwrap_or_default();
    format!("allowed at {}: {}{until}", allowance.position, allowance.reason)
}

fn covers(allowance: &Allowance, code: Code, address: Option<&Address>) -> bool {
    allowance.code == code.as_str() && (allowance.address.is_none() || allowance.address.as_ref() == address)
}

/// A finding that blocks the plan, to be filled in.
pub(crate) fn blocks(code: Code, message: String, help: impl Into<String>) -> Finding {
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
