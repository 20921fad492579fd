//! How long planning takes, for three sizes and four shapes of a project.
//!
//! A case that would take long is left out with a printed reason: each is begun only where the smaller ones
//! promise that it ends soon, and measured only where it did. `docs/performance.md` has the figures.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it is not part of the core, and measures time"
)]

#[path = "project.rs"]
mod project;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use project::{Project, Shape};

/// Accounts; each has 100 keys, ten times as many from one size to the next.
const ACCOUNTS: [usize; 3] = [10, 100, 1000];
const KEYS: usize = 100;

/// A plan that takes longer than this is not repeated.
const LONGEST: Duration = Duration::from_secs(20);

/// From one size to the next, where nothing better is known: ten times the keys, every one of which looks at all.
const WORST_GROWTH: f64 = 100.0;

/// Without optimisation (`cargo test --all-targets`) the smallest is enough to see that it runs.
fn sizes() -> &'static [usize] {
    if cfg!(debug_assertions) { &ACCOUNTS[..1] } else { &ACCOUNTS }
}

fn planning(criterion: &mut Criterion) {
    for shape in Shape::ALL {
        let mut group = criterion.benchmark_group(shape.as_str());
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
        let (mut last, mut growth) = (Duration::ZERO, WORST_GROWTH);
        for &accounts in sizes() {
            let expected = last.mul_f64(growth);
            if expected > LONGEST {
                println!("{accounts} × {KEYS}, {}: left out, as it may take {expected:.0?}", shape.as_str());
                break;
            }
            let project = Project::new(accounts, KEYS, shape);
            let started = Instant::now();
            let plan = project.plan();
            let took = started.elapsed();
            project.check(&plan);
            drop(plan);
            if !last.is_zero() {
                growth = took.as_secs_f64() / last.as_secs_f64();
            }
            last = took;
            if took > LONGEST {
                println!("{accounts} × {KEYS}, {}: {took:.1?}, not repeated", shape.as_str());
                break;
            }
            let keys = u64::try_from(accounts * KEYS).expect("it is small");
            group.throughput(Throughput::Elements(keys));
            let id = BenchmarkId::from_parameter(format!("{accounts} × {KEYS}"));
            group.bench_function(id, |bencher| bencher.iter(|| black_box(project.plan())));
        }
        group.finish();
    }
}

criterion_group!(benches, planning);
criterion_main!(benches);
