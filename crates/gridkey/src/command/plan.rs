//! `plan`: shows what would change, and changes nothing: no writer is made.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use gridkey_core::inventory::Inventory;
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::{
    Options, Plan, PlanInput, Seed, Selection, Severity, compare, matches_pattern, plan, with_moves,
};
use gridkey_core::state::AccountState;
use gridkey_core::text::suggest::closest;
use gridkey_core::{Address, Name};
use gridkey_engine::ports::SinkReader;
use gridkey_engine::{Depth, Refresh, refresh};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

use crate::args::{DEFAULT_MANIFEST, Form, Format, Global, KeyFilter, Length, LogFormat, PlanArguments};
use crate::choice::{Among, KeyChoice, Resolved};
use crate::environments::{EnvironmentChoice, Gone, choose};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Project, read_manifest, read_policy};
use crate::view;
use crate::view::progress::{self, Progress};

/// A plan's markers are never used: apply plans again, with a seed of its own.
const UNUSED_SEED: Seed = Seed([0; 32]);

pub async fn run(global: &Global, arguments: &PlanArguments) -> Result<Exit, CommandError> {
    let plan = match &arguments.against {
        Some(older) => against(global, arguments, older)?,
        None => of_project(global, arguments).await?,
    };
    if let Some(path) = &arguments.out {
        save(&plan, path)?;
    }
    show(&plan, &arguments.form);
    if let Some(path) = &arguments.out {
        say_saved(global, arguments, &plan, path);
    }
    let changes = arguments.detailed_exitcode && !plan.is_empty();
    Ok(match blocked(&plan) {
        true => Exit::Blocked,
        false if changes => Exit::Changes,
        false => Exit::Done,
    })
}

async fn of_project(global: &Global, arguments: &PlanArguments) -> Result<Plan, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    let all = project.selection(None, false);
    let narrowed = |keys: KeyChoice, among| keys.narrowed(project.manifest(), &states, &all, among);
    let only = narrowed(arguments.narrowing.keys(), Among::All)?;
    let rotate = KeyChoice::new(&arguments.rotate, &KeyFilter::default());
    let rotate = narrowed(rotate, Among::Replaceable)?.unwrap_or_default();
    say_passed_over(only.iter().chain([&rotate]));
    let named = only.map(|only| only.addresses);
    let selection = project.selection(named.as_deref(), false);
    let mut options = project.options(&arguments.narrowing.allow).await?;
    options.due = arguments.due.into();
    options.sinks = !arguments.no_sinks;
    options.requests.rotate = rotate.addresses.iter().map(|address| (address.clone(), None)).collect();
    check_only(project.manifest(), &states, &selection, &rotate.addresses)?;
    check_wanted(project.manifest(), rotate.addresses.iter())?;
    check_only(project.manifest(), &states, &selection, named.as_deref().unwrap_or_default())?;
    project.check_external_targets(&states)?;
    let look = ReadOnlyRun {
        manifest: project.manifest(),
        selection: &selection,
        states: &states,
        options: &options,
        depth: Depth::Plan,
    };
    let inventory = look.observe(&project, &progress(global)).await;
    Ok(plan(&look.input(&project, &inventory)))
}

/// What a pattern matches and is not meant is not left out in silence.
pub fn say_passed_over<'a>(resolved: impl Iterator<Item = &'a Resolved>) {
    for (address, reason) in resolved.flat_map(|resolved| &resolved.passed_over) {
        print::say(&format!("`{address}` {reason}, and is left out"));
    }
}

/// Everything that a command that only reads looks at.
pub struct ReadOnlyRun<'a> {
    pub manifest: &'a Manifest,
    pub selection: &'a Selection,
    pub states: &'a BTreeMap<Name, AccountState>,
    pub options: &'a Options,
    pub depth: Depth,
}

impl<'a> ReadOnlyRun<'a> {
    pub async fn observe(&self, project: &Project, progress: &Arc<Progress>) -> Inventory {
        let moved = with_moves(self.manifest, self.selection, self.states);
        let names = self.selection.accounts(self.manifest, &moved.states);
        let readers = project.readers(&names, progress).await;
        let sinks: &dyn SinkReader = project.sinks.as_ref();
        let inventory = refresh(&Refresh {
            manifest: self.manifest,
            selection: self.selection,
            states: self.states,
            requests: &self.options.requests,
            readers: &readers,
            sinks: self.options.sinks.then_some(sinks),
            events: progress.as_ref(),
            settle: None,
            depth: self.depth,
            concurrency: project.concurrency,
        })
        .await;
        progress.finish();
        inventory
    }

    pub fn input(&self, project: &'a Project, inventory: &'a Inventory) -> PlanInput<'a> {
        PlanInput {
            manifest: self.manifest,
            selection: self.selection,
            states: self.states,
            inventory,
            policy: project.policy.as_ref(),
            now: Timestamp::now(),
            seed: &UNUSED_SEED,
            options: self.options,
        }
    }
}

/// Two manifests and a policy file, and nothing else is read.
fn against(global: &Global, arguments: &PlanArguments, older: &Path) -> Result<Plan, CommandError> {
    let (bare_newer, _) = read_manifest(&global.manifest, &[])?;
    let (bare_older, _) = read_manifest(older, &[])?;
    // An environment of a pattern that only one of the two has is simply not there in the other.
    let made_by_older = |name: &&Name| {
        bare_older.manifest.patterns.keys().any(|pattern| matches_pattern(pattern, name.as_str()))
    };
    let mut known_before: BTreeSet<Name> = bare_older.manifest.environments.keys().cloned().collect();
    known_before.extend(global.environments.iter().filter_map(|choice| match choice {
        EnvironmentChoice::Name(name) => Some(name).filter(made_by_older).cloned(),
        EnvironmentChoice::Pattern(_) => None,
    }));
    let chosen = choose(&global.environments, &bare_newer.manifest, &known_before, Gone::Allowed)?;
    let (newer, _) = read_manifest(&global.manifest, &chosen.requested)?;
    let requested: Vec<Name> = chosen.names.iter().flatten().filter(made_by_older).cloned().collect();
    let (older, _) = read_manifest(older, &requested)?;
    let policy = global.policy.as_deref().map(read_policy).transpose()?;
    let options = Options { allow: arguments.narrowing.allow.clone(), ..Options::default() };
    let mut selection = Selection::new(chosen.names, None);
    let keys = arguments.narrowing.keys();
    if !keys.is_everything() {
        let manifests = [&newer.manifest, &older.manifest];
        let only = keys.resolve(&manifests, &BTreeMap::new(), &selection, Among::All)?.addresses;
        selection.only = Some(only.iter().cloned().collect());
        let is_gone = |address: &&Address| older.manifest.keys.contains_key(*address);
        let named: Vec<Address> = only.iter().filter(|address| !is_gone(address)).cloned().collect();
        check_only(&newer.manifest, &BTreeMap::new(), &selection, &named)?;
    }
    Ok(compare(&older.manifest, &newer.manifest, policy.as_ref(), &selection, Timestamp::now(), &options))
}

fn save(plan: &Plan, path: &Path) -> Result<(), CommandError> {
    if is_another_file(path) {
        let message = format!("{} is there and is not a plan, and it was not replaced", path.display());
        return Err(CommandError::new(message).help("name another file for the plan, or take that one away"));
    }
    std::fs::write(path, plan.to_json()).map_err(|error| {
        CommandError::new(format!("the plan cannot be saved to {}", path.display())).because(&error)
    })
}

/// Where the plan is, and the command that goes on from it.
fn say_saved(global: &Global, arguments: &PlanArguments, plan: &Plan, path: &Path) {
    // A comparison is only looked at, and so is what stands still.
    let can_be_applied = arguments.against.is_none() && !blocked(plan);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut options: Vec<(&str, String)> = Vec::new();
    options.extend(global.chdir.as_deref().map(|folder| ("-C", text(folder))));
    let (command, does) = match can_be_applied {
        true => ("apply", "carries it out"),
        false => ("show", "shows it"),
    };
    if can_be_applied {
        options
            .extend((global.manifest != Path::new(DEFAULT_MANIFEST)).then(|| ("-f", text(&global.manifest))));
        options.extend(global.policy.as_deref().map(|policy| ("--policy", text(policy))));
        options.extend(global.environments.iter().map(|choice| ("--env", choice.to_string())));
        // A file approves rotations, and asks for none.
        options.extend(arguments.rotate.iter().map(|pattern| ("--rotate", pattern.to_string())));
    }
    let emulator = (global.emulator && can_be_applied).then(|| "--emulator".to_string());
    let options = options.into_iter().flat_map(|(name, value)| [name.to_string(), quoted(&value)]);
    let words = ["gridkey".to_string(), command.to_string()].into_iter().chain(emulator).chain(options);
    let words: Vec<String> = words.chain([quoted(&text(path))]).collect();
    print::note(&format!("saved to {}; `{}` {does}", path.display(), words.join(" ")));
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Whether a path has a file that is not for plans: secrets, state, a manifest. A plan is known by its beginning, so that one that was
/// not written to its end is replaced as well. Empty files, and what is no file (a pipe, a terminal), are for whoever named them.
fn is_another_file(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    if !metadata.is_file() || metadata.len() == 0 {
        return false;
    }
    let mut beginning = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(100).read_to_end(&mut beginning));
    // Whatever the version is.
    beginning.retain(|byte| !byte.is_ascii_whitespace() && !byte.is_ascii_digit());
    read.is_err() || !beginning.starts_with(br#"{"format_version":,"kind":"#)
}

/// Prints a plan in the form that was asked for.
pub fn show(plan: &Plan, form: &Form) {
    match form.format() {
        Format::Text => print::text(&text(plan, form.length())),
        Format::Json => print::out(&plan.to_json()),
        Format::Markdown => print::out(&view::markdown::markdown(plan, &form.comment_id)),
        Format::Html => print::out(&view::html::html(plan)),
        Format::Sarif => print::out(&view::sarif::sarif(plan)),
    }
}

/// A plan as people read it.
pub fn text(plan: &Plan, length: Length) -> String {
    match length {
        Length::Whole => view::plan::text(plan, print::style()),
        Length::Summary => view::plan::brief(plan, print::style()),
    }
}

/// Whether some part of a plan would not be carried out.
pub fn blocked(plan: &Plan) -> bool {
    plan.findings.iter().any(|finding| match finding.severity {
        Severity::Blocks | Severity::BlocksAccount => true,
        Severity::Allowed | Severity::Warns => false,
    })
}

/// How events are shown.
pub fn progress(global: &Global) -> Arc<Progress> {
    let form = match global.log_format {
        LogFormat::Json if global.quiet => progress::Form::QuietJson,
        LogFormat::Json => progress::Form::Json,
        LogFormat::Text if global.quiet => progress::Form::Quiet,
        LogFormat::Text if std::io::stderr().is_terminal() => progress::Form::Terminal,
        LogFormat::Text => progress::Form::Lines,
    };
    Arc::new(Progress::new(form))
}

/// A key that is to be replaced, or whose older keys are decided about, has to be wanted: what the manifest no longer has
/// would be revoked by the same run.
pub fn check_wanted<'a>(
    manifest: &Manifest,
    addresses: impl Iterator<Item = &'a Address>,
) -> Result<(), CommandError> {
    let mut addresses = addresses.filter(|address| !manifest.keys.contains_key(*address));
    let Some(address) = addresses.next() else { return Ok(()) };
    Err(CommandError::usage(format!("the manifest has no key at `{address}`, so nothing is done")).help(format!(
        "put it back into the manifest; `gridkey apply` revokes the keys that state owns there, and a `moved` or \
         `removed` entry for `{address}` says what else becomes of them"
    )))
}

/// An address that is neither wanted nor owned is a slip of the pen, and would plan nothing.
///
/// So is one in an environment that the run is not about.
pub fn check_only(
    manifest: &Manifest,
    states: &BTreeMap<Name, AccountState>,
    selection: &Selection,
    only: &[Address],
) -> Result<(), CommandError> {
    for address in only {
        let is_owned = states.values().any(|state| state.keys.contains_key(address));
        if !manifest.keys.contains_key(address) && !is_owned {
            let is_account =
                |name: &&Name| address.environment.is_none() && name.as_str() == address.to_string();
            if let Some(account) = manifest.accounts.keys().find(is_account) {
                return Err(CommandError::usage(format!("the manifest has no key at `{address}`"))
                    .help(format!("it is an account: `--account {account}` stands for the keys of it")));
            }
            let owned = states.values().flat_map(|state| state.keys.keys());
            let known = manifest.keys.keys().chain(owned).map(ToString::to_string);
            let meant = match closest(&address.to_string(), known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    let all: Vec<String> = manifest.keys.keys().map(ToString::to_string).collect();
                    match all.get(..10).filter(|_| all.len() > 10) {
                        Some(first) => format!("it has {} and {} more", first.join(", "), all.len() - 10),
                        None => format!("it has {}", all.join(", ")),
                    }
                }
            };
            return Err(CommandError::usage(format!("the manifest has no key at `{address}`")).help(meant));
        }
        if !selection.has_environment(manifest, address.environment.as_ref()) {
            let help = match &address.environment {
                Some(environment) => format!("name its environment: `--env {environment}`"),
                None => "leave `--env` out".to_string(),
            };
            let message = format!("`{address}` is in no environment that this run is about");
            return Err(CommandError::usage(message).help(help));
        }
        if !selection.has(manifest, address) {
            let message = format!("`{address}` is not part of this run, which `--only` narrows");
            return Err(
                CommandError::usage(message).help(format!("add `--only {address}`, or leave `--only` out"))
            );
        }
    }
    Ok(())
}
