//! Micro-benchmarks: what one step costs, on one thread, in CPU time of this process. `just bench-micro`.
//!
//! They say where a record's time goes and whether a change moved it; what a user gets is measured by
//! bench/run.py. Input is what `logboom gen` sends. Arguments: part of a name, to run only those.

// A program for people who measure: its output is for them, and what it cannot do ends it.
#![allow(clippy::print_stdout, missing_docs)]

mod input;
mod journal;
mod steps;

use std::time::Duration;

/// Samples of each; the lowest is what the step costs, the median what this machine made of it.
const SAMPLES: usize = 25;
/// CPU time of one sample at least, so that reading the clock is nothing beside it.
const SAMPLE_MIN: Duration = Duration::from_millis(20);

/// One step, and how much one turn of it does.
struct Step {
    name: &'static str,
    records: u64,
    bytes: u64,
    turn: Box<dyn FnMut()>,
}

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    println!("| {:40} | ns/record | median | MB/s |\n| {:-<40} | --------- | ------ | ---- |", "step", "");
    for step in steps::all().into_iter().chain(journal::all()) {
        if wanted.is_empty() || wanted.iter().any(|it| step.name.contains(it.as_str())) {
            step.measure();
        }
    }
}

impl Step {
    fn measure(mut self) {
        let mut turns = 1;
        while self.sample(turns) < SAMPLE_MIN {
            turns *= 2;
        }
        let mut samples: Vec<_> = (0..SAMPLES).map(|_| self.sample(turns).as_secs_f64() / turns as f64).collect();
        samples.sort_by(f64::total_cmp);
        let per_record = |seconds: f64| seconds * 1e9 / self.records as f64;
        let (least, median) = (samples[0], samples[SAMPLES / 2]);
        let speed = self.bytes as f64 / least / 1e6;
        println!("| {:40} | {:9.1} | {:6.1} | {speed:4.0} |", self.name, per_record(least), per_record(median));
    }

    fn sample(&mut self, turns: u64) -> Duration {
        let before = cpu_time();
        for _ in 0..turns {
            (self.turn)();
        }
        cpu_time() - before
    }
}

/// Of all threads: a neighbour that takes the core away is not in it.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
