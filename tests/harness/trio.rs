use crate::{
    Family, Host, KernelPeer, SHORT, Switch, Table, VNETID, inner_mac, inner_v4, inner_v6, wait_until,
};

/// Three ends of one overlay with the search plugin `files`, on one network: ends 1 and 2 are hosts of ours with the
/// VNIC `foo0` and one file for both, end 3 is the kernel's `vx0`, which sends what is for all to both.
#[derive(Debug)]
pub struct Trio {
    /// End 1.
    pub one: Host,
    /// End 2.
    pub two: Host,
    /// End 3.
    pub three: KernelPeer,
    /// The file of ends 1 and 2, which is in the directory of end 1. It lists all three ends.
    pub table: Table,
    /// What joins them.
    pub underlay: Switch,
    family: Family,
    vid: Option<u16>,
}

impl Trio {
    /// The three, all up and addressed, with a table of all that is to be known.
    #[track_caller]
    pub fn new(family: Family) -> Self {
        Self::in_vlan(family, None, |_| {})
    }

    /// The same in a VLAN inside the tunnel, with a table that `change` has changed; end 3 then has its addresses on
    /// the device that [`Self::device_of_three`] names.
    #[track_caller]
    pub fn in_vlan(family: Family, vid: Option<u16>, change: impl FnOnce(&mut Table)) -> Self {
        let (one, two, three) = (Host::started(), Host::started(), KernelPeer::new());
        let underlay = Switch::join(&[&one.net, &two.net, &three.net], 1500);
        let mut table = Table::new(one.scratch().join("table.json"));
        (1..=3).for_each(|end| table.place(end, family));
        table.broadcast((1..=3).map(|end| family.underlay(end)));
        change(&mut table);
        table.write();
        let trio = Self { one, two, three, table, underlay, family, vid };
        trio.furnish(&trio.one, 1);
        trio.furnish(&trio.two, 2);
        trio.furnish_kernel();
        trio.await_carrier();
        trio
    }

    fn furnish(&self, host: &Host, end: u8) {
        let listen = self.family.underlay(end);
        host.create_searched("demo0", VNETID, listen, "files", &["-p", &self.table.property()]);
        let (mac, vid) = (inner_mac(end).to_string(), self.vid.map(|vid| vid.to_string()));
        let tag: Vec<&str> = vid.iter().flat_map(|vid| ["-v", vid]).collect();
        host.create_vnic("foo0", "demo0", &[&["-m", &mac], &tag[..]].concat());
        host.net.address("foo0", end);
    }

    fn furnish_kernel(&self) {
        let net = &self.three.net;
        let others = [self.family.underlay(1), self.family.underlay(2)];
        self.three.replicating("vx0", VNETID, self.family.underlay(3), &others, inner_mac(3));
        net.ip(&["link", "set", "vx0", "up"]);
        if let Some(vid) = self.vid {
            let device = self.device_of_three();
            net.ip(&["link", "add", "link", "vx0", "name", &device, "type", "vlan", "id", &vid.to_string()]);
        }
        net.address(&self.device_of_three(), 3);
    }

    /// The device of end 3 that has its addresses.
    pub fn device_of_three(&self) -> String {
        self.vid.map_or_else(|| "vx0".to_owned(), |vid| format!("vx0.{vid}"))
    }

    #[track_caller]
    fn await_carrier(&self) {
        for host in [&self.one, &self.two] {
            wait_until(SHORT, "the VNIC has a carrier", || {
                let flags = host.net.device("foo0")["flags"].to_string();
                if flags.contains("LOWER_UP") { Ok(()) } else { Err(flags) }
            });
        }
    }

    /// Checks that every end reaches every other over IPv4 and IPv6.
    ///
    /// # Panics
    /// One does not.
    #[track_caller]
    pub fn ping_any_to_any(&self) {
        let nets = [(1, &self.one.net), (2, &self.two.net), (3, &self.three.net)];
        for (from, net) in nets {
            for to in (1..=3).filter(|to| *to != from) {
                assert!(net.ping(inner_v4(to), 56, false), "{from} reaches {}", inner_v4(to));
                assert!(net.ping(inner_v6(to), 56, false), "{from} reaches {}", inner_v6(to));
            }
        }
    }

    /// Checks that both hosts of ours account for each of their frames.
    #[track_caller]
    pub fn check_counters(&self) {
        self.one.check_counters();
        self.two.check_counters();
    }
}
