//! Every entry over its corpus, over what comes of that by small changes, and over random octets.

use std::fs;
use std::path::{Path, PathBuf};

use overlay_fuzz::ENTRIES;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Inputs for each entry and manner.
const CASES: u32 = 1000;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn run(strategy: &impl Strategy<Value = Vec<u8>>, entry: fn(&[u8])) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |octets| {
        entry(&octets);
        Ok(())
    });
    outcome.unwrap();
}

/// A seed with some octets changed, taken out, doubled, or exchanged with those of another.
fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..5), 1..8);
    let pair = (prop::sample::select(seeds.clone()), prop::sample::select(seeds));
    (pair, places).prop_map(|((mut octets, other), places)| {
        for (place, value, manner) in places {
            let at = place.index(octets.len() + 1);
            let end = (at + usize::from(value)).min(octets.len());
            match manner {
                0 => octets.insert(at, value),
                1 => drop(octets.drain(at..end)),
                2 => octets = [&octets[..end], &octets[at..]].concat(),
                3 => octets = [&octets[..at], &other[at.min(other.len())..]].concat(),
                _ => octets.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= 1 << (value % 8)),
            }
        }
        octets
    })
}

#[test]
fn every_seed_and_every_crash_ever_found_is_survived() {
    for (name, entry) in ENTRIES {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has seeds");
        files.iter().for_each(|(_, octets)| entry(octets));
    }
}

#[test]
fn every_seed_cut_at_every_length_is_survived() {
    for (name, entry) in ENTRIES {
        for (_, octets) in corpus(name) {
            (0..octets.len().min(600)).for_each(|length| entry(&octets[..length]));
        }
    }
}

#[test]
fn seeds_with_changes_are_survived() {
    for (name, entry) in ENTRIES {
        run(&mutated(corpus(name).into_iter().map(|(_, octets)| octets).collect()), entry);
    }
}

#[test]
fn random_octets_are_survived() {
    for (_, entry) in ENTRIES {
        run(&prop::collection::vec(any::<u8>(), 0..300), entry);
    }
}
