use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Host;
use crate::namespace::system;

/// A small disk of its own for a host's state directory. It ends with this value, which must end before the host.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one on the state directory of a host on which no daemon runs yet.
    ///
    /// # Panics
    /// The system refuses.
    #[track_caller]
    pub fn under(host: &Host) -> Self {
        let path = host.paths().state.clone();
        fs::create_dir_all(&path).expect("a directory");
        let place = path.display().to_string();
        system(&["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "overlay-test", &place]);
        Self { path }
    }

    /// Uses all room that is left.
    ///
    /// # Panics
    /// It cannot be written to at all.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file can be made");
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// It was not filled.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    /// Lets nobody write to it any more.
    ///
    /// # Panics
    /// Somebody writes just now.
    #[track_caller]
    pub fn protect(&self) {
        self.remount("remount,ro");
        // It is the disk that is protected, not this mount of it: mount namespaces that are made now copy that.
        self.remount("remount,bind,rw");
    }

    /// Lets everybody write to it again.
    ///
    /// # Panics
    /// The system refuses.
    #[track_caller]
    pub fn release(&self) {
        self.remount("remount,rw");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[track_caller]
    fn remount(&self, how: &str) {
        system(&["mount", "-o", how, &self.path.display().to_string()]);
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Daemons have it in mount namespaces of their own, which end with them.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.path).output();
    }
}
