//! Link properties: all of them or none, until the next boot or for good.

use overlay_core::datapath::Priority;
use overlay_core::protocol::LinkPropertyInfo;

use super::*;

pub(super) fn set(name: &str, properties: &[(&str, &str)], temporary: bool) -> Request {
    let properties = properties.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
    Request::SetLinkProperties { name: name.parse().unwrap(), properties, temporary }
}

pub(super) fn reset(name: &str, properties: &[&str], temporary: bool) -> Request {
    let properties = properties.iter().map(|name| (*name).to_owned()).collect();
    Request::ResetLinkProperties { name: name.parse().unwrap(), properties, temporary }
}

fn with_vnic() -> Bench {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench
}

pub(super) fn property(bench: &mut Bench, link: &str, name: &str) -> LinkPropertyInfo {
    let Ok(Response::LinkProperties(all)) = bench.call(Request::LinkProperties) else { panic!("none") };
    all.into_iter().find(|one| one.link.as_str() == link && one.spec.name == name).unwrap()
}

/// A property's active and stored value.
pub(super) fn values(bench: &mut Bench, link: &str, name: &str) -> [String; 2] {
    let LinkPropertyInfo { value, stored, .. } = property(bench, link, name);
    [value, stored].map(Option::unwrap_or_default)
}

#[test]
fn what_is_set_is_active_and_stored_over_boots() {
    let mut bench = with_vnic();
    bench.call(set("foo0", &[("maxbw", "100"), ("priority", "low")], false)).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.device("foo0").policy.priority, Priority::Low);
        assert_eq!(values(&mut bench, "foo0", "priority"), ["low", "low"]);
        let [active, stored] = values(&mut bench, "foo0", "maxbw");
        assert!(!active.is_empty() && active == stored, "{active} {stored}");
        bench.booted();
    }
}

#[test]
fn what_is_set_until_the_next_boot_outlives_the_daemon_alone() {
    let mut bench = with_vnic();
    bench.call(set("foo0", &[("priority", "medium")], false)).unwrap();
    bench.call(set("foo0", &[("priority", "low"), ("mtu", "1300")], true)).unwrap();
    for _ in 0..2 {
        assert_eq!(values(&mut bench, "foo0", "priority"), ["low", "medium"]);
        assert_eq!(values(&mut bench, "foo0", "mtu"), ["1300", ""]);
        bench.restarted();
    }
    bench.booted();
    assert_eq!(values(&mut bench, "foo0", "priority"), ["medium", "medium"]);
    assert_eq!(values(&mut bench, "foo0", "mtu"), ["1400", ""]);
}

#[test]
fn a_reset_gives_back_the_defaults_until_the_next_boot_or_for_good() {
    let mut bench = with_vnic();
    bench.call(set("foo0", &[("priority", "low"), ("mtu", "1300")], false)).unwrap();
    bench.call(reset("foo0", &["priority"], true)).unwrap();
    assert_eq!(values(&mut bench, "foo0", "priority"), ["high", "low"]);
    bench.booted();
    assert_eq!(values(&mut bench, "foo0", "priority"), ["low", "low"]);
    bench.call(reset("foo0", &[], false)).unwrap();
    assert_eq!(values(&mut bench, "foo0", "priority"), ["high", ""]);
    assert_eq!(values(&mut bench, "foo0", "mtu"), ["1400", ""]);
    assert!(bench.refusal(reset("foo0", &["state"], false)).contains("read-only"));
    assert!(bench.refusal(reset("foo0", &["colour"], false)).contains("unknown property 'colour'"));
}

#[test]
fn of_several_properties_all_are_set_or_none() {
    let mut bench = with_vnic();
    let file = bench.paths.records(Daemon::Overlayd, false).join("foo0.json");
    let before = fs::read(&file).unwrap();
    let policy = bench.device("foo0").policy;
    for (properties, part) in [
        (&[("priority", "low"), ("mtu", "1401")][..], "mtu 1401 is above the overlay's, 1400"),
        (&[("priority", "low"), ("mtu", "575")], "576-8900"),
        (&[("priority", "low"), ("state", "up")], "read-only"),
        (&[("priority", "low"), ("priority", "high")], "more than one value"),
        (&[("priority", "low"), ("colour", "red")], "unknown property 'colour'"),
        (&[("priority", "low"), ("secondary-macs", "3:0:0:0:0:1")], "multicast"),
    ] {
        let refusal = bench.refusal(set("foo0", properties, false));
        assert!(refusal.contains(part), "{refusal}");
    }
    bench.driver.engine.refuse_change = "foo0".parse().ok();
    assert!(bench.refusal(set("foo0", &[("priority", "low")], false)).contains("held by another program"));
    assert_eq!((fs::read(&file).unwrap(), bench.device("foo0").policy), (before, policy));
    assert_eq!(values(&mut bench, "foo0", "priority"), ["high", ""]);
}

#[test]
fn an_address_belongs_to_one_vnic_of_an_overlay_secondary_ones_too() {
    let mut bench = with_vnic();
    bench.call(vnic("foo1", "demo0")).unwrap();
    let first = bench.device("foo0").mac.to_string();
    let refusal = bench.refusal(set("foo1", &[("secondary-macs", &first)], false));
    assert!(refusal.ends_with("VNIC foo0 on this overlay has it"), "{refusal}");
    let refusal = bench.refusal(set("foo0", &[("secondary-macs", &first)], false));
    assert!(refusal.ends_with("it is the VNIC's own"), "{refusal}");
    bench.call(set("foo0", &[("secondary-macs", "2:8:20:0:0:9")], false)).unwrap();
    // It is foo0's again after the next boot.
    bench.call(reset("foo0", &["secondary-macs"], true)).unwrap();
    assert!(bench.refusal(set("foo1", &[("secondary-macs", "2:8:20:0:0:9")], false)).contains("foo0"));
    let Request::CreateVnic { name, over, vid, properties, temporary, .. } = vnic("foo2", "demo0") else {
        unreachable!()
    };
    let mac = MacChoice::Fixed(MacAddr([2, 8, 0x20, 0, 0, 9]));
    let refusal = bench.refusal(Request::CreateVnic { name, over, mac, vid, properties, temporary });
    assert_eq!(refusal, "MAC address 2:8:20:0:0:9 is used by VNIC foo0 on this overlay");
}

#[test]
fn a_vnic_without_an_mtu_follows_its_overlay_and_one_with_it_holds_it() {
    let mut bench = with_vnic();
    bench.call(vnic("foo1", "demo0")).unwrap();
    bench.call(set("foo1", &[("mtu", "1300")], false)).unwrap();
    bench.call(set("demo0", &[("mtu", "1450")], false)).unwrap();
    assert_eq!(values(&mut bench, "demo0", "mtu"), ["1450", "1450"]);
    assert_eq!([bench.device("foo0").mtu.octets(), bench.device("foo1").mtu.octets()], [1450, 1300]);
    let spec = property(&mut bench, "foo1", "mtu").spec;
    assert_eq!((spec.possible.to_string(), spec.default.as_deref()), ("576-1450".to_owned(), Some("1450")));
    let busy = bench.call(set("demo0", &[("mtu", "1299")], false)).unwrap_err();
    assert_eq!(
        (busy.code, &*busy.message),
        (ErrorCode::Busy, "link busy: mtu 1299 is below that of VNICs: foo1")
    );
    bench.call(set("demo0", &[("mtu", "1300")], true)).unwrap();
    assert_eq!(values(&mut bench, "demo0", "mtu"), ["1300", "1450"]);
    bench.restarted();
    assert_eq!(bench.device("foo0").mtu.octets(), 1300);
    bench.booted();
    assert_eq!(bench.device("foo0").mtu.octets(), 1450);
}

#[test]
fn nobody_may_send_what_is_not_carried_while_an_mtu_changes() {
    let mut bench = with_vnic();
    let (over, link) = (*bench.driver.overlays.keys().next().unwrap(), bench.device("foo0").link);
    for (mtu, order) in [(1450, [over, link]), (1300, [link, over])] {
        bench.driver.engine.mtus.clear();
        bench.call(set("demo0", &[("mtu", &mtu.to_string())], false)).unwrap();
        assert_eq!(bench.driver.engine.mtus, order.map(|one| (one, mtu)));
    }
}

#[test]
fn an_mtu_that_one_device_refuses_is_what_it_was_everywhere() {
    let mut bench = with_vnic();
    bench.call(vnic("foo1", "demo0")).unwrap();
    bench.driver.engine.refuse_change = "foo1".parse().ok();
    for mtu in ["1450", "1300"] {
        assert!(bench.refusal(set("demo0", &[("mtu", mtu)], false)).contains("held by another program"));
        assert_eq!(values(&mut bench, "demo0", "mtu"), ["1400", ""]);
        assert_eq!([bench.device("foo0").mtu.octets(), bench.device("foo1").mtu.octets()], [1400, 1400]);
    }
    bench.booted();
    assert_eq!(bench.device("foo0").mtu.octets(), 1400);
}

#[test]
fn an_mtu_of_an_earlier_version_is_kept_where_somebody_gave_it() {
    let mut bench = with_vnic();
    let path = bench.paths.records(Daemon::Overlayd, false).join("foo0.json");
    let text = fs::read_to_string(&path).unwrap();
    for (earlier, own) in [("1400", ""), ("1300", "1300")] {
        let old = text.replace("\"properties\": []", &format!("\"mtu\": {earlier}"));
        assert_ne!(old, text);
        fs::write(&path, old).unwrap();
        bench.restarted();
        assert_eq!(values(&mut bench, "foo0", "mtu"), [earlier, own]);
        assert!(!fs::read_to_string(&path).unwrap().contains("\"mtu\": "), "it is stored anew");
    }
}

#[test]
fn create_vnic_takes_every_property() {
    let mut bench = with_vnic();
    let given = [
        ("mtu", "1300"),
        ("maxbw", "5"),
        ("protection", "mac-nospoof,ip-nospoof"),
        ("allowed-ips", "10.0.0.0/8"),
    ];
    let given = given.map(|(name, value)| Assignment::new(name, value)).to_vec();
    let Request::CreateVnic { name, over, mac, vid, temporary, .. } = vnic("foo1", "demo0") else {
        unreachable!()
    };
    bench.call(Request::CreateVnic { name, over, mac, vid, properties: given, temporary }).unwrap();
    let device = bench.device("foo1");
    assert!(device.policy.protection.ip_nospoof && device.policy.maxbw.is_some());
    assert_eq!((device.mtu.octets(), device.policy.allowed_ips.len()), (1300, 1));
    assert_eq!(
        values(&mut bench, "foo1", "protection"),
        ["mac-nospoof,ip-nospoof", "mac-nospoof,ip-nospoof"]
    );
}

#[test]
fn a_record_with_an_illegal_property_is_set_aside() {
    let mut bench = with_vnic();
    bench.call(set("foo0", &[("priority", "low")], false)).unwrap();
    let path = bench.paths.records(Daemon::Overlayd, false).join("foo0.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"low\"", "\"lowest\"")).unwrap();
    bench.restarted();
    assert_eq!(bench.links().len(), 1);
    assert_eq!(bench.files(), ["demo0.json", "foo0.bad"]);
}
