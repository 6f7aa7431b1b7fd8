use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The descriptors that a service manager has passed to this process, as `LISTEN_FDS` and `LISTEN_PID` say
/// (sd_listen_fds(3)); those of the first call, and none later. Call it before the process opens anything: a descriptor
/// that the variables promise and nobody has passed would be another's.
///
/// # Errors
/// The variables make no sense, or a descriptor is not there.
pub fn passed_descriptors() -> io::Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // An error if one of them is not open.
    let passed = sd_notify::listen_fds()?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    // SAFETY: each is open, as has just been seen; whoever started this process has opened it for this process alone, as
    // `LISTEN_PID` says; and no second owner comes from here.
    Ok(passed.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }).collect())
}
