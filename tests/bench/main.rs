//! Throughput and latency of an overlay of ours against the kernel's vxlan device behind a bridge, in one run; and
//! what lookups cost.
//!
//! Both ends are zones: namespaces that hold one card with an MTU of 1450. Rounds are interleaved, figures are medians,
//! and what counts is the ratio: the figures themselves depend on the machine.
#![expect(clippy::print_stdout, reason = "the benchmark's result is what it prints")]
#![forbid(unsafe_code)]

mod hits;
mod lookups;
mod measure;
mod rigs;
mod scale;

use std::time::Duration;

use measure::{Measure, median};
use rigs::Rig;

const USAGE: &str = "usage: overlay-bench [lookups | scale] [--rounds N] [--seconds N]";

/// How much is measured.
struct Extent {
    /// Lookups in the place of traffic.
    lookups: bool,
    /// Scale in the place of traffic.
    scale: bool,
    rounds: usize,
    length: Duration,
}

fn main() {
    let extent = extent(std::env::args().skip(1)).unwrap_or_else(|problem| {
        println!("overlay-bench: {problem}\n{USAGE}");
        std::process::exit(2)
    });
    if extent.lookups {
        return lookups::run(&extent);
    }
    if extent.scale {
        return scale::run(&extent);
    }
    let rigs = [Rig::ours(), Rig::kernel()];
    rigs.iter().for_each(Rig::warm_up);
    println!(
        "{} rounds of {} s, interleaved; medians; MTU {}; both ends in zones\n",
        extent.rounds,
        extent.length.as_secs(),
        rigs::MTU
    );
    println!("{:<28} {:>14} {:>14} {:>8}", "", "overlay", "kernel vxlan", "ratio");
    for measure in Measure::ALL {
        let [ours, kernel] = medians(&rigs, measure, &extent);
        let ratio = if kernel > 0.0 { ours / kernel } else { f64::NAN };
        println!(
            "{:<28} {:>14} {:>14} {:>8.2}",
            measure.title(),
            measure.show(ours),
            measure.show(kernel),
            ratio
        );
    }
}

/// The median of each rig's rounds, which take turns.
fn medians(rigs: &[Rig; 2], measure: Measure, extent: &Extent) -> [f64; 2] {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..extent.rounds {
        for (rig, figures) in rigs.iter().zip(&mut figures) {
            figures.push(measure.take(rig, extent.length));
        }
    }
    figures.map(median)
}

fn extent(mut words: impl Iterator<Item = String>) -> Result<Extent, String> {
    let mut extent = Extent { lookups: false, scale: false, rounds: 5, length: Duration::from_secs(3) };
    while let Some(word) = words.next() {
        if word == "lookups" {
            extent.lookups = true;
            continue;
        }
        if word == "scale" {
            extent.scale = true;
            continue;
        }
        let value = words.next().unwrap_or_default();
        let number = value.parse::<u32>().ok().filter(|number| (1..=1000).contains(number));
        let number = number.ok_or_else(|| format!("'{word} {value}': a number from 1 to 1000 is wanted"))?;
        match word.as_str() {
            "--rounds" => extent.rounds = number as usize,
            "--seconds" => extent.length = Duration::from_secs(number.into()),
            _ => return Err(format!("unknown option '{word}'")),
        }
    }
    Ok(extent)
}
