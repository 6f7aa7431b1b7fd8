use std::io;

use netlink_packet_core::DecodeError;
use nix::errno::Errno;

/// Why a request about a device or an address was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("cannot {asked}: {}", self.reason())]
pub struct NetlinkError {
    asked: String,
    fault: Fault,
}

/// What went wrong in one exchange with the kernel.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: io::Error,
    /// The kernel's own sentence, where it has one (NLMSGERR_ATTR_MSG, linux/netlink.h).
    pub(super) sentence: Option<String>,
}

impl NetlinkError {
    /// What the system said.
    pub fn error(&self) -> &io::Error {
        &self.fault.error
    }

    /// The reason in words, without what was asked.
    pub fn reason(&self) -> String {
        let error = &self.fault.error;
        let words = error.raw_os_error().map(|number| Errno::from_raw(number).desc().to_owned());
        let words = words.unwrap_or_else(|| error.to_string());
        match &self.fault.sentence {
            Some(sentence) => format!("{words} ({sentence})"),
            None => words,
        }
    }

    /// Whether what was to be made is there already (EEXIST).
    pub fn is_exists(&self) -> bool {
        self.fault.is_any(&[Errno::EEXIST])
    }

    /// Whether the device or the address is not there (ENODEV; EADDRNOTAVAIL of an address).
    pub fn is_not_found(&self) -> bool {
        self.fault.is_any(&[Errno::ENODEV, Errno::ENOENT, Errno::ENXIO, Errno::EADDRNOTAVAIL])
    }

    /// Whether the caller lacks the right to it (CAP_NET_ADMIN, capabilities(7)).
    pub fn is_denied(&self) -> bool {
        self.fault.is_any(&[Errno::EPERM, Errno::EACCES])
    }
}

impl Fault {
    /// The error of a request: `asked` completes the sentence "cannot ...".
    pub(super) fn of(self, asked: impl Into<String>) -> NetlinkError {
        NetlinkError { asked: asked.into(), fault: self }
    }

    pub(super) fn is_any(&self, errors: &[Errno]) -> bool {
        let number = self.error.raw_os_error();
        errors.iter().any(|&error| number == Some(error as i32))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self { error, sentence: None }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error.to_string()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: Errno, sentence: Option<&str>) -> NetlinkError {
        let error = io::Error::from_raw_os_error(number as i32);
        Fault { error, sentence: sentence.map(str::to_owned) }.of("set the MTU of device 7 to 20")
    }

    #[test]
    fn an_error_says_what_was_asked_and_why_it_failed() {
        let told = error(Errno::EINVAL, Some("mtu less than device minimum")).to_string();
        assert_eq!(
            told,
            "cannot set the MTU of device 7 to 20: Invalid argument (mtu less than device minimum)"
        );
        assert!(error(Errno::EPERM, None).to_string().ends_with(": Operation not permitted"));
    }

    #[test]
    fn kinds_of_error_are_told_apart() {
        assert!(error(Errno::EEXIST, None).is_exists() && !error(Errno::EEXIST, None).is_not_found());
        assert!(error(Errno::ENODEV, None).is_not_found() && !error(Errno::ENODEV, None).is_denied());
        assert!(error(Errno::EPERM, None).is_denied() && !error(Errno::EPERM, None).is_exists());
    }
}
