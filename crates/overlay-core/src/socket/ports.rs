//! Which ports, and how many, may be taken to send from.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};

/// Ports that the administrator keeps for other programs (Documentation/networking/ip-sysctl.rst).
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// The share of this process's descriptors that one pool may take: one in so many.
const SHARE: u64 = 16;

/// Ranges of ports.
pub(super) struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// From the kernel's form, `8080,9000-9010`; what is not of it is left out.
    fn parse(text: &str) -> Self {
        let range = |piece: &str| match piece.split_once('-') {
            Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
            None => piece.parse().ok().map(|port| (port, port)),
        };
        Self(text.trim().split(',').filter_map(range).collect())
    }

    pub(super) fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&port))
    }
}

/// The reserved ports; none when the kernel does not say.
pub(super) fn reserved() -> Ports {
    Ports::parse(&fs::read_to_string(RESERVED).unwrap_or_default())
}

/// How many descriptors a pool may take that would like `wanted`: one at the least.
pub(super) fn affordable(wanted: usize) -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(limit / SHARE).unwrap_or(wanted).clamp(1, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_read_as_the_kernel_writes_them() {
        let ports = Ports::parse("51820,60000-60010,x,7-\n");
        assert!(ports.contains(51820) && ports.contains(60000) && ports.contains(60010));
        assert!(!ports.contains(60011) && !ports.contains(7));
        assert!(!Ports::parse("\n").contains(0));
    }
}
