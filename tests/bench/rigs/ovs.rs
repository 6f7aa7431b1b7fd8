//! Open vSwitch with its userspace datapath (`datapath_type=netdev`, docs.openvswitch.org "Userspace Tunneling"): a bridge
//! `phy` with the underlay's device and address, a bridge `int` with the tunnel, and a port of that moved into the zone.
//!
//! That port is an internal one, a TAP of the datapath's own: through a veth pair in its place it loses streams, because
//! it does not finish the checksums that a veth device leaves unfinished.

use std::path::Path;

use overlay_tests::{Host, LONG, Namespace, Spawned, VNETID, underlay_v4, wait_until};

use super::{Cable, MTU};

/// Where the distribution's package has the layout of the configuration.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A host with daemons of its own, which end before it does.
pub(super) struct Switch {
    _vswitchd: Spawned,
    _server: Spawned,
    /// Namespace and directory; no daemon of ours runs there.
    host: Host,
}

/// Both hosts.
pub(super) fn hosts(zones: &[Namespace; 2], cable: Cable) -> [Switch; 2] {
    let switches = [Host::new(), Host::new()].map(Switch::start);
    let cable = cable.join(&switches[0].host.net, &switches[1].host.net);
    let devices = [&cable.one, &cable.two];
    for (((switch, zone), device), end) in switches.iter().zip(zones).zip(devices).zip(1..) {
        switch.furnish(zone, device, end);
    }
    switches
}

impl Switch {
    fn start(host: Host) -> Self {
        let (net, directory) = (&host.net, host.scratch());
        let at = |name: &str| directory.join(name).display().to_string();
        let (database, socket) = (at("conf.db"), at("db.sock"));
        net.run(&["ovsdb-tool", "create", &database, SCHEMA]).ok();
        let remote = format!("--remote=punix:{socket}");
        let server = daemon(&host, "ovsdb-server", &[&database, &remote]);
        wait_until(LONG, "ovsdb-server listens", || match Path::new(&socket).exists() {
            true => Ok(()),
            false => Err(server.lines().join("\n")),
        });
        let vswitchd = daemon(&host, "ovs-vswitchd", &[&format!("unix:{socket}")]);
        Self { _vswitchd: vswitchd, _server: server, host }
    }

    /// Gives the end's underlay address to the bridge `phy`, and a port of the bridge `int` to its zone.
    fn furnish(&self, zone: &Namespace, device: &str, end: u8) {
        let net = &self.host.net;
        net.ip(&["addr", "flush", "dev", device]);
        self.bridge("phy", &[&["add-port", "phy", device]]);
        let (remote, key) =
            (format!("options:remote_ip={}", underlay_v4(3 - end)), format!("options:key={VNETID}"));
        let tunnel = ["set", "interface", "vx0", "type=vxlan", &remote, &key];
        let inside = ["set", "interface", "foo0", "type=internal"];
        let ports = [&["add-port", "int", "vx0"][..], &tunnel, &["add-port", "int", "foo0"], &inside];
        self.bridge("int", &ports);
        net.ip(&["addr", "add", &format!("{}/24", underlay_v4(end)), "dev", "phy"]);
        net.ip(&["link", "set", "phy", "up"]);
        net.ip(&["link", "set", "foo0", "netns", zone.name()]);
        zone.ip(&["link", "set", "foo0", "mtu", &MTU.to_string()]);
        zone.address("foo0", end);
    }

    /// Makes a bridge of the userspace datapath, and whatever `commands` say with it; the daemon has done it when this returns.
    fn bridge(&self, name: &str, commands: &[&[&str]]) {
        let database = format!("--db=unix:{}", self.host.scratch().join("db.sock").display());
        let mut words = vec!["ovs-vsctl", "--timeout=20", &database, "add-br", name, "--"];
        words.extend(["set", "bridge", name, "datapath_type=netdev"]);
        for command in commands {
            words.push("--");
            words.extend(*command);
        }
        self.host.net.run(&words).ok();
    }
}

/// Starts a daemon of the package's whose files are all in the host's directory.
fn daemon(host: &Host, program: &str, arguments: &[&str]) -> Spawned {
    let directory = host.scratch().display();
    let places = ["RUNDIR", "DBDIR", "LOGDIR", "SYSCONFDIR"].map(|name| format!("OVS_{name}={directory}"));
    let control = format!("--unixctl={directory}/{program}.ctl");
    let mut words = vec!["env"];
    words.extend(places.iter().map(String::as_str));
    words.extend([program, "-vsyslog:off", "-vconsole:warn", &control]);
    words.extend(arguments);
    Spawned::start(&host.net, &words)
}
