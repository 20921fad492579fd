//! What a scenario's `scenario.yaml` can say.

use std::collections::BTreeMap;

use gridkey_emulator::{FaultRule, Settings};
use serde::Deserialize;

/// `scenario.yaml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Switches of the emulated SendGrid.
    #[serde(default)]
    pub sendgrid: Settings,
    /// Keys made by hand, by account.
    #[serde(default)]
    pub foreign: Vec<Foreign>,
    #[serde(default)]
    pub subusers: Vec<String>,
    pub steps: Vec<Step>,
    /// Whether a plan at the end shows no changes, as it does unless the scenario is about something that
    /// blocks.
    #[serde(default = "yes")]
    pub converges: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    pub account: String,
    pub name: String,
    /// None stands for Full Access.
    pub scopes: Option<Vec<String>>,
    /// A line `VARIABLE=` in a file that holds its secret.
    #[serde(default)]
    pub held_by: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// This manifest is the one from now on.
    Manifest(String),
    /// `gridkey …`
    Run(Vec<String>),
    /// The same, without the managing key.
    WithoutKey(Vec<String>),
    /// The same, with a text on standard input and with variables of the environment.
    RunWith {
        run: Vec<String>,
        #[serde(default)]
        input: Option<String>,
        #[serde(default)]
        variables: BTreeMap<String, String>,
    },
    /// Requests fail like this from now on.
    Faults(Vec<FaultRule>),
    /// A symbolic link.
    Link { file: String, to: String },
    /// A file of the project is replaced.
    Write { file: String, text: String },
    /// A key is revoked by hand.
    Revoke { account: String, name: String },
    /// A key is renamed or given other scopes by hand.
    Change { account: String, name: String, scopes: Vec<String> },
    /// A text in a file is replaced by another.
    Edit { file: String, from: String, to: String },
    /// A file is cut off in its middle.
    Truncate(String),
    /// Every overlap that state has begun to count has passed.
    OverlapsPass,
    /// So many days pass.
    DaysPass(i64),
    /// The managing key is another one from now on, which somebody made by hand.
    NewManagingKey,
    /// A file or a folder is gone.
    Remove(String),
    /// A key is given another name by hand.
    Rename { account: String, name: String, to: String },
    /// A file is copied.
    Copy { file: String, to: String },
    /// A line `VARIABLE=` of a file is again what it is in a copy.
    RestoreLine { file: String, variable: String, from: String },
    /// A file's text is shown, with secrets as the ids of their keys.
    Show(String),
}
