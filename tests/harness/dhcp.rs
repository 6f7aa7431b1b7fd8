use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::{Host, LONG, Namespace, Spawned};

/// What the DHCP clients do with their leases: the system's script would change the machine's resolver.
const SCRIPT: &str = "#!/bin/sh
case $reason in
BOUND) ip addr add $new_ip_address/$new_subnet_mask dev $interface ;;
BOUND6) ip addr add $new_ip6_address/64 dev $interface nodad ;;
esac
";
const CLIENT: &str = "initial-interval 1;\nbackoff-cutoff 2;\ntimeout 20;\n";

/// A dnsmasq on a device that serves no names, and what is asked for.
///
/// # Panics
/// It does not start.
#[track_caller]
pub fn dnsmasq(net: &Namespace, device: &str, more: &[&str]) -> Spawned {
    let silent =
        ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file"];
    let quick = ["--leasefile-ro", "--no-ping", "--dhcp-authoritative", "--log-dhcp", "--log-facility=-"];
    let interface = format!("--interface={device}");
    let words = [&silent[..], &quick, &["--bind-interfaces", &interface], more].concat();
    let server = Spawned::start(net, &words);
    server.wait_for(LONG, "started, version");
    server
}

/// A DHCP client on `foo0`, which has its lease when this returns.
///
/// # Panics
/// It does not get one.
#[track_caller]
pub fn dhclient(host: &Host, more: &[&str]) -> Spawned {
    let client = start_dhclient(host, more);
    client.wait_for(LONG, if more.contains(&"-6") { "Bound to lease" } else { "bound to 192.168.23." });
    client
}

/// A DHCP client on `foo0`.
///
/// # Panics
/// The system refuses.
#[track_caller]
pub fn start_dhclient(host: &Host, more: &[&str]) -> Spawned {
    let file = |name: &str, text: &str| {
        let path = host.scratch().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        path.display().to_string()
    };
    let (script, configuration) = (file("dhclient-script", SCRIPT), file("dhclient.conf", CLIENT));
    let [leases, pid] = ["dhclient.leases", "dhclient.pid"].map(|name| file(name, ""));
    let words = ["dhclient", "-d", "-v", "-sf", &script, "-cf", &configuration, "-lf", &leases, "-pf", &pid];
    Spawned::start(&host.net, &[&words[..], more, &["foo0"]].concat())
}
