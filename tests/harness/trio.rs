use crate::{
    Family, Host, KernelPeer, Namespace, SHORT, Switch, Table, VNETID, inner_mac, inner_v4, inner_v6,
    wait_until,
};

/// The third end of a [`Trio`].
#[derive(Debug)]
pub enum Third {
    /// The kernel's `vx0`.
    Kernel(KernelPeer),
    /// A host of ours with the VNIC `foo0`.
    Ours(Box<Host>),
}

impl Third {
    /// Its namespace.
    pub fn net(&self) -> &Namespace {
        match self {
            Self::Kernel(peer) => &peer.net,
            Self::Ours(host) => &host.net,
        }
    }

    /// Its device inside the overlay.
    pub fn device(&self) -> &'static str {
        match self {
            Self::Kernel(_) => "vx0",
            Self::Ours(_) => "foo0",
        }
    }
}

/// Three ends of one overlay with the search plugin `files`, on one network. Ends 1 and 2 are hosts of ours with the VNIC
/// `foo0` and one file for all. End 3 is the kernel's vxlan device, which sends what is for all to both, or a third host.
#[derive(Debug)]
pub struct Trio {
    /// End 1.
    pub one: Host,
    /// End 2.
    pub two: Host,
    /// End 3.
    pub three: Third,
    /// The file of all hosts of ours, which is in the directory of end 1. It lists all three ends.
    pub table: Table,
    /// What joins them.
    pub underlay: Switch,
    family: Family,
}

impl Trio {
    /// With the kernel's device, all up and addressed, and a table of all that is to be known.
    #[track_caller]
    pub fn new(family: Family) -> Self {
        Self::with(family, None, |_| {})
    }

    /// The same with a table that `change` has changed; in a VLAN inside the tunnel where there is one. There, the third
    /// end is ours: not every kernel has devices for VLANs.
    #[track_caller]
    pub fn with(family: Family, vid: Option<u16>, change: impl FnOnce(&mut Table)) -> Self {
        let (one, two) = (Host::started(), Host::started());
        let three = match vid {
            None => Third::Kernel(KernelPeer::new()),
            Some(_) => Third::Ours(Box::new(Host::started())),
        };
        let underlay = Switch::join(&[&one.net, &two.net, three.net()], 1500);
        let mut table = Table::new(one.scratch().join("table.json"));
        (1..=3).for_each(|end| table.place(end, family));
        table.broadcast((1..=3).map(|end| family.underlay(end)));
        change(&mut table);
        table.write();
        let trio = Self { one, two, three, table, underlay, family };
        trio.furnish(&trio.one, 1, vid);
        trio.furnish(&trio.two, 2, vid);
        match &trio.three {
            Third::Kernel(peer) => trio.furnish_kernel(peer),
            Third::Ours(host) => trio.furnish(host, 3, vid),
        }
        trio
    }

    fn furnish(&self, host: &Host, end: u8, vid: Option<u16>) {
        let listen = self.family.underlay(end);
        host.create_searched("demo0", VNETID, listen, "files", &["-p", &self.table.property()]);
        let (mac, vid) = (inner_mac(end).to_string(), vid.map(|vid| vid.to_string()));
        let tag: Vec<&str> = vid.iter().flat_map(|vid| ["-v", vid]).collect();
        host.create_vnic("foo0", "demo0", &[&["-m", &mac], &tag[..]].concat());
        host.net.address("foo0", end);
        wait_until(SHORT, "the VNIC has a carrier", || {
            let flags = host.net.device("foo0")["flags"].to_string();
            if flags.contains("LOWER_UP") { Ok(()) } else { Err(flags) }
        });
    }

    fn furnish_kernel(&self, peer: &KernelPeer) {
        let others = [self.family.underlay(1), self.family.underlay(2)];
        peer.replicating("vx0", VNETID, self.family.underlay(3), &others, inner_mac(3));
        peer.net.address("vx0", 3);
    }

    /// The ends: number, namespace, device inside the overlay.
    pub fn ends(&self) -> [(u8, &Namespace, &'static str); 3] {
        let third = (3, self.three.net(), self.three.device());
        [(1, &self.one.net, "foo0"), (2, &self.two.net, "foo0"), third]
    }

    /// Checks that every end reaches every other over IPv4 and IPv6.
    ///
    /// # Panics
    /// One does not.
    #[track_caller]
    pub fn ping_any_to_any(&self) {
        for (from, net, _) in self.ends() {
            for to in (1..=3).filter(|to| *to != from) {
                assert!(net.ping(inner_v4(to), 56, false), "{from} reaches {}", inner_v4(to));
                assert!(net.ping(inner_v6(to), 56, false), "{from} reaches {}", inner_v6(to));
            }
        }
    }

    /// Checks that every host of ours accounts for each of its frames.
    #[track_caller]
    pub fn check_counters(&self) {
        self.one.check_counters();
        self.two.check_counters();
        if let Third::Ours(host) = &self.three {
            host.check_counters();
        }
    }
}
