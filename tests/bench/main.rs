//! Benchmarks: throughput and latency of an overlay of ours against its peers in one run, what lookups cost, and the
//! instructions of single steps.
//!
//! Both ends are zones: namespaces that hold one card with an MTU of 1450. Rounds are interleaved, figures are medians,
//! and what counts is the ratio: the figures themselves depend on the machine.
#![expect(clippy::print_stdout, reason = "the benchmark's result is what it prints")]
#![forbid(unsafe_code)]

mod figures;
mod hits;
mod lookups;
mod machine;
mod maxbw;
mod measure;
mod micro;
mod options;
mod report;
mod rigs;
mod rounds;
mod rows;
mod scale;

use options::{Options, Part};

fn main() {
    let options = Options::read(std::env::args().skip(1)).unwrap_or_else(|problem| {
        println!("overlay-bench: {problem}\n{}", options::USAGE);
        std::process::exit(2)
    });
    match &options.part {
        Part::Traffic => traffic(&options),
        Part::Lookups => lookups::run(&options.extent),
        Part::Scale => scale::run(&options.extent),
        Part::Maxbw => maxbw::run(&options.extent),
        Part::Micro => micro::run(),
        Part::Work { name, times } => micro::work(name, *times),
    }
}

/// Measures what [`rows::ROWS`] says, prints it and writes it down.
fn traffic(options: &Options) {
    let extent = &options.extent;
    let (rounds, seconds) = (extent.rounds, extent.length.as_secs());
    println!("{rounds} rounds of {seconds} s, interleaved; both ends in zones, MTU {}\n", rigs::MTU);
    let taken = rounds::run(extent);
    let report = report::Report::new(&taken, machine::Machine::facts(), extent);
    println!("\n{}", report::table::show(&report));
    for (ending, text) in [("json", report::json::show(&report)), ("svg", report::svg::draw(&report))] {
        let path = options.out.with_extension(ending);
        match std::fs::write(&path, text) {
            Ok(()) => println!("written: {}", path.display()),
            Err(error) => println!("cannot write {}: {error}", path.display()),
        }
    }
}
