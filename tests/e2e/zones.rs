//! VNICs in zones: given, taken back, moved under traffic, gone with their zone and back with it. Names of zones are the
//! machine's, so each is a test's own.

use overlay_tests::{
    Daemon, Host, LONG, Namespace, Plan, SHORT, Scene, Transfer, await_ping, inner_v4, wait_until,
};

/// What a running transfer carries between two events.
const A_WHILE: u64 = 5_000_000;

/// What a VNIC's device is known by wherever it is.
#[derive(Debug, PartialEq, Eq)]
struct Nature(String, u64, String);

fn nature(place: &Namespace, vnic: &str) -> Nature {
    let device = place.device(vnic);
    let text = |field: &str| device[field].as_str().unwrap_or_default().to_owned();
    Nature(text("address"), device["mtu"].as_u64().unwrap_or(0), text("ifalias"))
}

fn has(place: &Namespace, device: &str) -> bool {
    place.devices().iter().any(|(_, name)| name == device)
}

#[track_caller]
fn give(host: &Host, vnic: &str, zone: &Namespace) {
    host.dladm_ok(&["set-linkprop", "-p", &format!("zone={}", zone.name()), vnic]);
}

#[track_caller]
fn take_back(host: &Host, vnic: &str) {
    host.dladm_ok(&["reset-linkprop", "-p", "zone", vnic]);
}

/// The zone of a VNIC, and why it has no device.
#[track_caller]
fn shown(host: &Host, vnic: &str) -> [String; 2] {
    let row = host.dladm_ok(&["show-vnic", "-p", "-o", "zone,fault", vnic]);
    let (zone, fault) = row.trim_end().split_once(':').expect("two fields");
    [zone.to_owned(), fault.to_owned()]
}

#[track_caller]
fn await_device(place: &Namespace, vnic: &str) {
    wait_until(SHORT, &format!("{vnic} is in {}", place.name()), || {
        if has(place, vnic) { Ok(()) } else { Err(format!("{:?}", place.devices())) }
    });
}

#[track_caller]
fn await_answer(from: &Namespace, end: u8) {
    wait_until(LONG, &format!("end {end} answers {}", from.name()), || {
        if from.ping(inner_v4(end), 56, false) { Ok(()) } else { Err("a ping without answer".to_owned()) }
    });
}

/// Makes a VNIC in a zone, and gives it the addresses of an end there.
#[track_caller]
fn vnic_in(host: &Host, vnic: &str, zone: &Namespace, end: u8) {
    host.create_vnic(vnic, "demo0", &["-p", &format!("zone={}", zone.name())]);
    zone.address(vnic, end);
}

/// Sees a namespace end, by a pair of devices of which one ends with the other.
struct Witness(Namespace);

impl Witness {
    fn of(zone: &Namespace) -> Self {
        let witness = Namespace::new();
        zone.ip(&["link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", witness.name()]);
        Self(witness)
    }

    #[track_caller]
    fn await_end(&self) {
        wait_until(SHORT, "the zone has ended", || {
            if has(&self.0, "w1") { Err("something keeps it".to_owned()) } else { Ok(()) }
        });
    }
}

fn absence(zone: &Namespace) -> String {
    format!("zone {} is not there", zone.name())
}

#[test]
fn a_vnic_is_given_to_a_zone_and_taken_back_with_all_it_has() {
    let (scene, zones) = (Scene::kernel(Plan::default()), [Namespace::new(), Namespace::new()]);
    scene.host.dladm_ok(&["set-linkprop", "-p", "mtu=1300", "foo0"]);
    let before = nature(&scene.host.net, "foo0");
    for zone in &zones {
        give(&scene.host, "foo0", zone);
        assert_eq!(nature(zone, "foo0"), before);
        assert_eq!(shown(&scene.host, "foo0"), [zone.name(), ""]);
        assert!(!has(&scene.host.net, "foo0"));
        zone.address("foo0", 1);
        await_ping(zone);
    }
    assert!(!has(&zones[0], "foo0"));
    take_back(&scene.host, "foo0");
    assert_eq!((nature(&scene.host.net, "foo0"), shown(&scene.host, "foo0")), (before, Default::default()));
    assert!(!has(&zones[1], "foo0"));
    scene.host.net.address("foo0", 1);
    await_ping(&scene.host.net);
}

#[test]
fn a_device_that_somebody_has_moved_is_fetched_by_taking_it_back() {
    let (scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    scene.host.net.ip(&["link", "set", "foo0", "netns", zone.name()]);
    zone.ip(&["link", "set", "foo0", "name", "eth0"]);
    scene.host.dladm_ok(&["set-linkprop", "-p", "priority=low", "foo0"]);
    assert!(has(&zone, "eth0"), "what has nothing to do with zones leaves it");
    take_back(&scene.host, "foo0");
    assert!(has(&scene.host.net, "foo0") && !has(&zone, "eth0"));
}

#[test]
fn a_zone_that_is_not_there_or_has_the_name_is_refused_and_costs_nothing() {
    let (scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    let absent = Namespace::new();
    absent.delete();
    let before = scene.host.snapshot();
    let property = |zone: &Namespace| format!("zone={}", zone.name());
    for words in [
        ["create-vnic", "-l", "demo0", "-p", &property(&absent), "foo1"].as_slice(),
        &["set-linkprop", "-p", &property(&absent), "foo0"],
    ] {
        let refusal = scene.host.dladm_refused(words);
        let hint = format!("ip netns add {}", absent.name());
        assert!(refusal.contains(&absence(&absent)) && refusal.contains(&hint), "{refusal}");
    }
    zone.ip(&["tuntap", "add", "foo0", "mode", "tap"]);
    zone.ip(&["tuntap", "add", "foo1", "mode", "tap"]);
    for words in [
        ["create-vnic", "-l", "demo0", "-p", &property(&zone), "foo1"].as_slice(),
        &["set-linkprop", "-p", &property(&zone), "foo0"],
    ] {
        let refusal = scene.host.dladm_refused(words);
        assert!(refusal.contains(&format!("exists already in zone {}", zone.name())), "{refusal}");
    }
    assert_eq!(scene.host.snapshot(), before, "addresses and all");
    await_ping(&scene.host.net);
    absent.add();
}

#[test]
fn zones_and_the_host_talk_on_one_overlay_and_over_the_wire() {
    let (scene, zones) = (Scene::kernel(Plan::default()), [Namespace::new(), Namespace::new()]);
    for (zone, end) in zones.iter().zip([3, 4]) {
        vnic_in(&scene.host, &format!("foo{end}"), zone, end);
    }
    let places = [(&scene.host.net, 1), (&scene.peer.net, 2), (&zones[0], 3), (&zones[1], 4)];
    for (from, _) in places {
        places.iter().for_each(|(_, end)| await_answer(from, *end));
    }
}

#[test]
fn transfers_in_zones_outlive_overlayd() {
    let (mut scene, zones) = (Scene::kernel(Plan::default()), [Namespace::new(), Namespace::new()]);
    for (zone, end) in zones.iter().zip([3, 4]) {
        vnic_in(&scene.host, &format!("foo{end}"), zone, end);
        await_answer(zone, 2);
    }
    let before = [nature(&zones[0], "foo3"), nature(&zones[1], "foo4")];
    let out = Transfer::start(&zones[0], &scene.peer.net, inner_v4(2));
    let across = Transfer::start(&zones[1], &zones[0], inner_v4(3));
    for _ in 0..3 {
        out.wait_for_more(LONG, A_WHILE);
        across.wait_for_more(LONG, A_WHILE);
        scene.host.kill9(Daemon::Overlayd);
        scene.host.start_overlayd();
    }
    out.wait_for_more(LONG, A_WHILE);
    across.wait_for_more(LONG, A_WHILE);
    out.finish();
    across.finish();
    assert_eq!([nature(&zones[0], "foo3"), nature(&zones[1], "foo4")], before);
    assert_eq!(shown(&scene.host, "foo3"), [zones[0].name(), ""]);
    // What was opened again in a zone does not keep it when the VNIC has left.
    let witness = Witness::of(&zones[0]);
    take_back(&scene.host, "foo3");
    zones[0].delete();
    witness.await_end();
    assert!(has(&scene.host.net, "foo3"));
    zones[0].add();
}

#[test]
fn vnics_move_between_zones_under_a_transfer_of_another() {
    let (scene, zones) = (Scene::kernel(Plan::default()), [Namespace::new(), Namespace::new()]);
    scene.host.create_vnic("foo1", "demo0", &[]);
    let before = nature(&scene.host.net, "foo1");
    let there = Transfer::start(&scene.host.net, &scene.peer.net, inner_v4(2));
    let back = Transfer::start(&scene.peer.net, &scene.host.net, inner_v4(1));
    for round in 0..4 {
        for zone in &zones {
            give(&scene.host, "foo1", zone);
            zone.address("foo1", 3);
            there.wait_for_more(LONG, A_WHILE);
            back.wait_for_more(LONG, A_WHILE);
            assert!(zone.ping(inner_v4(1), 56, false) || round < 1, "the moved one is there at once");
            await_answer(zone, 2);
            assert_eq!(nature(zone, "foo1"), before);
        }
        take_back(&scene.host, "foo1");
    }
    there.finish();
    back.finish();
}

#[test]
fn a_transfer_goes_on_when_its_vnic_comes_back_from_another_zone() {
    let (scene, zones) = (Scene::kernel(Plan::default()), [Namespace::new(), Namespace::new()]);
    vnic_in(&scene.host, "foo3", &zones[0], 3);
    await_answer(&zones[0], 2);
    let transfer = Transfer::start(&zones[0], &scene.peer.net, inner_v4(2));
    for _ in 0..3 {
        transfer.wait_for_more(LONG, A_WHILE);
        give(&scene.host, "foo3", &zones[1]);
        // Under the transfer's own address the other zone would end it: it knows no such connection.
        zones[1].address("foo3", 5);
        await_answer(&zones[1], 2);
        give(&scene.host, "foo3", &zones[0]);
        zones[0].address("foo3", 3);
    }
    transfer.wait_for_more(LONG, A_WHILE);
    transfer.finish();
    scene.host.check_counters();
}

#[test]
fn a_zone_that_comes_after_a_boot_gets_its_vnic_by_itself() {
    let (mut scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    give(&scene.host, "foo0", &zone);
    let before = nature(&zone, "foo0");
    scene.host.stop(Daemon::Varpd);
    scene.host.stop(Daemon::Overlayd);
    zone.delete();
    scene.host.reboot(&[]);
    scene.host.start();
    scene.host.await_degraded("demo0", &absence(&zone));
    assert_eq!(shown(&scene.host, "foo0"), [zone.name(), &absence(&zone)]);
    assert!(!has(&scene.host.net, "foo0"));
    zone.add();
    await_device(&zone, "foo0");
    assert_eq!(nature(&zone, "foo0"), before);
    scene.host.await_online("demo0");
    zone.address("foo0", 1);
    await_ping(&zone);
}

/// Deletes a zone under a VNIC, whose device overlayd has made or has taken over.
fn a_zone_is_deleted(adopted: bool) {
    let (mut scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    vnic_in(&scene.host, "foo3", &zone, 3);
    if adopted {
        scene.host.kill9(Daemon::Overlayd);
        scene.host.start_overlayd();
    }
    await_answer(&zone, 2);
    let (before, witness) = (nature(&zone, "foo3"), Witness::of(&zone));
    zone.delete();
    let said = scene.host.await_degraded("demo0", &absence(&zone));
    assert!(said.contains("VNIC foo3 has no device"), "{said}");
    witness.await_end();
    assert_eq!(shown(&scene.host, "foo3"), [zone.name(), &absence(&zone)]);
    await_ping(&scene.host.net);
    let told = scene.host.running(Daemon::Overlayd).log().matches(&absence(&zone)).count();
    assert_eq!(told, 1, "it is told once");
    zone.add();
    await_device(&zone, "foo3");
    assert_eq!(nature(&zone, "foo3"), before);
    zone.address("foo3", 3);
    await_answer(&zone, 2);
    scene.host.await_online("demo0");
    // And away for good.
    zone.delete();
    scene.host.await_degraded("demo0", &absence(&zone));
    take_back(&scene.host, "foo3");
    assert_eq!(nature(&scene.host.net, "foo3"), before);
    scene.host.await_online("demo0");
    zone.add();
}

#[test]
fn a_zone_deleted_under_a_new_vnic_ends_and_is_mended() {
    a_zone_is_deleted(false);
}

#[test]
fn a_zone_deleted_under_an_adopted_vnic_ends_and_is_mended() {
    a_zone_is_deleted(true);
}

#[test]
fn another_zone_of_the_same_name_gets_the_vnic() {
    let (mut scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    give(&scene.host, "foo0", &zone);
    // Taken over, the device would keep the first one alive.
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start_overlayd();
    let witness = Witness::of(&zone);
    zone.delete();
    zone.add();
    witness.await_end();
    await_device(&zone, "foo0");
    zone.address("foo0", 1);
    await_ping(&zone);
}

#[test]
fn a_vnic_is_deleted_whose_zone_has_gone() {
    let (scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    vnic_in(&scene.host, "foo3", &zone, 3);
    zone.delete();
    scene.host.await_degraded("demo0", &absence(&zone));
    scene.host.dladm_ok(&["delete-vnic", "foo3"]);
    scene.host.await_online("demo0");
    zone.add();
    assert!(!has(&zone, "foo3"));
}

#[test]
fn a_device_that_somebody_removes_is_made_again() {
    let (scene, zone) = (Scene::kernel(Plan::default()), Namespace::new());
    vnic_in(&scene.host, "foo3", &zone, 3);
    for (place, vnic, end) in [(&scene.host.net, "foo0", 1), (&zone, "foo3", 3)] {
        let before = (nature(place, vnic), place.device(vnic)["ifindex"].clone());
        place.ip(&["link", "del", vnic]);
        wait_until(SHORT, "another device is there", || {
            let there = has(place, vnic) && place.device(vnic)["ifindex"] != before.1;
            if there { Ok(()) } else { Err(scene.host.status("demo0")) }
        });
        assert_eq!(nature(place, vnic), before.0);
        scene.host.await_online("demo0");
        place.address(vnic, end);
        await_answer(place, 2);
    }
}

#[test]
fn many_zones_at_once_go_and_come_back() {
    let (mut scene, zones) =
        (Scene::kernel(Plan::default()), (0..16).map(|_| Namespace::new()).collect::<Vec<_>>());
    let vnic = |number: usize| format!("many{number}");
    for (number, zone) in zones.iter().enumerate() {
        scene.host.create_vnic(&vnic(number), "demo0", &["-p", &format!("zone={}", zone.name())]);
    }
    scene.host.kill9(Daemon::Overlayd);
    scene.host.start_overlayd();
    zones.iter().for_each(Namespace::delete);
    for (number, zone) in zones.iter().enumerate() {
        wait_until(SHORT, "its loss is shown", || {
            let [_, fault] = shown(&scene.host, &vnic(number));
            if fault == absence(zone) { Ok(()) } else { Err(fault) }
        });
    }
    zones.iter().for_each(Namespace::add);
    for (number, zone) in zones.iter().enumerate() {
        await_device(zone, &vnic(number));
        zone.address(&vnic(number), 10 + number as u8);
        await_answer(zone, 2);
    }
    scene.host.await_online("demo0");
    for number in 0..zones.len() {
        take_back(&scene.host, &vnic(number));
        assert!(has(&scene.host.net, &vnic(number)));
    }
}
