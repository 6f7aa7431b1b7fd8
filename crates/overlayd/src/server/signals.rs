use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that mean something, as a descriptor to wait on.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Takes SIGTERM, SIGINT and SIGHUP from their default, before any thread is started.
    pub(crate) fn take() -> nix::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGHUP);
        signals.thread_block()?;
        SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self)
    }

    /// Whether one has come that asks for the end. SIGHUP comes when a terminal goes, and has nothing to read again here.
    pub(crate) fn ask_for_end(&self) -> io::Result<bool> {
        let number = self.0.read_signal()?.map(|signal| signal.ssi_signo);
        let hangup = number == Some(Signal::SIGHUP as u32);
        if hangup {
            tracing::info!("SIGHUP: nothing to read again; going on");
        }
        Ok(number.is_some() && !hangup)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
