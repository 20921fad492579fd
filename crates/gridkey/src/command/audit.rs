//! `audit`: every key of every account. Nothing is changed, and no writer is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gridkey_core::Name;
use gridkey_core::audit::{Audit, AuditInput, AuditedKey, audit};
use gridkey_core::catalogue::Catalogue;
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::matches_pattern;
use gridkey_core::state::AccountState;
use gridkey_engine::{Depth, Refresh, refresh};
use jiff::{SignedDuration, Timestamp};

use crate::args::{AuditArguments, AuditFormat, FailOn, Global};
use crate::choice::guess;
use crate::command::plan::progress;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::view;

pub async fn run(global: &Global, arguments: &AuditArguments) -> Result<Exit, CommandError> {
    if !global.environments.is_empty() {
        return Err(CommandError::usage("an audit is about every key, and takes no `--env`")
            .help("narrow what is shown with `--account`, `--owner`, `--scope` or `--concern`"));
    }
    let project = Project::open(global).await?;
    let states = project.states().await?;
    project.check_external_targets(&states)?;
    let manifest = project.manifest();
    check_owners(&arguments.owner, manifest, &states)?;
    if let Some(unknown) = arguments.account.iter().find(|name| !manifest.accounts.contains_key(*name)) {
        let known: Vec<String> = manifest.accounts.keys().map(ToString::to_string).collect();
        return Err(CommandError::usage(format!("the manifest has no account `{unknown}`"))
            .help(format!("it has {}", known.join(", "))));
    }
    let progress = progress(global);
    let names = manifest.accounts.keys().cloned().collect();
    let readers = project.readers(&names, &progress).await;
    let selection = project.selection(None, false);
    let inventory = refresh(&Refresh {
        manifest,
        selection: &selection,
        states: &states,
        requests: &Default::default(),
        readers: &readers,
        sinks: (!arguments.no_sinks).then_some(project.sinks.as_ref() as _),
        events: progress.as_ref(),
        settle: None,
        depth: Depth::Everything,
        concurrency: project.concurrency,
    })
    .await;
    progress.finish();
    let mut audited = audit(&AuditInput {
        manifest,
        states: &states,
        inventory: &inventory,
        policy: project.policy.as_ref(),
        sinks: !arguments.no_sinks,
    });
    check_scopes(&arguments.scope, &audited)?;
    narrow(&mut audited, arguments);
    show(&audited, arguments.format());
    let failed = audited.keys.iter().any(|key| arguments.fail_on.iter().any(|on| on.is_met(key)));
    let unread = audited.accounts.values().any(|account| account.unreadable.is_some());
    Ok(if failed || unread { Exit::Blocked } else { Exit::Done })
}

/// A filter that lets nothing pass would make every `--fail-on` green: an owner that no key has is a slip of the pen.
fn check_owners(
    asked: &[String],
    manifest: &Manifest,
    states: &BTreeMap<Name, AccountState>,
) -> Result<(), CommandError> {
    let owned = states.values().flat_map(|state| state.keys.values());
    let owners = owned.filter_map(|key| key.owner.as_deref());
    let known: BTreeSet<&str> =
        manifest.keys.values().filter_map(|key| key.owner.as_deref()).chain(owners).collect();
    let Some(unknown) = asked.iter().find(|owner| !known.contains(owner.as_str())) else { return Ok(()) };
    Err(CommandError::usage(format!("no key has the owner `{unknown}`")).help(guess(
        unknown,
        &known,
        "no key has an `owner`",
    )))
}

/// The same of a scope that the catalogue does not have, and no live key.
fn check_scopes(asked: &[String], audit: &Audit) -> Result<(), CommandError> {
    let catalogue = Catalogue::builtin();
    let is_known = |pattern: &&String| {
        catalogue.entries().any(|entry| matches_pattern(pattern, entry.scope.as_str()))
            || audit
                .keys
                .iter()
                .flat_map(|key| &key.scopes)
                .any(|scope| matches_pattern(pattern, scope.as_str()))
    };
    let Some(unknown) = asked.iter().find(|pattern| !is_known(pattern)) else { return Ok(()) };
    let help = match catalogue.suggest(unknown) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`gridkey scopes list` shows all that are known; `*` stands for any characters".to_string(),
    };
    Err(CommandError::usage(format!("there is no scope `{unknown}`")).help(help))
}

fn narrow(audit: &mut Audit, arguments: &AuditArguments) {
    let AuditArguments {
        account,
        owner,
        scope,
        older_than,
        concern,
        format: _,
        json: _,
        fail_on: _,
        no_sinks: _,
    } = arguments;
    // By SendGrid's clock; where no account could be read, by this machine's.
    let now = audit.observed_at().unwrap_or_else(Timestamp::now);
    let owned_by = |key: &AuditedKey| key.owner.as_ref().is_some_and(|known| owner.contains(known));
    audit.keys.retain(|key| {
        (account.is_empty() || account.contains(&key.account))
            && (owner.is_empty() || owned_by(key))
            && (scope.is_empty() || scope.iter().any(|pattern| key.holds(pattern)))
            && older_than.is_none_or(|age| may_be_older(key, age, now))
            && (concern.is_empty() || concern.iter().any(|on| on.is_met(key)))
    });
    if !account.is_empty() {
        audit.accounts.retain(|name, _| account.contains(name));
    }
}

/// Whether a key is older, or may be: SendGrid does not tell when a key was made.
fn may_be_older(key: &AuditedKey, age: Duration, now: Timestamp) -> bool {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    key.since().is_none_or(|(since, may_be_older)| may_be_older || now.duration_since(since) > age)
}

fn show(audit: &Audit, format: AuditFormat) {
    match format {
        AuditFormat::Text => print::text(&view::audit::text(audit, print::style())),
        AuditFormat::Json => print::json(audit),
        AuditFormat::Csv => print::out(&view::audit::csv::csv(audit)),
        AuditFormat::Html => print::out(&view::audit::html::html(audit)),
    }
}

impl FailOn {
    fn is_met(&self, key: &AuditedKey) -> bool {
        match self {
            // Worse than what was named counts too.
            Self::Level(level) => key.risk <= *level,
            Self::Concern(concern) => key.concerns.contains(concern),
        }
    }
}
