use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Group;

use crate::sys;

/// The group whose members may change things.
const GROUP: &str = "netadm";

/// Who is at the other end of a Unix socket, as the kernel saw it when the connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    uid: u32,
    groups: Vec<u32>,
}

impl Peer {
    /// The peer of a connected Unix socket.
    ///
    /// # Errors
    /// The system's, when `socket` is no connected Unix socket.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let credentials = getsockopt(socket, PeerCredentials)?;
        let mut groups = sys::peer_groups(socket.as_fd())?;
        groups.push(credentials.gid());
        Ok(Self { uid: credentials.uid(), groups })
    }

    /// Whether it is root or a member of `netadm`; asked on every request, as the group can come and go.
    pub fn may_change(&self) -> bool {
        self.uid == 0 || self.has(Group::from_name(GROUP).ok().flatten().map(|group| group.gid.as_raw()))
    }

    fn has(&self, group: Option<u32>) -> bool {
        group.is_some_and(|group| self.groups.contains(&group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_other_end_of_a_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert!(peer.has(Some(nix::unistd::getegid().as_raw())));
    }

    #[test]
    fn a_plain_user_outside_the_group_may_not_change() {
        let peer = Peer { uid: 1000, groups: vec![1000] };
        assert!(!peer.has(None) && !peer.has(Some(7)) && peer.has(Some(1000)));
    }
}
