//! `rotate`, `retire` and `import`: runs of an apply that go by what a person asks for.

use gridkey_core::plan::{Due, Extent, Requests, RetireRequest};
use gridkey_core::{Address, KeyId};

use crate::args::{Global, ImportArguments, RetireArguments, RotateArguments};
use crate::command::apply::{Aim, Asked, run};
use crate::environments::EnvironmentChoice;
use crate::exit::{CommandError, Exit};

pub async fn rotate(global: &Global, arguments: &RotateArguments) -> Result<Exit, CommandError> {
    let RotateArguments { addresses, due, revoke_old, confirm } = arguments;
    let asked = Asked {
        aim: Aim::Rotation,
        only: addresses,
        confirm,
        due: if *due { Due::Only } else { Due::Include },
        approval: None,
        requests: Requests {
            rotate: addresses.iter().map(|address| (address.clone(), None)).collect(),
            revoke_old: (*revoke_old).into(),
            ..Requests::default()
        },
    };
    run(&with_environments(global, addresses), &asked).await
}

pub async fn retire(global: &Global, arguments: &RetireArguments) -> Result<Exit, CommandError> {
    let RetireArguments { addresses, what, confirm } = arguments;
    let request = match what.hold {
        Some(hold) => RetireRequest::Hold(hold),
        None => RetireRequest::Now,
    };
    let asked = Asked {
        aim: Aim::Retirement,
        only: addresses,
        confirm,
        due: Due::Include,
        approval: None,
        requests: Requests {
            retire: addresses.iter().map(|address| (address.clone(), request)).collect(),
            ..Requests::default()
        },
    };
    run(&with_environments(global, addresses), &asked).await
}

pub async fn import(global: &Global, arguments: &ImportArguments) -> Result<Exit, CommandError> {
    let ImportArguments { address, id, from_sinks, confirm } = arguments;
    let named = address.as_ref().zip(id.as_ref());
    let import = match named {
        Some((address, id)) => [(address.clone(), key_id(id)?)].into(),
        None => std::collections::BTreeMap::new(),
    };
    let only: Vec<Address> = address.iter().cloned().collect();
    let asked = Asked {
        aim: Aim::Adoption,
        only: &only,
        confirm,
        due: Due::Include,
        approval: None,
        requests: Requests { import, from_sinks: *from_sinks, extent: Extent::State, ..Requests::default() },
    };
    run(&with_environments(global, &only), &asked).await
}

/// A key's id as a person gives it. A whole key is refused without being repeated.
pub fn key_id(text: &str) -> Result<KeyId, CommandError> {
    if text.trim().starts_with("SG.") {
        return Err(CommandError::usage("a whole API key was given, and it is in the shell's history now")
            .help("give the id alone, the middle of `SG.<id>.<secret>`; and replace that key"));
    }
    KeyId::parse(text).map_err(|error| {
        // It is not repeated: without its `SG.` a key is a secret all the same.
        CommandError::usage(format!("what was given as an ID is not shown: {error}"))
            .help("it is the middle of `SG.<id>.<secret>`; SendGrid's own list shows it too")
    })
}

/// The addresses say themselves which environments are meant, also of those that come from a pattern.
fn with_environments(global: &Global, addresses: &[Address]) -> Global {
    let mut global = global.clone();
    let named: Option<Vec<_>> = addresses.iter().map(|address| address.environment.clone()).collect();
    if let Some(names) = named.filter(|names| global.environments.is_empty() && !names.is_empty()) {
        global.environments = names.into_iter().map(EnvironmentChoice::Name).collect();
    }
    global
}
