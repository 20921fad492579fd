//! Runs a property over random worlds, counts what was interesting in them, and makes each failure as small as it
//! gets.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::world::{Event, Recipe};

/// Worlds for each property, unless `GRIDKEY_CASES` says otherwise.
const CASES: u64 = 100_000;

/// Below this, lower bounds on what was interesting say little.
const ENOUGH: u64 = 5_000;

/// Kinds of failures that are shown; the others are only counted.
const SHOWN: usize = 60;

/// Failures of one kind that are made small, to show the smallest of them.
const SHRUNK: u64 = 6;

/// A way in which a property does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What failures have in common that probably have one cause.
    pub kind: String,
    pub text: String,
}

pub fn broken(kind: impl Into<String>, text: impl Into<String>) -> Broken {
    Broken { kind: kind.into(), text: text.into() }
}

/// How often something interesting happened.
#[derive(Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }
}

/// A property: what random worlds are made of, what is checked, and how often what has to come up in ten
/// thousand.
pub struct Property<'a> {
    pub name: &'a str,
    /// One thing of each of these happens in every world.
    pub always: &'a [&'a [Event]],
    /// What else happens in the world that is planned.
    pub events: &'a [&'a [Event]],
    /// What happens in it afterwards, where the property looks at a world at two times.
    pub later: &'a [&'a [Event]],
    pub interesting: &'a [(&'static str, u64)],
}

impl Property<'_> {
    /// Checks the property over all cases.
    pub fn holds(&self, check: impl Fn(&Recipe, &mut Tally) -> Vec<Broken>) {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let one = number("GRIDKEY_SEED");
        let cases = number("GRIDKEY_CASES").unwrap_or(CASES);
        let seeds = one.map_or(0..cases, |seed| seed..seed + 1);
        let mut tally = Tally::default();
        let mut failures: BTreeMap<String, Failure> = BTreeMap::new();
        for seed in seeds {
            let recipe = Recipe::draw(seed, self.always, self.events, self.later);
            for failed in check(&recipe, &mut tally) {
                let failure = failures.entry(failed.kind.clone()).or_default();
                failure.count += 1;
                if failure.count <= SHRUNK {
                    failure.consider(smallest(recipe.clone(), failed, &check));
                }
            }
        }
        if let Some(seed) = one {
            let recipe = Recipe::draw(seed, self.always, self.events, self.later);
            println!("{}: the world of seed {seed}\n  {}\n", self.name, recipe.story().join("\n  "));
        }
        let mut report = format!("{}: {cases} worlds from seed 0\n", self.name);
        let least = |what: &str| {
            let known = self.interesting.iter().find(|(known, _)| *known == what);
            known.map_or(0, |(_, in_ten_thousand)| cases * in_ten_thousand / 10_000)
        };
        for (what, times) in &tally.0 {
            let _ = writeln!(report, "  {times:>8} {what}, of {} at least", least(what));
        }
        println!("{report}");
        assert!(failures.is_empty(), "{}", self.describe(&failures, one.is_some()));
        if one.is_none() && cases >= ENOUGH {
            for (what, _) in self.interesting {
                let times = tally.0.get(what).copied().unwrap_or_default();
                let least = least(what);
                assert!(times >= least, "{}: {what} came up {times} times, not {least}", self.name);
            }
        }
    }

    fn describe(&self, failures: &BTreeMap<String, Failure>, whole: bool) -> String {
        let mut text = format!("{} is broken in {} ways\n", self.name, failures.len());
        for (kind, failure) in failures.iter().take(SHOWN) {
            let Some((recipe, broken)) = &failure.smallest else { continue };
            let _ = writeln!(text, "\n{kind}: {} times, as with GRIDKEY_SEED={}", failure.count, recipe.seed);
            for line in recipe.story() {
                let _ = writeln!(text, "    {line}");
            }
            let _ = writeln!(text, "  {}", broken.text);
            if whole {
                let plan = recipe.world().plan();
                let _ = writeln!(text, "{}", plan.to_json());
            }
        }
        text
    }
}

#[derive(Default)]
struct Failure {
    count: u64,
    smallest: Option<(Recipe, Broken)>,
}

impl Failure {
    fn consider(&mut self, (recipe, broken): (Recipe, Broken)) {
        if self.smallest.as_ref().is_none_or(|(known, _)| recipe.size() < known.size()) {
            self.smallest = Some((recipe, broken));
        }
    }
}

/// Takes out keys and events as long as the property fails in the same way.
fn smallest(
    mut recipe: Recipe,
    mut failed: Broken,
    check: &impl Fn(&Recipe, &mut Tally) -> Vec<Broken>,
) -> (Recipe, Broken) {
    loop {
        let smaller = recipe.smaller().into_iter().find_map(|smaller| {
            let found = check(&smaller, &mut Tally::default());
            Some((smaller, found.into_iter().find(|found| found.kind == failed.kind)?))
        });
        match smaller {
            Some(smaller) => (recipe, failed) = smaller,
            None => return (recipe, failed),
        }
    }
}
