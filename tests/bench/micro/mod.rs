//! Micro-benchmarks by instruction count, which does not depend on what else the machine does.
//!
//! A work is run N times and 2 N times under valgrind's callgrind, each in a process of its own, which counts what the work's steps
//! call; the difference by N is the instructions of one.

mod callgrind;
mod frames;
mod works;

use works::{WORKS, Work};

/// Counts and prints all of them.
pub(crate) fn run() {
    println!("{:<76} {:>13}", "work", "instructions");
    for work in WORKS {
        println!("{:<76} {:>13}", work.title, instructions(work));
    }
}

/// Runs a work so many times; what [`run`] starts under valgrind.
pub(crate) fn work(name: &str, times: u64) {
    match WORKS.iter().find(|work| work.name == name) {
        Some(work) => (work.run)(times),
        None => println!("overlay-bench: there is no micro-benchmark '{name}'"),
    }
}

fn instructions(work: &Work) -> u64 {
    let [once, twice] = [1, 2].map(|factor| callgrind::count(work.name, factor * work.times));
    twice.saturating_sub(once).div_ceil(work.times)
}
