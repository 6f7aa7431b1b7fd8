use crate::namespace::{fresh, system};
use crate::{Namespace, underlay_v4, underlay_v6};

/// A cable between two namespaces: a veth pair with the addresses of ends 1 and 2. It ends with them.
#[derive(Debug)]
pub struct Underlay {
    /// The device at end 1.
    pub one: String,
    /// The device at end 2.
    pub two: String,
}

impl Underlay {
    /// Joins two namespaces.
    #[track_caller]
    pub fn join(one: &Namespace, two: &Namespace, mtu: u32) -> Self {
        let cable = Self::cable(one, two);
        attach(one, &cable.one, 1, mtu);
        attach(two, &cable.two, 2, mtu);
        cable
    }

    fn cable(one: &Namespace, two: &Namespace) -> Self {
        let name = format!("u{}x{}", std::process::id(), fresh());
        let (a, b) = (format!("{name}a"), format!("{name}b"));
        let first = ["ip", "link", "add", &a, "netns", one.name(), "type", "veth"];
        system(&[&first[..], &["peer", "name", &b, "netns", two.name()]].concat());
        Self { one: a, two: b }
    }

    /// Switches off at an end what its device does for the network stack above it.
    #[track_caller]
    pub fn plain(namespace: &Namespace, device: &str) {
        for feature in
            ["tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation", "gso", "tso", "gro", "tx", "rx"]
        {
            namespace.run(&["ethtool", "-K", device, feature, "off"]).ok();
        }
    }
}

/// A bridge in a namespace of its own that joins any number of others, numbered from 1.
#[derive(Debug)]
pub struct Switch {
    net: Namespace,
    /// The devices in the joined namespaces, in order.
    pub devices: Vec<String>,
}

impl Switch {
    /// Joins the namespaces.
    #[track_caller]
    pub fn join(ends: &[&Namespace], mtu: u32) -> Self {
        let net = Namespace::new();
        net.ip(&["link", "add", "br0", "type", "bridge"]);
        net.ip(&["link", "set", "br0", "up"]);
        let mut switch = Self { net, devices: Vec::new() };
        for (number, end) in (1..).zip(ends) {
            switch.plug(end, number, mtu);
        }
        switch
    }

    fn plug(&mut self, end: &Namespace, number: u8, mtu: u32) {
        let cable = Underlay::cable(end, &self.net);
        attach(end, &cable.one, number, mtu);
        self.net.ip(&["link", "set", &cable.two, "mtu", &mtu.to_string(), "master", "br0", "up"]);
        self.devices.push(cable.one);
    }
}

fn attach(namespace: &Namespace, device: &str, number: u8, mtu: u32) {
    namespace.ip(&["link", "set", device, "mtu", &mtu.to_string(), "up"]);
    namespace.ip(&["addr", "add", &format!("{}/24", underlay_v4(number)), "dev", device]);
    namespace.ip(&["addr", "add", &format!("{}/64", underlay_v6(number)), "dev", device, "nodad"]);
}
