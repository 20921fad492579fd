//! `rotate`, `retire` and `import`: runs of an apply that go by what a person asks for.

use gridkey_core::KeyId;
use gridkey_core::plan::{Due, Extent, Requests, RetireRequest};

use crate::args::{Global, ImportArguments, Length, RetireArguments, RotateArguments};
use crate::choice::KeyChoice;
use crate::command::apply::{Aim, Asked, run};
use crate::exit::{CommandError, Exit};

pub async fn rotate(global: &Global, arguments: &RotateArguments) -> Result<Exit, CommandError> {
    let RotateArguments { addresses, filter, due, revoke_old, confirm } = arguments;
    let keys = KeyChoice::new(addresses, filter);
    let asked = Asked {
        aim: Aim::Rotation,
        keys: &keys,
        confirm,
        due: if *due { Due::Only } else { Due::Include },
        length: Length::Whole,
        approval: None,
        rotate: &[],
        requests: &|addresses| Requests {
            rotate: addresses.iter().filter(|_| !due).map(|address| (address.clone(), None)).collect(),
            revoke_old: (*revoke_old).into(),
            ..Requests::default()
        },
    };
    run(&with_environments(global, &keys), &asked).await
}

pub async fn retire(global: &Global, arguments: &RetireArguments) -> Result<Exit, CommandError> {
    let RetireArguments { addresses, filter, what, confirm } = arguments;
    let keys = KeyChoice::new(addresses, filter);
    let request = match what.hold {
        Some(hold) => RetireRequest::Hold(hold),
        None => RetireRequest::Now,
    };
    let asked = Asked {
        aim: Aim::Retirement,
        keys: &keys,
        confirm,
        due: Due::Include,
        length: Length::Whole,
        approval: None,
        rotate: &[],
        requests: &|addresses| Requests {
            retire: addresses.iter().map(|address| (address.clone(), request)).collect(),
            ..Requests::default()
        },
    };
    run(&with_environments(global, &keys), &asked).await
}

pub async fn import(global: &Global, arguments: &ImportArguments) -> Result<Exit, CommandError> {
    let ImportArguments { address, id, from_sinks, confirm } = arguments;
    let named = address.as_ref().zip(id.as_ref());
    let import = match named {
        Some((address, id)) => [(address.clone(), key_id(id)?)].into(),
        None => std::collections::BTreeMap::new(),
    };
    let keys = address.clone().map(KeyChoice::exactly).unwrap_or_default();
    let asked = Asked {
        aim: Aim::Adoption,
        keys: &keys,
        confirm,
        due: Due::Include,
        length: Length::Whole,
        approval: None,
        rotate: &[],
        requests: &|_| Requests {
            import: import.clone(),
            from_sinks: *from_sinks,
            extent: Extent::State,
            ..Requests::default()
        },
    };
    run(&with_environments(global, &keys), &asked).await
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
fn with_environments(global: &Global, keys: &KeyChoice) -> Global {
    let mut global = global.clone();
    if let Some(named) = keys.environments().filter(|_| global.environments.is_empty()) {
        global.environments = named;
    }
    global
}
