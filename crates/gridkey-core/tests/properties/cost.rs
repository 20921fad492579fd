//! Planning ten times the keys costs about ten times as much, counted in allocations.

#![allow(unsafe_code, reason = "an allocator that counts can be had in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gridkey_core::plan::Plan;
use gridkey_core::{Name, Scope};

use crate::world::{DAY, World, ago, location, name, rotation, scopes, wanted_key_of};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce() -> Plan) -> (u64, Plan) {
    let before = ALLOCATIONS.with(Cell::get);
    let plan = work();
    (ALLOCATIONS.with(Cell::get) - before, plan)
}

/// Accounts with so many keys each, all as the manifest says.
fn world(accounts: usize, keys: usize) -> World {
    let names: Vec<Name> = (0..accounts).map(|number| name(&format!("account-{number}"))).collect();
    let mut world = World::empty(&names, false);
    for account in &names {
        for number in 0..keys {
            let address = format!("prod/{account}/key-{number}").parse().unwrap();
            world.add_applied(wanted_key_of(&address, account), ago(24));
        }
    }
    for account in world.manifest.accounts.values_mut() {
        account.key_limit = 100_000;
    }
    world
}

fn nothing(_: &mut World) {}

fn sink_added(world: &mut World) {
    for key in world.manifest.keys.values_mut() {
        key.sinks.push(location("vault", &key.address.to_string()));
    }
}

fn scopes_edited(world: &mut World) {
    for key in world.manifest.keys.values_mut() {
        key.access = scopes([Scope::new("mail.send"), Scope::new("stats.read")].into());
    }
}

fn all_due(world: &mut World) {
    for key in world.manifest.keys.values_mut() {
        key.rotate = Some(rotation(DAY / 2));
    }
}

fn all_moved(world: &mut World) {
    let keys = std::mem::take(&mut world.manifest.keys);
    for (mut address, mut key) in keys {
        address.environment = Some(name("stage"));
        key.address = address.clone();
        world.manifest.keys.insert(address, key);
    }
    world.say_moved("prod/*", "stage/*");
}

fn check(what: &str, happens: fn(&mut World), does: fn(&Plan, usize) -> bool) {
    let count = |(accounts, keys): (usize, usize)| {
        let mut world = world(accounts, keys);
        happens(&mut world);
        let (count, plan) = allocations(|| world.plan());
        assert!(does(&plan, accounts * keys), "{what}: the plan does not do it");
        count
    };
    let shapes = [("ten times the accounts", (4, 25), (40, 25)), ("ten times the keys", (1, 60), (1, 600))];
    let counted = shapes.map(|(shape, small, large)| (shape, count(small), count(large)));
    let lines = counted.map(|(shape, one, ten)| {
        format!("{what}, {shape}: {one} allocations, then {ten}, {:.1} times", ten as f64 / one as f64)
    });
    println!("{}", lines.join("\n"));
    assert!(counted.iter().all(|(_, one, ten)| *ten <= one * 12), "{}", lines.join("\n"));
}

#[test]
fn a_plan_without_a_change_is_linear_in_keys() {
    check("no change", nothing, |plan, _| plan.is_empty());
}

#[test]
fn a_plan_of_a_sink_added_everywhere_is_linear_in_keys() {
    check("a sink added", sink_added, |plan, keys| plan.effective().count() == keys);
}

#[test]
fn a_plan_of_scopes_edited_everywhere_is_linear_in_keys() {
    check("scopes edited", scopes_edited, |plan, keys| plan.effective().count() == keys);
}

#[test]
fn a_plan_of_keys_that_are_all_due_is_linear_in_keys() {
    check("all due", all_due, |plan, keys| plan.effective().count() == keys);
}

#[test]
fn a_plan_of_keys_that_all_move_is_linear_in_keys() {
    check("all moved", all_moved, |plan, keys| plan.effective().count() == keys);
}
