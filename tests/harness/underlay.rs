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

/// Ends 1 and 2 with a router between them, in a namespace of its own.
#[derive(Debug)]
pub struct Routed {
    router: Namespace,
    /// The router's device towards end 2.
    beyond: String,
}

impl Routed {
    /// Joins two namespaces, with 1500 octets all the way.
    #[track_caller]
    pub fn join(one: &Namespace, two: &Namespace) -> Self {
        let router = Namespace::new();
        for family in ["ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1"] {
            router.run(&["sysctl", "-q", "-w", &format!("net.{family}")]).ok();
        }
        let (near, far) = (Underlay::cable(one, &router), Underlay::cable(two, &router));
        lead((one, &near.one, 1), (&router, &near.two), 2);
        lead((two, &far.one, 2), (&router, &far.two), 1);
        Self { router, beyond: far.two }
    }

    /// Makes the way from the router to end 2 narrower, or wider.
    pub fn narrow(&self, mtu: u32) {
        self.router.ip(&["link", "set", &self.beyond, "mtu", &mtu.to_string()]);
    }
}

/// Gives an end its addresses and the way through the router to the other end, and the router the way to it.
fn lead(end: (&Namespace, &str, u8), router: (&Namespace, &str), other: u8) {
    let (net, device, number) = end;
    for (net, device) in [(net, device), router] {
        net.ip(&["link", "set", device, "up"]);
    }
    let (v4, gate4) = (underlay_v4(number).to_string(), format!("10.9.{number}.254"));
    let (v6, gate6) = (format!("{}/128", underlay_v6(number)), format!("2001:db8:9:{number}::254/128"));
    net.ip(&["addr", "add", &v4, "peer", &gate4, "dev", device]);
    router.0.ip(&["addr", "add", &gate4, "peer", &v4, "dev", router.1]);
    net.ip(&["route", "add", &underlay_v4(other).to_string(), "via", &gate4]);
    net.ip(&["addr", "add", &v6, "dev", device, "nodad"]);
    router.0.ip(&["addr", "add", &gate6, "dev", router.1, "nodad"]);
    router.0.ip(&["route", "add", &v6, "dev", router.1]);
    net.ip(&["route", "add", &gate6, "dev", device]);
    let gate6 = gate6.trim_end_matches("/128");
    net.ip(&["route", "add", &underlay_v6(other).to_string(), "via", gate6, "dev", device]);
}

fn attach(namespace: &Namespace, device: &str, number: u8, mtu: u32) {
    namespace.ip(&["link", "set", device, "mtu", &mtu.to_string(), "up"]);
    namespace.ip(&["addr", "add", &format!("{}/24", underlay_v4(number)), "dev", device]);
    namespace.ip(&["addr", "add", &format!("{}/64", underlay_v6(number)), "dev", device, "nodad"]);
}
