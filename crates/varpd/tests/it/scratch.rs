use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use overlay_core::control::{Daemon, Paths};

/// A test's own pair of directories, removed with it.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("varpd-test-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("run")).unwrap();
        Self { path }
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths { run: self.path.join("run"), state: self.path.join("state") }
    }

    /// The file with the record of an instance for a link.
    pub(crate) fn record(&self, id: u32, link: u32, temporary: bool) -> PathBuf {
        self.paths().records(Daemon::Varpd, temporary).join(format!("{id}.{link}.json"))
    }

    /// The file with the record of an instance, as it was named before links were in the names.
    pub(crate) fn old_record(&self, id: u32, temporary: bool) -> PathBuf {
        self.paths().records(Daemon::Varpd, temporary).join(format!("{id}.json"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
