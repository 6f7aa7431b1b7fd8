//! The driver over an engine that only takes notes.

mod dormant;
mod link_properties;
mod mtu;
mod rename;
mod targets;
mod watch;
mod zones;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use overlay_core::control::{Daemon, Paths};
use overlay_core::device::{TapError, ZoneError};
use overlay_core::encap::Outer;
use overlay_core::engine::{DeviceSpec, Existing, LeaseInfo, OverlaySpec};
use overlay_core::lookup::{Answer, Ends, Question, Sources, TargetMode, Timing};
use overlay_core::property::Assignment;
use overlay_core::protocol::{
    CounterInfo, LinkCounters, LinkState, MacChoice, MuxInfo, OffloadInfo, OverlayInfo, Status, TargetPage,
};
use overlay_core::socket::BindError;
use overlay_core::types::{MacAddr, UnderlayMtu, VnetId, ZoneName};

use super::*;

const CLIENT: ConnectionId = ConnectionId(1);
const VARPD: ConnectionId = ConnectionId(2);

#[derive(Default)]
struct Notes {
    overlays: BTreeMap<LinkId, bool>,
    devices: BTreeMap<LinkId, DeviceSpec>,
    refuse_start: bool,
    refuse_device: bool,
    /// The device that is not changed.
    refuse_change: Option<LinkName>,
    /// Devices whose change was finished at the start.
    finished: Vec<String>,
    /// How each device was asked for.
    wanted: Vec<Existing>,
    /// The last timing that an overlay was given.
    timing: Option<Timing>,
    sources: Option<Sources>,
    outer: Option<Outer>,
    /// What the underlay takes.
    underlay: Option<u32>,
    /// How often it was asked for.
    underlay_asked: Cell<usize>,
    /// How often it was looked whether it can be listened on.
    underlay_checked: Cell<usize>,
    /// What the overlay's frames may have, and what its devices may, in the order in which they were told.
    mtus: Vec<(LinkId, u16)>,
    /// The zones of the machine.
    zones: Vec<ZoneName>,
    /// Devices that somebody has removed, and those that were looked for to be ended.
    lost: Vec<LinkId>,
    discarded: Vec<LinkId>,
    fixed: BTreeMap<MacAddr, Option<Ends>>,
    learned: Vec<Answer>,
    injected: Vec<Vec<u8>>,
    /// Questions not yet taken, and all that are not answered.
    fresh: Vec<Question>,
    asked: Vec<Question>,
}

impl Notes {
    fn enter(&self, zone: Option<&ZoneName>) -> Result<(), TapError> {
        let missing = zone.filter(|zone| !self.zones.contains(zone));
        missing.map_or(Ok(()), |zone| Err(ZoneError::Absent(zone.clone()).into()))
    }
}

fn is_at(spec: &DeviceSpec, name: &LinkName, zone: Option<&ZoneName>) -> bool {
    spec.name == *name && spec.zone.as_ref() == zone
}

impl Engine for Notes {
    fn set_overlay(&mut self, link: LinkId, spec: &OverlaySpec) {
        self.timing = Some(spec.timing);
        self.sources.clone_from(&spec.settings.sources);
        self.outer = Some(spec.settings.outer);
        self.mtus.push((link, spec.settings.mtu.octets()));
        self.overlays.entry(link).or_default();
    }

    fn start(&mut self, link: LinkId) -> Result<(), BindError> {
        if self.refuse_start {
            return Err(BindError::NotLocal("10.0.0.1:4789".parse().unwrap()));
        }
        self.overlays.insert(link, true);
        Ok(())
    }

    fn stop(&mut self, link: LinkId) {
        self.overlays.insert(link, false);
    }

    fn is_started(&self, link: LinkId) -> bool {
        self.overlays[&link]
    }

    fn check_underlay(&self, _link: LinkId) -> Result<(), BindError> {
        self.underlay_checked.set(self.underlay_checked.get() + 1);
        if self.refuse_start { Err(BindError::NotLocal("10.0.0.1:4789".parse().unwrap())) } else { Ok(()) }
    }

    fn underlay_mtu(&self, _listen: SocketAddr) -> Option<UnderlayMtu> {
        self.underlay_asked.set(self.underlay_asked.get() + 1);
        self.underlay.map(UnderlayMtu)
    }

    fn remove_overlay(&mut self, link: LinkId) {
        self.overlays.remove(&link);
    }

    fn is_taken(&self, name: &LinkName, zone: Option<&ZoneName>) -> Result<bool, TapError> {
        self.enter(zone)?;
        Ok(name.as_str() == "foreign0" || self.devices.values().any(|spec| is_at(spec, name, zone)))
    }

    fn add_device(&mut self, _over: LinkId, spec: &DeviceSpec, existing: Existing) -> Result<(), TapError> {
        self.wanted.push(existing);
        if self.refuse_device {
            return Err(TapError::NameTaken { name: spec.name.clone(), zone: spec.zone.clone() });
        }
        self.enter(spec.zone.as_ref())?;
        self.finished.extend((existing == Existing::Finish).then(|| spec.name.to_string()));
        self.devices.insert(spec.link, spec.clone());
        Ok(())
    }

    fn change_device(&mut self, _over: LinkId, spec: &DeviceSpec) -> Result<(), TapError> {
        if self.refuse_change.as_ref() == Some(&spec.name) {
            return Err(TapError::Held(spec.name.clone()));
        }
        self.mtus.push((spec.link, spec.mtu.octets()));
        self.devices.entry(spec.link).and_modify(|device| device.clone_from(spec));
        Ok(())
    }

    fn remove_device(&mut self, _over: LinkId, link: LinkId) -> Result<(), TapError> {
        self.devices.remove(&link);
        Ok(())
    }

    fn settle_device(&mut self, _over: LinkId, spec: &DeviceSpec) -> Result<(), TapError> {
        self.enter(spec.zone.as_ref())?;
        self.devices.insert(spec.link, spec.clone());
        Ok(())
    }

    fn discard_device(&mut self, spec: &DeviceSpec) -> Result<(), TapError> {
        self.devices.remove(&spec.link);
        self.discarded.push(spec.link);
        Ok(())
    }

    fn lost_devices(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.lost)
    }

    fn stranded_devices(&self) -> Vec<LinkId> {
        let stranded = |spec: &&DeviceSpec| self.enter(spec.zone.as_ref()).is_err();
        self.devices.values().filter(stranded).map(|spec| spec.link).collect()
    }

    fn uses_zones(&self) -> bool {
        self.devices.values().any(|spec| spec.zone.is_some())
    }

    fn lose_device(&mut self, over: LinkId, link: LinkId) -> Result<(), TapError> {
        self.remove_device(over, link)
    }

    fn has_device(&self, _over: LinkId, link: LinkId) -> bool {
        self.devices.contains_key(&link)
    }

    fn overlay_counters(&self, _link: LinkId) -> (CounterInfo, LinkCounters) {
        Default::default()
    }

    fn device_counters(&self, _over: LinkId, _link: LinkId) -> LinkCounters {
        LinkCounters::default()
    }

    fn device_offloads(&self, _over: LinkId, _link: LinkId) -> OffloadInfo {
        OffloadInfo::default()
    }

    fn leases(&self, _over: LinkId, _link: LinkId) -> Option<(u64, Vec<LeaseInfo>)> {
        None
    }

    fn restore_leases(&mut self, _over: LinkId, _link: LinkId, _leases: Vec<LeaseInfo>) {}

    fn muxes(&self) -> Vec<MuxInfo> {
        Vec::new()
    }

    fn attention(&self) -> BorrowedFd<'_> {
        panic!("nobody waits for it")
    }

    fn questions(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.fresh)
    }

    fn outstanding(&self, link: LinkId) -> Vec<Question> {
        self.asked.iter().filter(|question| question.link() == link).cloned().collect()
    }

    fn learn(&mut self, answers: Vec<Answer>) {
        self.learned.extend(answers);
    }

    fn inject(&mut self, _link: LinkId, frame: &[u8]) {
        self.injected.push(frame.to_vec());
    }

    fn fix_target(&mut self, _link: LinkId, mac: MacAddr, ends: Option<Ends>) {
        self.fixed.insert(mac, ends);
    }

    fn remove_target(&mut self, _link: LinkId, mac: MacAddr) -> bool {
        self.fixed.remove(&mac).is_some()
    }

    fn flush_targets(&mut self, _link: LinkId) {
        self.fixed.clear();
    }

    fn targets(&self, _link: LinkId, _page: u32) -> TargetPage {
        TargetPage { targets: Vec::new(), next: None }
    }

    fn expire(&mut self) {}

    fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }
}

/// A driver whose records are in a directory of the test's own.
struct Bench {
    driver: Driver<Notes>,
    paths: Paths,
}

impl Bench {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("overlayd-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state: PathBuf = std::env::temp_dir().join(name);
        let paths = Paths { run: state.join("run"), state };
        Self { driver: Driver::restore(Notes::default(), Records::open(&paths).unwrap()), paths }
    }

    /// The same host after overlayd was killed and started again.
    fn restarted(&mut self) {
        self.restarted_on(None);
    }

    /// The same host after a boot: nothing is in the run directory.
    fn booted(&mut self) {
        fs::remove_dir_all(&self.paths.run).unwrap();
        self.restarted();
    }

    /// On an underlay that takes so much.
    fn restarted_on(&mut self, underlay: Option<u32>) {
        let engine = Notes { underlay, ..Notes::default() };
        self.driver = Driver::restore(engine, Records::open(&self.paths).unwrap());
    }

    fn call(&mut self, request: Request) -> Result<Response, ControlError> {
        self.driver.call(CLIENT, request)
    }

    fn refusal(&mut self, request: Request) -> String {
        self.call(request).unwrap_err().message
    }

    /// An overlay with its varpd, at work.
    fn overlay(&mut self, name: &str, vnetid: u32) -> LinkId {
        self.driver.call(VARPD, Request::Attach).unwrap();
        let Ok(Response::Link(link)) = self.call(create(name, vnetid)) else { panic!("no overlay") };
        self.driver.call(VARPD, associate(link)).unwrap();
        self.call(Request::ActivateOverlay { name: name.parse().unwrap() }).unwrap();
        link
    }

    fn targets(&mut self) -> usize {
        match self.call(Request::Targets { overlay: "demo0".parse().unwrap(), page: 0 }) {
            Ok(Response::Targets(page)) => page.targets.len(),
            other => panic!("{other:?}"),
        }
    }

    fn info(&mut self) -> OverlayInfo {
        match self.call(Request::Overlays) {
            Ok(Response::Overlays(overlays)) => overlays.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn degraded(&mut self) -> String {
        match self.info().status {
            Status::Degraded(message) => message,
            Status::Online => panic!("online"),
        }
    }

    fn links(&mut self) -> Vec<(String, LinkState)> {
        match self.call(Request::Links) {
            Ok(Response::Links(links)) => {
                links.into_iter().map(|link| (link.name.into(), link.state)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// A device, as the engine was told of it last.
    fn device(&self, name: &str) -> DeviceSpec {
        let mut devices = self.driver.engine.devices.values();
        devices.find(|device| device.name.as_str() == name).cloned().unwrap()
    }

    /// Takes a VNIC its device, and lets none be made.
    fn lose_for_good(&mut self, name: &str) {
        let id = self.device(name).link;
        self.driver.engine.devices.remove(&id);
        self.driver.engine.refuse_device = true;
        self.driver.try_device(id);
    }

    fn files(&self) -> Vec<String> {
        let dir = fs::read_dir(self.paths.records(Daemon::Overlayd, false)).unwrap();
        let mut files: Vec<_> = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.paths.state);
    }
}

fn create(name: &str, vnetid: u32) -> Request {
    Request::CreateOverlay {
        name: name.parse().unwrap(),
        encap: "vxlan".into(),
        vnetid: VnetId::new(vnetid).unwrap(),
        search: "direct".into(),
        properties: vec![Assignment::new("vxlan/listen_ip", "10.0.0.1")],
        temporary: false,
    }
}

fn with(properties: &[(&str, &str)]) -> Request {
    let Request::CreateOverlay { name, encap, vnetid, search, temporary, .. } = create("demo0", 23) else {
        unreachable!()
    };
    let properties = properties.iter().map(|(name, value)| Assignment::new(*name, *value)).collect();
    Request::CreateOverlay { name, encap, vnetid, search, properties, temporary }
}

fn associate(link: LinkId) -> Request {
    associate_to(link, "10.0.0.2:4789")
}

fn associate_to(link: LinkId, point: &str) -> Request {
    let mode = TargetMode::Point(point.parse().unwrap());
    Request::Associate(Association { link, instance: 1, mode, sources: Sources::Any })
}

fn vnic(name: &str, over: &str) -> Request {
    let (name, over) = (name.parse().unwrap(), over.parse().unwrap());
    let mac = MacChoice::Random { prefix: None };
    Request::CreateVnic { name, over, mac, vid: None, properties: vec![], temporary: false }
}

fn delete_overlay(name: &str) -> Request {
    Request::DeleteOverlay { name: name.parse().unwrap(), keep_stored: false }
}

#[test]
fn an_overlay_lives_from_creation_to_deletion() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    assert_eq!((bench.info().status, bench.targets()), (Status::Online, 1));
    bench.call(vnic("foo0", "demo0")).unwrap();
    assert!(bench.driver.engine.is_started(link));
    let busy = bench.call(delete_overlay("demo0")).unwrap_err();
    assert_eq!((busy.code, busy.message), (ErrorCode::Busy, "link busy: VNICs over demo0: foo0".into()));
    bench.call(Request::DeleteVnic { name: "foo0".parse().unwrap(), keep_stored: false }).unwrap();
    assert!(!bench.driver.engine.is_started(link));
    bench.call(delete_overlay("demo0")).unwrap();
    assert_eq!(bench.driver.take_events(), [(VARPD, Event::OverlayDeleted(link))]);
    assert_eq!((bench.links(), bench.files()), (vec![], vec!["-deleted.json".to_owned()]));
    bench.call(Request::ForgetDeleted { links: vec![link] }).unwrap();
    assert!(bench.files().is_empty());
}

#[test]
fn activation_comes_after_association() {
    let mut bench = Bench::new();
    bench.call(create("demo0", 23)).unwrap();
    let refusal = bench.refusal(Request::ActivateOverlay { name: "demo0".parse().unwrap() });
    assert!(refusal.contains("no varpd instance"), "{refusal}");
    assert_eq!(bench.links(), [("demo0".to_owned(), LinkState::Unknown)]);
    assert!(bench.refusal(vnic("foo0", "demo0")).contains("not activated"));
    bench.call(delete_overlay("demo0")).unwrap();
}

#[test]
fn what_is_taken_or_unknown_is_refused_by_name() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    assert_eq!(bench.refusal(create("demo0", 24)), "a link named demo0 exists already");
    assert_eq!(bench.refusal(create("foo0", 24)), "a link named foo0 exists already");
    assert_eq!(bench.refusal(create("demo1", 23)), "vnetid 23 of vxlan is used by overlay demo0");
    assert_eq!(bench.refusal(vnic("foo1", "foo0")), "foo0 is not an overlay");
    assert_eq!(bench.refusal(vnic("foo1", "nowhere0")), "there is no overlay nowhere0");
    assert_eq!(
        bench.refusal(Request::DeleteVnic { name: "demo0".parse().unwrap(), keep_stored: false }),
        "demo0 is not a VNIC"
    );
    assert_eq!(
        bench.refusal(Request::DeleteVnic { name: "x0".parse().unwrap(), keep_stored: false }),
        "there is no VNIC x0"
    );
    assert!(bench.refusal(vnic("abcdefghijklmno0", "demo0")).contains("15 at most"));
}

#[test]
fn bad_properties_are_refused_and_leave_nothing() {
    let mut bench = Bench::new();
    for (properties, part) in [
        (&[][..], "required properties are missing: vxlan/listen_ip"),
        (&[("vxlan/listen_ip", "224.0.0.1")], "multicast"),
        (&[("vxlan/listen_ip", "10.0.0.1"), ("mtu", "9000")], "576-8900"),
        (&[("vxlan/listen_ip", "10.0.0.1"), ("vnetid", "24")], "more than one value"),
        (&[("vxlan/listen_ip", "10.0.0.1"), ("encap", "x")], "read-only"),
        (&[("vxlan/listen_ip", "10.0.0.1"), ("colour", "red")], "unknown property 'colour'"),
    ] {
        let refusal = bench.refusal(with(properties));
        assert!(refusal.contains(part), "{refusal}");
    }
    assert!(bench.links().is_empty() && bench.files().is_empty());
}

#[test]
fn an_address_belongs_to_one_vnic_of_an_overlay() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    let fixed = |name: &str, mac: [u8; 6]| match vnic(name, "demo0") {
        Request::CreateVnic { name, over, vid, properties, temporary, .. } => Request::CreateVnic {
            name,
            over,
            mac: MacChoice::Fixed(MacAddr(mac)),
            vid,
            properties,
            temporary,
        },
        other => other,
    };
    bench.call(fixed("foo0", [2, 8, 0x20, 0, 0, 1])).unwrap();
    let refusal = bench.refusal(fixed("foo1", [2, 8, 0x20, 0, 0, 1]));
    assert_eq!(refusal, "MAC address 2:8:20:0:0:1 is used by VNIC foo0 on this overlay");
    assert!(bench.refusal(fixed("foo1", [1, 0, 0x5e, 0, 0, 1])).contains("multicast"));
}

#[test]
fn a_vnic_that_cannot_be_made_leaves_nothing() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    bench.driver.engine.refuse_start = true;
    let refusal = bench.call(vnic("foo0", "demo0")).unwrap_err();
    assert!(refusal.message.contains("address 10.0.0.1 is not on this host") && refusal.hint.is_some());
    bench.driver.engine.refuse_start = false;
    bench.driver.engine.refuse_device = true;
    assert!(bench.refusal(vnic("foo0", "demo0")).contains("foo0 exists already"));
    assert!(!bench.driver.engine.is_started(link));
    assert_eq!(bench.files(), ["demo0.json"]);
    assert_eq!(bench.links(), [("demo0".to_owned(), LinkState::Up)]);
}

#[test]
fn a_restart_brings_everything_back_and_waits_for_varpd() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench.restarted();
    assert!(bench.driver.engine.is_started(link) && bench.driver.engine.devices.len() == 1);
    assert!(bench.degraded().contains("varpd has not said yet"));
    bench.driver.call(VARPD, Request::Attach).unwrap();
    bench.driver.call(VARPD, associate(link)).unwrap();
    assert_eq!(bench.info().status, Status::Online);
}

#[test]
fn an_underlay_that_comes_late_is_mended() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench.driver.engine.stop(link);
    bench.driver.engine.refuse_start = true;
    bench.driver.mend();
    assert!(bench.driver.is_ailing());
    assert!(bench.degraded().contains("is not on this host"));
    assert_eq!(bench.links()[0].1, LinkState::Down);
    bench.driver.engine.refuse_start = false;
    bench.driver.mend();
    assert!(!bench.driver.is_ailing());
    assert_eq!(bench.info().status, Status::Online);
}

#[test]
fn all_that_is_wrong_is_shown_at_once() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    bench.driver.engine.refuse_start = true;
    bench.driver.engine.devices.clear();
    bench.driver.closed(VARPD);
    let shown = bench.degraded();
    for part in ["10.0.0.1 is not on this host", "VNIC foo0 has no device: it was removed", "varpd is gone"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn one_varpd_is_attached_at_a_time_and_its_loss_is_shown() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    assert_eq!(bench.call(Request::Attach).unwrap_err().code, ErrorCode::Exists);
    bench.driver.closed(VARPD);
    assert!(bench.degraded().contains("varpd is gone") && bench.targets() == 1);
    bench.call(Request::Attach).unwrap();
    assert_eq!(bench.info().status, Status::Online, "one that has just come is about to claim it");
    bench.driver.attached = Instant::now().checked_sub(Duration::from_secs(6));
    assert!(bench.degraded().contains("varpd has no instance for it"));
    bench.call(associate(link)).unwrap();
    assert_eq!(bench.info().status, Status::Online);
}

#[test]
fn a_tunnel_end_of_the_other_family_is_refused() {
    let mut bench = Bench::new();
    let Ok(Response::Link(link)) = bench.call(create("demo0", 23)) else { panic!("no overlay") };
    let refusal = bench.refusal(associate_to(link, "[2001:db8::1]:4789"));
    assert!(refusal.contains("2001:db8::1 cannot be reached from 10.0.0.1"), "{refusal}");
    assert!(bench.refusal(associate_to(link, "0.0.0.0:4789")).contains("no tunnel end"));
}

#[test]
fn a_stored_link_cut_anywhere_is_set_aside_alone() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.overlay("demo1", 24);
    let path = bench.paths.records(Daemon::Overlayd, false).join("demo1.json");
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() - 2 {
        fs::write(&path, &whole[..len]).unwrap();
        bench.restarted();
        assert_eq!(bench.links().len(), 1, "at {len}");
    }
    assert!(path.with_extension("bad").exists() && path.with_extension("2.bad").exists());
    let Ok(Response::Overlays(overlays)) = bench.call(Request::Overlays) else { panic!("no overlays") };
    let Status::Degraded(reason) = &overlays[1].status else { panic!("online") };
    assert!(overlays[1].name.as_str() == "demo1" && reason.contains("set aside as"), "{reason}");
    assert!(bench.refusal(create("demo1", 25)).contains("a broken link named demo1"));
    bench.call(delete_overlay("demo1")).unwrap();
    bench.call(create("demo1", 25)).unwrap();
    assert!(path.with_extension("deleted").exists() && !path.with_extension("bad").exists());
}

#[test]
fn a_bad_record_is_shown_at_every_start_until_it_is_deleted_or_mended() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    let path = bench.paths.records(Daemon::Overlayd, false).join("demo0.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "{").unwrap();
    for _ in 0..3 {
        bench.restarted();
        assert!(bench.degraded().contains("EOF while parsing") && bench.degraded().ends_with("demo0.bad"));
    }
    fs::write(&path, whole).unwrap();
    bench.restarted();
    assert!(bench.degraded().contains("varpd has not said yet"));
    fs::write(&path, "{").unwrap();
    bench.restarted();
    bench.call(delete_overlay("demo0")).unwrap();
    bench.restarted();
    assert!(matches!(bench.call(Request::Overlays), Ok(Response::Overlays(none)) if none.is_empty()));
    assert_eq!(bench.files(), ["demo0.2.deleted", "demo0.deleted"]);
}

#[test]
fn of_two_records_of_one_link_the_first_counts_and_the_other_is_set_aside() {
    let mut bench = Bench::new();
    bench.overlay("demo1", 23);
    bench.call(vnic("foo1", "demo1")).unwrap();
    let dir = bench.paths.records(Daemon::Overlayd, false);
    let copy = |from: &str, to: &str, old: &str, new: &str| {
        let text = fs::read_to_string(dir.join(from)).unwrap().replace(old, new);
        fs::write(dir.join(to), text).unwrap();
    };
    copy("demo1.json", "demo0.json", "", "");
    copy("demo1.json", "demo2.json", "\"demo1\"", "\"demo2\"");
    copy("demo1.json", "demo3.json", "\"demo1\",", "\"demo3\", \"x\": 1,");
    copy("demo3.json", "demo3.json", ": 23", ": 24");
    copy("foo1.json", "foo0.json", "", "");
    copy("foo1.json", "foo2.json", "\"foo1\"", "\"foo2\"");
    bench.restarted();
    assert_eq!(bench.links().len(), 2);
    let left = ["demo0.bad", "demo1.json", "demo2.bad", "demo3.bad", "foo0.bad", "foo1.json", "foo2.bad"];
    assert_eq!(bench.files(), left);
    let broken = &bench.driver.broken;
    let reason = |name: &str| broken[&name.parse().unwrap()].reason.clone();
    assert!(reason("demo0").contains("it is the record of demo1"), "{}", reason("demo0"));
    assert!(reason("demo3").contains("that of demo1"), "{}", reason("demo3"));
    assert!(reason("foo2").contains("that of foo1"), "{}", reason("foo2"));
}

#[test]
fn a_vnic_outlives_its_overlays_bad_record() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    let path = bench.paths.records(Daemon::Overlayd, false).join("demo0.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"vxlan\"", "\"gre\"");
    fs::write(&path, text).unwrap();
    bench.restarted();
    assert!(bench.degraded().contains("unknown encapsulation 'gre'"));
    assert_eq!(bench.links(), [("foo0".to_owned(), LinkState::Down)]);
    assert!(bench.refusal(vnic("foo0", "demo0")).contains("foo0 exists already"));
    assert_eq!(bench.files(), ["demo0.bad", "foo0.json"]);
    fs::rename(path.with_extension("bad"), &path).unwrap();
    bench.call(Request::DeleteVnic { name: "foo0".parse().unwrap(), keep_stored: false }).unwrap();
    assert!(bench.links().is_empty());
}

#[test]
fn a_deletion_that_a_crash_cut_short_is_finished() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    bench.call(vnic("foo0", "demo0")).unwrap();
    let path = bench.paths.records(Daemon::Overlayd, false).join("foo0.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"deleting\": false", "\"deleting\": true");
    fs::write(&path, text).unwrap();
    bench.restarted();
    assert!(bench.driver.engine.devices.is_empty() && !path.exists());
    assert_eq!(bench.links().len(), 1);
}

#[test]
fn a_foreign_devices_name_is_refused_before_anything_is_stored() {
    let mut bench = Bench::new();
    bench.overlay("demo0", 23);
    assert_eq!(bench.refusal(vnic("foreign0", "demo0")), "a network device named foreign0 exists already");
    assert_eq!(bench.files(), ["demo0.json"]);
}

#[test]
fn a_device_that_cannot_be_had_is_tried_again() {
    let mut bench = Bench::new();
    let link = bench.overlay("demo0", 23);
    bench.driver.engine.stop(link);
    bench.call(vnic("foo0", "demo0")).unwrap();
    let id = *bench.driver.vnics.keys().next().unwrap();
    bench.driver.engine.refuse_device = true;
    bench.driver.try_device(id);
    bench.driver.mend();
    assert!(bench.driver.is_ailing() && bench.degraded().contains("VNIC foo0 has no device"));
    bench.driver.engine.refuse_device = false;
    bench.driver.mend();
    assert!(!bench.driver.is_ailing());
}
