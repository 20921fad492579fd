//! What one project wants, how that changes, and the manifest that says so.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::location::{Location, Sink};

const ENVIRONMENTS: [&str; 3] = ["dev", "eu", "prod"];

/// Names that nobody takes for one another.
const NAMES: [&str; 12] = [
    "alerts",
    "billing",
    "cron-jobs",
    "digest",
    "export",
    "forms",
    "mailer",
    "probe",
    "reports",
    "shipping",
    "tracking",
    "webhook",
];

const ACCESS: [&str; 6] = [
    "scopes: [mail.send]",
    "scopes: [mail.send, stats.read]",
    "scopes: [templates.read]",
    "scopes: [asm.groups.read]",
    "scopes: [stats.read]",
    "access: full",
];

const ROTATE: [&str; 5] = [
    "",
    "",
    ", rotate: never",
    ", rotate: { every: 30d, overlap: 0s }",
    ", rotate: { every: 30d, overlap: 24h }",
];

const MOST_KEYS: usize = 4;

#[derive(Clone, Debug)]
struct Wish {
    environments: BTreeSet<&'static str>,
    access: &'static str,
    sinks: BTreeSet<Sink>,
    rotate: &'static str,
    /// Whether it has a name of its own at SendGrid.
    named: bool,
}

/// A key as the manifest wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub address: String,
    pub environment: &'static str,
    pub account: &'static str,
    /// At SendGrid.
    pub name: String,
    /// `None` for Full Access.
    pub scopes: Option<BTreeSet<String>>,
    pub locations: Vec<Location>,
}

pub struct Project {
    pub name: &'static str,
    wishes: BTreeMap<&'static str, Wish>,
    /// Where each environment's keys live.
    accounts: BTreeMap<&'static str, &'static str>,
    moved: Vec<(&'static str, &'static str)>,
    /// Names that keys once had: what a key has left may still hold its secret.
    left: BTreeSet<&'static str>,
    /// Names that keys ever had: what is removed from the manifest may still be there, so nothing can move to its place.
    used: BTreeSet<&'static str>,
}

impl Project {
    pub fn new(name: &'static str, random: &mut StdRng) -> Self {
        let accounts = BTreeMap::from([("dev", "acme"), ("eu", "beta"), ("prod", "shop")]);
        let (wishes, moved) = (BTreeMap::new(), Vec::new());
        let (left, used) = (BTreeSet::new(), BTreeSet::new());
        let mut project = Self { name, wishes, accounts, moved, left, used };
        for _ in 0..random.random_range(1..=2) {
            project.add(random);
        }
        project
    }

    pub fn environments(&self) -> impl Iterator<Item = &'static str> {
        ENVIRONMENTS.into_iter()
    }

    /// Everything that the manifest wants.
    pub fn wanted(&self) -> Vec<Wanted> {
        let each = self.wishes.iter().flat_map(|(key, wish)| {
            wish.environments.iter().map(move |environment| (*key, *environment, wish))
        });
        each.map(|(key, environment, wish)| Wanted {
            address: format!("{environment}/{key}"),
            environment,
            account: self.accounts[environment],
            name: if wish.named {
                format!("The {key} of {environment}")
            } else {
                format!("{environment}-{key}")
            },
            scopes: wish
                .access
                .strip_prefix("scopes: [")
                .map(|list| list.trim_end_matches(']').split(", ").map(ToString::to_string).collect()),
            locations: wish.sinks.iter().map(|sink| sink.location(self.name, environment, key)).collect(),
        })
        .collect()
    }

    /// Changes one thing, and says what.
    pub fn edit(&mut self, random: &mut StdRng) -> String {
        let keys: Vec<&'static str> = self.wishes.keys().copied().collect();
        let key = keys[random.random_range(0..keys.len())];
        match random.random_range(0..16) {
            0..4 if keys.len() < MOST_KEYS => self.add(random),
            0..2 if keys.len() > 1 => {
                self.wishes.remove(key);
                self.moved.retain(|(_, to)| *to != key);
                format!("remove {key}")
            }
            2..5 => self.rename(key, random),
            5 if random.random_bool(0.3) => {
                let environment = some(&ENVIRONMENTS, random);
                let account = some(&["acme", "beta", "shop"], random);
                self.accounts.insert(environment, account);
                format!("the account of {environment} is {account}")
            }
            _ => {
                let wish = self.wishes.get_mut(key).unwrap();
                match random.random_range(0..8) {
                    0..3 => wish.access = some(&ACCESS, random),
                    3..5 => wish.sinks = several(&Sink::ALL, random),
                    5 => wish.environments = several(&ENVIRONMENTS, random),
                    6 => wish.rotate = some(&ROTATE, random),
                    _ => wish.named = !wish.named,
                }
                format!("{key} is {wish:?}")
            }
        }
    }

    fn add(&mut self, random: &mut StdRng) -> String {
        let free = |name: &&'static str| !self.wishes.contains_key(name) && !self.left.contains(name);
        let Some(key) = name(free, random) else { return "nothing".to_string() };
        let wish = Wish {
            environments: several(&ENVIRONMENTS, random),
            access: some(&ACCESS, random),
            sinks: several(&Sink::ALL, random),
            rotate: some(&ROTATE, random),
            named: random.random_bool(0.2),
        };
        let said = format!("add {key}: {wish:?}");
        self.wishes.insert(key, wish);
        self.used.insert(key);
        said
    }

    fn rename(&mut self, key: &'static str, random: &mut StdRng) -> String {
        let Some(to) = name(|name| !self.used.contains(name), random) else { return "nothing".to_string() };
        let wish = self.wishes.remove(key).unwrap();
        self.wishes.insert(to, wish);
        self.used.insert(to);
        self.moved.push((key, to));
        self.left.insert(key);
        format!("move {key} to {to}")
    }

    pub fn manifest(&self) -> String {
        let sinks: String = Sink::ALL.map(|sink| sink.block(self.name)).concat();
        let environment = |(name, account): (&&str, &&str)| format!("  {name}: {{ account: {account} }}\n");
        let environments: String = self.accounts.iter().map(environment).collect();
        let key = |(key, wish): (&&'static str, &Wish)| {
            let Wish { environments, access, sinks, rotate, named } = wish;
            let environments: Vec<&str> = environments.iter().copied().collect();
            let sinks: Vec<&str> = sinks.iter().map(|sink| sink.name()).collect();
            let name = if *named { r#"name: "The {key} of {environment}", "# } else { "" };
            format!(
                "  {key}: {{ {name}{access}, environments: [{}], sinks: [{}]{rotate} }}\n",
                environments.join(", "),
                sinks.join(", ")
            )
        };
        let keys: String = self.wishes.iter().map(key).collect();
        let moved = |(from, to): &(&str, &str)| format!("  - {{ from: \"*/{from}\", to: \"*/{to}\" }}\n");
        let moved: String = self.moved.iter().map(moved).collect();
        let moved = if moved.is_empty() { moved } else { format!("moved:\n{moved}") };
        format!(
            "version: 1\nproject: {}\naccounts:\n  acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }}\n  \
             beta: {{ api_key: {{ env: BETA_API_KEY }} }}\n  shop: {{ parent: acme, subuser: shop }}\n\
             sinks:\n{sinks}environments:\n{environments}keys:\n{keys}{moved}",
            self.name
        )
    }
}

fn name(fits: impl Fn(&&'static str) -> bool, random: &mut StdRng) -> Option<&'static str> {
    let names: Vec<&'static str> = NAMES.into_iter().filter(fits).collect();
    (!names.is_empty()).then(|| some(&names, random))
}

fn some<T: Copy>(all: &[T], random: &mut StdRng) -> T {
    all[random.random_range(0..all.len())]
}

/// At least one of them.
fn several<T: Copy + Ord>(all: &[T], random: &mut StdRng) -> BTreeSet<T> {
    let mut several: BTreeSet<T> = all.iter().copied().filter(|_| random.random_bool(0.5)).collect();
    several.insert(some(all, random));
    several
}
