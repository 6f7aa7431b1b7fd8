//! What is stored, and what a boot makes of it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use overlay_core::control::Client;
use overlay_core::property::Assignment;
use overlay_core::protocol::{LinkClass, MacChoice, OverlayInfo, Request, Response, Status, StoredLink};
use overlay_core::types::{LinkName, MacAddr};
use overlay_tests::{
    Daemon, Host, LONG, Namespace, Plan, SHORT, Scene, Underlay, await_ping, inner_v4, tcp_copy, underlay_v4,
    wait_until,
};

/// Stored overlays, each with a VNIC, and the time in which they are to be restored.
const MANY: u32 = 1000;
const BAR: Duration = Duration::from_secs(20);

fn name(text: &str) -> LinkName {
    text.parse().expect("a link name")
}

fn set(link: &str, property: &str, value: &str, temporary: bool) -> Request {
    let properties = vec![Assignment::new(property, value)];
    Request::SetLinkProperties { name: name(link), properties, temporary }
}

fn vnic(link: &str, over: &str, mac: MacChoice) -> Request {
    let (name, over) = (name(link), name(over));
    Request::CreateVnic { name, over, mac, vid: None, properties: Vec::new(), temporary: false }
}

#[track_caller]
fn stored(host: &Host) -> Vec<(String, bool)> {
    match host.ask(Daemon::Overlayd, Request::StoredLinks) {
        Response::StoredLinks(links) => {
            links.into_iter().map(|StoredLink { name, active, .. }| (name.to_string(), active)).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// A link property's active value.
#[track_caller]
fn property(host: &Host, link: &str, property: &str) -> Option<String> {
    let Response::LinkProperties(all) = host.ask(Daemon::Overlayd, Request::LinkProperties) else {
        panic!("no link properties")
    };
    all.into_iter().find(|one| one.link.as_str() == link && one.spec.name == property)?.value
}

#[track_caller]
fn boot(host: &mut Host, devices: &[&str]) {
    host.stop(Daemon::Varpd);
    host.stop(Daemon::Overlayd);
    host.reboot(devices);
    host.start();
}

#[test]
fn a_boot_brings_back_overlays_vnics_and_what_was_set_for_good() {
    let mut scene = Scene::ours(Plan::default());
    let host = &mut scene.host;
    let mac = host.net.device("foo0")["address"].clone();
    host.ask(Daemon::Overlayd, set("foo0", "priority", "low", false));
    host.ask(Daemon::Overlayd, set("foo0", "mtu", "1300", true));
    host.ask(Daemon::Overlayd, set("demo0", "mtu", "1350", false));
    host.create_vnic("tmp0", "demo0", &["-t"]);
    assert_eq!(host.net.device("foo0")["mtu"], 1300);
    boot(host, &["foo0", "tmp0"]);
    host.await_online("demo0");
    let device = host.net.device("foo0");
    assert_eq!((&device["address"], &device["mtu"]), (&mac, &1350.into()));
    assert_eq!(property(host, "foo0", "priority").as_deref(), Some("low"));
    assert_eq!(stored(host), [("demo0".to_owned(), true), ("foo0".to_owned(), true)]);
    assert!(!host.net.devices().iter().any(|(_, name)| name == "tmp0"), "it was temporary");
    host.net.address("foo0", 1);
    await_ping(&host.net);
    tcp_copy(&scene.host.net, &scene.peer.net, inner_v4(2), 5_000_000);
}

#[test]
fn what_is_put_away_stays_away_until_it_is_brought_up_or_the_host_boots() {
    let mut scene = Scene::ours(Plan::default());
    let host = &mut scene.host;
    let instance = host.instances();
    let put_away = |host: &Host| {
        host.ask(Daemon::Overlayd, Request::DeleteVnic { name: name("foo0"), keep_stored: true });
        host.ask(Daemon::Overlayd, Request::DeleteOverlay { name: name("demo0"), keep_stored: true });
    };
    let bring_up = |host: &Host| {
        let said = host.ask(Daemon::Overlayd, Request::UpOverlays { name: Some(name("demo0")) });
        assert_eq!(said, Response::Done);
    };
    put_away(host);
    host.kill9(Daemon::Overlayd);
    host.start_overlayd();
    assert_eq!(stored(host), [("demo0".to_owned(), false), ("foo0".to_owned(), false)]);
    assert!(!host.net.devices().iter().any(|(_, name)| name == "foo0") && host.overlays().is_empty());
    host.kill9(Daemon::Varpd);
    host.start_varpd();
    assert_eq!(host.instances().len(), instance.len(), "varpd keeps its instance");
    bring_up(host);
    host.net.address("foo0", 1);
    await_ping(&host.net);
    put_away(host);
    boot(host, &[]);
    host.net.address("foo0", 1);
    await_ping(&host.net);
}

#[test]
fn one_overlay_that_cannot_be_brought_back_stops_no_other() {
    let mut host = Host::started();
    let peer = Namespace::new();
    let _underlay = Underlay::join(&host.net, &peer, 1500);
    for number in 0..3 {
        host.create_overlay(&format!("demo{number}"), 23 + number, underlay_v4(1), underlay_v4(2), &[]);
        host.create_vnic(&format!("foo{number}"), &format!("demo{number}"), &[]);
    }
    host.stop(Daemon::Varpd);
    host.stop(Daemon::Overlayd);
    let record = host.paths().records(Daemon::Overlayd, false).join("demo1.json");
    let text = fs::read_to_string(&record).expect("a record").replace("\"vxlan\"", "\"none\"");
    fs::write(&record, text).expect("written");
    host.reboot(&["foo0", "foo1", "foo2"]);
    host.net.ip(&["tuntap", "add", "dev", "foo2", "mode", "tap"]);
    host.start();
    host.await_online("demo0");
    host.await_degraded("demo1", "unknown encapsulation 'none'");
    host.await_degraded("demo2", "foo2 exists already");
    host.net.ip(&["link", "del", "foo2"]);
    host.await_online("demo2");
    assert_eq!(stored(&host).len(), 5, "the broken one is told by its status");
}

#[test]
fn a_thousand_overlays_with_a_vnic_each_are_restored_in_time() {
    let made = Host::started();
    let peer = Namespace::new();
    let underlay = Underlay::join(&made.net, &peer, 1500);
    make_many(&made);
    let (state, mut host) = (made.paths().state.clone(), Host::new());
    copy(&state, &host.paths().state);
    drop((underlay, made));
    let _underlay = Underlay::join(&host.net, &peer, 1500);
    let start = Instant::now();
    host.start_overlayd();
    let driver = start.elapsed();
    host.start_varpd();
    wait_until(LONG, "every overlay is online", || {
        let Response::Overlays(all) = host.ask(Daemon::Overlayd, Request::Overlays) else {
            panic!("no overlays")
        };
        let online = |one: &&OverlayInfo| one.status == Status::Online;
        let count = all.iter().filter(online).count();
        if count == MANY as usize { Ok(()) } else { Err(format!("{count} of {}", all.len())) }
    });
    let took = start.elapsed();
    let figures =
        format!("{MANY} overlays with a VNIC each: overlayd after {driver:.1?}, all online after {took:.1?}");
    writeln!(io::stderr(), "{figures}").expect("a standard error");
    let devices = host.net.devices().into_iter().filter(|(_, name)| name.starts_with("card")).count();
    assert_eq!(devices, MANY as usize);
    assert!(took < BAR, "{took:?}");
}

/// Makes many overlays with a VNIC each, over one connection to each daemon.
fn make_many(host: &Host) {
    let mut overlayd = Client::connect(host.paths(), Daemon::Overlayd, "test").expect("it runs");
    let mut varpd = Client::connect(host.paths(), Daemon::Varpd, "test").expect("it runs");
    for number in 0..MANY {
        let (overlay, vnetid) = (format!("many{number}"), (1000 + number).try_into().expect("a vnetid"));
        let properties = vec![Assignment::new("vxlan/listen_ip", underlay_v4(1).to_string())];
        let (encap, search) = ("vxlan".to_owned(), "direct".to_owned());
        let create = Request::CreateOverlay {
            name: name(&overlay),
            encap,
            vnetid,
            search: search.clone(),
            properties,
            temporary: false,
        };
        let Ok(Response::Link(link)) = overlayd.call(create) else { panic!("no overlay {number}") };
        let properties = vec![
            Assignment::new("direct/dest_ip", underlay_v4(2).to_string()),
            Assignment::new("direct/dest_port", "4789"),
        ];
        let create = Request::CreateInstance { link, vnetid, plugin: search, properties, temporary: false };
        let Ok(Response::Instance(instance)) = varpd.call(create) else { panic!("no instance {number}") };
        varpd.call(Request::ActivateInstance { instance }).expect("it is activated");
        overlayd.call(Request::ActivateOverlay { name: name(&overlay) }).expect("it is activated");
        let [_, _, high, low] = number.to_be_bytes();
        let mac = MacChoice::Fixed(MacAddr([2, 8, 0x20, 9, high, low]));
        overlayd.call(vnic(&format!("card{number}"), &overlay, mac)).expect("it is made");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &place),
            false => drop(fs::copy(&path, &place).expect("a copy")),
        }
    }
}

#[test]
fn what_is_stored_is_one_readable_file_for_each_link() {
    let host = Host::started();
    let peer = Namespace::new();
    let _underlay = Underlay::join(&host.net, &peer, 1500);
    host.create_overlay("demo0", 23, underlay_v4(1), underlay_v4(2), &[]);
    host.create_vnic("foo0", "demo0", &[]);
    host.ask(Daemon::Overlayd, set("foo0", "maxbw", "10M", false));
    let records = host.paths().records(Daemon::Overlayd, false);
    wait_until(SHORT, "a file for each link and no other", || {
        let mut files: Vec<_> =
            fs::read_dir(&records).expect("a directory").flatten().map(|one| one.file_name()).collect();
        files.sort();
        files.retain(|file| file != "lock");
        if files == ["demo0.json", "foo0.json"] { Ok(()) } else { Err(format!("{files:?}")) }
    });
    let text = fs::read_to_string(records.join("foo0.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&record["version"], &record["name"], &record["class"]),
        (&1.into(), &"foo0".into(), &"vnic".into())
    );
    assert_eq!(record["properties"][0]["name"], "maxbw");
    let Response::Links(links) = host.ask(Daemon::Overlayd, Request::Links) else { panic!("no links") };
    assert_eq!(links.iter().filter(|link| link.class == LinkClass::Vnic).count(), 1);
}
