//! Keys: each one in each of its places, with everything that is said about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::AccessKind;
use crate::address::Address;
use crate::hook::Hook;
use crate::manifest::bounds::MAX_KEY_NAME;
use crate::manifest::check::tagged::{hook_settings, sink_settings, with_overrides};
use crate::manifest::document::{Document, ExceptionTarget, HookTemplate, KeyBlock, Settings, SinkUse};
use crate::manifest::model::{Account, WantedAccess, WantedKey};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::At;
use crate::manifest::resolve::layers::Layers;
use crate::manifest::resolve::place::Place;
use crate::manifest::resolve::placeholder::{Values, fill, fill_hook, fill_template};
use crate::manifest::resolve::scope::ScopeResolver;
use crate::manifest::resolve::{location, unknown::unknown};
use crate::name::Name;
use crate::sink::SinkLocation;
use crate::text::pattern::matches_pattern;
use crate::text::suggest::some_of;

/// SendGrid's limit on names is not documented; longer ones than this have been seen nowhere.
const LONG_NAME: usize = 100;

const TOO_LONG: &str = "has more than 500 characters";

/// What is needed to resolve keys.
pub(crate) struct Keys<'d, 'p> {
    pub document: &'d Document,
    pub accounts: &'p BTreeMap<Name, Account>,
    /// Addresses that live keys are adopted at: those need no sink.
    pub imported: BTreeSet<&'d Address>,
    pub scopes: ScopeResolver<'d>,
    pub problems: &'p mut Problems,
}

impl<'d> Keys<'d, '_> {
    /// Reports names that lead nowhere, in blocks of keys that exist nowhere too.
    pub fn check_blocks(&mut self, places: &[Place<'d>]) {
        let document = self.document;
        self.check_settings(&document.defaults);
        for environment in document.environments.values().chain(document.patterns.values()) {
            self.check_settings(&environment.settings);
            for exception in environment.exceptions.values() {
                self.check_key(&exception.key);
            }
        }
        let mut unclear = BTreeSet::new();
        for (name, key) in &document.keys {
            self.check_key(key);
            if let Some(choices) = &key.environments
                && !self.check_choices(name, choices, places)
            {
                unclear.insert(name);
            }
        }
        for place in places {
            let exceptions = place.block.into_iter().flat_map(|block| &block.exceptions);
            for (target, exception) in exceptions.filter(|(target, _)| !unclear.contains(&target.key)) {
                self.check_exception(place, target, exception.site);
            }
        }
    }

    fn check_key(&mut self, key: &KeyBlock) {
        self.check_settings(&key.settings);
        if let Some(scopes) = &key.scopes {
            self.scopes.check_list(&scopes.value, self.problems);
        }
    }

    fn check_settings(&mut self, settings: &Settings) {
        let document = self.document;
        if let Some(account) =
            settings.account.as_ref().filter(|name| !document.accounts.contains_key(&name.value))
        {
            unknown(
                "account",
                account.as_str(),
                account.site,
                document.accounts.keys().map(Name::as_str),
                self.problems,
            );
        }
        for used in settings.sinks.iter().flat_map(|sinks| &sinks.value) {
            match document.sinks.get(&used.sink.value) {
                None => {
                    let known = document.sinks.keys().map(Name::as_str);
                    unknown("sink", used.sink.as_str(), used.sink.site, known, self.problems);
                }
                Some(block) => {
                    if let Some(template) = &block.value {
                        with_overrides(template, used, self.problems);
                    }
                }
            }
        }
    }

    /// Every environment that a key names exists, or can come from a pattern.
    fn check_choices(&mut self, key: &Name, choices: &At<Vec<At<String>>>, places: &[Place<'d>]) -> bool {
        let document = self.document;
        if document.environments.is_empty() && document.patterns.is_empty() {
            self.problems
                .error(
                    "no_environments",
                    choices.site,
                    format!("key `{key}` names environments, and the manifest has none"),
                )
                .help("add `environments:`, or take the field out: the key then exists once");
            return false;
        }
        let named = document.environments.keys().map(Name::as_str);
        let known = named.chain(document.patterns.keys().map(String::as_str));
        let before = self.problems.count();
        for choice in &choices.value {
            let text = choice.strip_prefix('!').unwrap_or(choice);
            let exists = known.clone().any(|name| name == text || matches_pattern(text, name))
                || document.patterns.keys().any(|pattern| matches_pattern(pattern, text));
            if !exists {
                unknown("environment", text, choice.site, known.clone(), self.problems);
            }
        }
        let all_known = self.problems.count() == before;
        let none = !places.iter().any(|place| place.is_chosen(&choices.value));
        // A name that only some environments of a pattern have chooses no sample of it.
        let by_name = choices
            .iter()
            .any(|choice| document.patterns.keys().any(|pattern| matches_pattern(pattern, choice)));
        if none && !by_name && all_known {
            self.problems
                .error("no_environment_left", choices.site, format!("key `{key}` exists in no environment"))
                .help("what `!name` leaves out is all that was chosen; take the key out if that is meant");
        }
        all_known
    }

    fn check_exception(
        &mut self,
        place: &Place<'d>,
        target: &ExceptionTarget,
        site: crate::manifest::read::node::Site,
    ) {
        let ExceptionTarget { account, key } = target;
        let document = self.document;
        let Some(block) = document.keys.get(key) else {
            unknown("key", key.as_str(), site, document.keys.keys().map(Name::as_str), self.problems);
            return;
        };
        let within = place.label().unwrap_or_default();
        let chosen = block.environments.as_ref().is_none_or(|choices| place.is_chosen(&choices.value));
        if !chosen && !place.origin.is_sample() {
            self.problems
                .error(
                    "exception_elsewhere",
                    site,
                    format!("key `{key}` does not exist in environment `{within}`"),
                )
                .help("its `environments` leaves this one out; take the exception out");
        }
        match (account, &place.fan_out) {
            (Some(account), Some(all)) if !all.contains(account) => {
                unknown("account", account.as_str(), site, all.iter().map(Name::as_str), self.problems);
            }
            (Some(account), None) => {
                let message = format!(
                    "environment `{within}` does not fan out over accounts, so `{account}/{key}` is no \
                        key of it"
                );
                self.problems
                    .error("no_fan_out", site, message)
                    .help(format!("write `{key}`; `account/key` is for environments with `accounts`"));
            }
            _ => {}
        }
    }

    /// The keys of a place.
    pub fn in_place(&mut self, place: &Place<'d>) -> Vec<WantedKey> {
        let mut keys = Vec::new();
        for (name, key) in &self.document.keys {
            if key.environments.as_ref().is_some_and(|choices| !place.is_chosen(&choices.value)) {
                continue;
            }
            match &place.fan_out {
                None => keys.extend(self.wanted(place, None, name, key)),
                Some(accounts) => {
                    keys.extend(
                        accounts.iter().filter_map(|account| self.wanted(place, Some(account), name, key)),
                    );
                }
            }
        }
        keys
    }

    fn wanted(
        &mut self,
        place: &Place<'d>,
        fanned: Option<&Name>,
        name: &Name,
        key: &'d At<KeyBlock>,
    ) -> Option<WantedKey> {
        let layers = Layers::new(self.document, place, fanned, name, key);
        if !layers.enabled {
            return None;
        }
        let address = Address {
            environment: place.origin.name().cloned(),
            account: fanned.cloned(),
            key: name.clone(),
        };
        // Each part is looked at whatever became of the others, so that all errors are reported.
        let access = self.access(&layers, name, key);
        let account = self.account(place, fanned, &layers, name);
        let owner = layers.nearest(|settings| settings.owner.clone());
        let resolved = account.as_ref().and_then(|account| self.accounts.get(account));
        let shown = [place.label(), fanned.map(Name::as_str), Some(name.as_str())];
        let shown = shown.into_iter().flatten().collect::<Vec<_>>().join("/");
        let values = Values {
            environment: place.origin.name().map(Name::as_str),
            account: resolved,
            key: name,
            owner: owner.as_deref(),
            what: format!("key `{shown}`"),
        };
        let sinks = self.sinks(&layers, place, &address, key, &values);
        let hooks = self.hooks(&layers, &values);
        let full_name = self.name(&layers, &address, key, &values);
        let description = layers.of_key(|key| key.description.clone());
        let protect = layers.nearest(|settings| settings.protect).unwrap_or_default();
        let rotate = layers.nearest(|settings| settings.rotate).flatten();
        let on_delete = layers.nearest(|settings| settings.on_delete).unwrap_or_default();
        let name = full_name?;
        Some(WantedKey {
            address,
            name,
            access: access?,
            sinks: sinks?,
            hooks: hooks?,
            description,
            protect,
            rotate,
            ttl: place.block.and_then(|block| block.ttl),
            on_delete,
            position: self.problems.position(key.site),
            owner,
            account: account?,
        })
    }

    fn access(&mut self, layers: &Layers<'d>, name: &Name, key: &At<KeyBlock>) -> Option<WantedAccess> {
        let (kind, scopes) = layers.access(name, key.site, self.problems)?;
        let variant = match kind {
            AccessKind::Full => return Some(WantedAccess::Full),
            AccessKind::Restricted => WantedAccess::Restricted,
            AccessKind::Billing => WantedAccess::Billing,
        };
        self.scopes.resolve(scopes?, kind, self.problems).map(variant)
    }

    /// The account that a key lives in.
    fn account(
        &mut self,
        place: &Place<'d>,
        fanned: Option<&Name>,
        layers: &Layers<'d>,
        name: &Name,
    ) -> Option<Name> {
        let document = self.document;
        if let (Some(_), Some(own)) = (fanned, layers.own_account()) {
            let label = place.label().unwrap_or_default();
            let message =
                format!("key `{name}` names an account, and environment `{label}` fans out over several");
            self.problems.error("account_in_fan_out", own.site, message).help(format!(
                "take `account` out, or leave the environment out with `environments: [\"!{label}\"]`"
            ));
            return None;
        }
        if let Some(fanned) = fanned {
            return Some(fanned.clone());
        }
        let named = layers.nearest(|settings| settings.account.as_ref());
        if let Some(named) = named {
            let known = document.accounts.contains_key(&named.value);
            return known.then(|| named.value.clone());
        }
        let own = place.own_account(document);
        if own.is_none() && !document.accounts.is_empty() {
            let known = some_of(document.accounts.keys().map(Name::as_str));
            let (site, what) = match (place.label(), place.block) {
                (Some(label), Some(block)) => (block.site, format!("environment `{label}`")),
                _ => (self.document.keys.get(name)?.site, format!("key `{name}`")),
            };
            self.problems
                .error("no_account", site, format!("{what} names no account"))
                .help(format!("add `account: NAME` to it, or to `defaults`; the manifest has {known}"));
        }
        own
    }

    fn name(
        &mut self,
        layers: &Layers<'d>,
        address: &Address,
        key: &At<KeyBlock>,
        values: &Values<'_>,
    ) -> Option<String> {
        let Some(template) = layers.of_key(|key| key.name.as_ref()) else {
            return Some(address.default_key_name());
        };
        let name = fill(template, template.site, values, self.problems)?.trim().to_string();
        let refused = if name.is_empty() {
            Some("is empty")
        } else if name.contains("[gridkey:") {
            Some("holds `[gridkey:`, which marks keys that gridkey has begun to make")
        } else if name.chars().any(char::is_control) {
            Some("holds a line break or another control character")
        } else if name.chars().count() > MAX_KEY_NAME {
            Some(TOO_LONG)
        } else {
            None
        };
        if let Some(why) = refused {
            self.problems
                .error("invalid_key_name", template.site, format!("the name of {} {why}", values.what))
                .help("give it another `name`");
            return None;
        }
        let length = name.chars().count();
        if length > LONG_NAME {
            self.problems
                .warning(
                    "long_key_name",
                    template.site,
                    format!("the name of {} has {length} characters", values.what),
                )
                .also(key.site, "of this key")
                .help(format!(
                    "SendGrid does not say how long a name may be; {LONG_NAME} are known to be safe"
                ));
        }
        Some(name)
    }

    /// Where the secret of a key goes.
    fn sinks(
        &mut self,
        layers: &Layers<'d>,
        place: &Place<'d>,
        address: &Address,
        key: &At<KeyBlock>,
        values: &Values<'_>,
    ) -> Option<Vec<SinkLocation>> {
        if layers.sinks_unclear() {
            return None;
        }
        let uses = layers.nearest(|settings| settings.sinks.as_ref());
        let uses = uses.map(|uses| uses.value.as_slice()).unwrap_or_default();
        if uses.is_empty() && !self.imported.contains(address) {
            self.problems
                .error("no_sink", key.site, format!("key `{}` has no sink{}", address.key, place.within()))
                .help(
                    "SendGrid shows a secret once: say where it goes with `sinks: [NAME]` here, in \
                    its environment or in `defaults`; a key that was adopted without its secret keeps its `import` entry",
                );
            return None;
        }
        let locations: Vec<_> = uses.iter().map(|used| self.location(used, values)).collect();
        locations.into_iter().collect()
    }

    /// What is done once the secret of a key was delivered: what is said of the key, and of its sinks.
    fn hooks(&mut self, layers: &Layers<'d>, values: &Values<'_>) -> Option<Vec<Hook>> {
        let own = layers.nearest(|settings| settings.after_delivery.as_ref());
        let mut said: Vec<(Option<&Name>, &At<HookTemplate>)> =
            own.into_iter().map(|own| (None, own)).collect();
        let uses = layers.nearest(|settings| settings.sinks.as_ref());
        for used in uses.into_iter().flat_map(|uses| &uses.value) {
            let block = self.document.sinks.get(&used.sink.value).and_then(|block| block.value.as_ref());
            let hook = block.and_then(|template| template.after_delivery.as_ref());
            let sink = Some(&used.sink.value);
            if let Some(hook) = hook.filter(|_| said.iter().all(|(known, _)| *known != sink)) {
                said.push((sink, hook));
            }
        }
        let hooks: Vec<_> =
            said.into_iter().map(|(sink, template)| self.hook(sink, template, values)).collect();
        hooks.into_iter().collect()
    }

    fn hook(
        &mut self,
        sink: Option<&Name>,
        template: &At<HookTemplate>,
        values: &Values<'_>,
    ) -> Option<Hook> {
        let filled = fill_hook(template, values, self.problems)?;
        let what = match sink {
            Some(sink) => format!("`after_delivery` of sink `{sink}`"),
            None => format!("`after_delivery` of {}", values.what),
        };
        let does = hook_settings(&filled, template.site, &what, self.problems)?;
        location::check_hook(self.document, &filled, &does, &what, self.problems)
            .then(|| Hook { sink: sink.cloned(), does })
    }

    fn location(&mut self, used: &SinkUse, values: &Values<'_>) -> Option<SinkLocation> {
        let document = self.document;
        let block = document.sinks.get(&used.sink.value)?;
        let template = with_overrides(block.value.as_ref()?, used, self.problems)?;
        let filled = fill_template(&template, values, self.problems)?;
        let what = format!("sink `{}`", used.sink.value);
        let at = sink_settings(&filled, used.sink.site, &what, self.problems)?;
        location::check(document, &filled, &at, &what, self.problems)
            .then(|| SinkLocation::new(used.sink.value.clone(), at))
    }
}
