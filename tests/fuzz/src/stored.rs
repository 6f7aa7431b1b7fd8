//! Stored records of both daemons.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use overlay_core::control::{Daemon, Paths};
use varpd::store::Store;

use crate::records::{Records, Restored};

/// A state directory of its own, which ends with this value.
struct Scratch(Paths);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("overlay-fuzz-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state = std::env::temp_dir().join(name);
        Self(Paths { run: state.join("run"), state })
    }

    fn put(&self, daemon: Daemon, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.0.records(daemon, false).join(name);
        fs::write(&path, octets).expect("a file of the test's own");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.state);
    }
}

/// A stored record of either daemon: it is read, and read the same way once it has been written again; or its file is
/// kept under another name.
pub fn records(octets: &[u8]) {
    let scratch = Scratch::new();
    overlayd(&scratch, octets);
    varpd(&scratch, octets);
}

fn overlayd(scratch: &Scratch, octets: &[u8]) {
    let mut records = Records::open(&scratch.0).expect("a directory of the test's own");
    let path = scratch.put(Daemon::Overlayd, "demo0.json", octets);
    let first = records.load();
    kept(&path, octets, first.bad.len());
    let saved = first.overlays.iter().map(|record| records.save_overlay(record));
    let saved = saved.chain(first.vnics.iter().map(|record| records.save_vnic(record)));
    saved.for_each(|saved| saved.expect("a directory of the test's own"));
    let Restored { overlays, vnics, .. } = records.load();
    assert_eq!((overlays, vnics), (first.overlays, first.vnics));
}

fn varpd(scratch: &Scratch, octets: &[u8]) {
    let store = Store::open(&scratch.0).expect("a directory of the test's own");
    let path = scratch.put(Daemon::Varpd, "1.70.json", octets);
    let load = || {
        let mut good = Vec::new();
        let found = store.load(|record, _| {
            good.push(record);
            Ok(())
        });
        (good, found.expect("a directory of the test's own"))
    };
    let (first, found) = load();
    kept(&path, octets, found.set_aside.len());
    assert_eq!(found.highest, 1, "the number is not given out again");
    for record in &first {
        store.save(record, false).expect("a directory of the test's own");
    }
    assert_eq!(load().0, first);
}

/// Nothing that somebody entered is lost.
fn kept(path: &Path, octets: &[u8], bad: usize) {
    let place = if bad == 0 { path.to_owned() } else { path.with_extension("bad") };
    assert!(fs::read(&place).is_ok_and(|found| found == octets), "{} is not as it was", place.display());
}
