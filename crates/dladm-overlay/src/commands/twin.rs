//! Both daemons as a test sees them: they answer from what it gives them, and fail where it wants.

mod more;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use jiff::ZonedDateTime;
use overlay_core::control::{ClientError, Daemon};
use overlay_core::property::{AddressRule, Kind, OVERLAY_PROPERTIES, Possible, PropertySpec};
use overlay_core::protocol::{
    Change, ControlError, CounterInfo, DropCount, ErrorCode, InstanceInfo, InstanceState, LinkClass,
    LinkCounters, LinkInfo, LinkPropertyInfo, LinkState, MacType, MuxInfo, OffloadInfo, OverlayInfo,
    PluginInfo, PropertyValue, Request, Response, Status, StoredLink, TargetDestination, TargetInfo,
    TargetOrigin, TargetPage, TargetState, VnicInfo,
};
use overlay_core::types::{LinkId, LinkName, MacAddr, VlanId, VnetId};

pub(crate) use self::more::{entries_of_red, stored_overlay, stored_vnic};
use crate::daemons::Daemons;
use crate::session::Session;

/// A host with one overlay and one VNIC, unless a test has it otherwise.
pub(crate) struct Twin {
    /// What may be wrong with an overlay that is activated.
    pub(crate) warnings: Vec<String>,
    pub(crate) overlays: Vec<OverlayInfo>,
    pub(crate) links: Vec<LinkInfo>,
    pub(crate) instances: Vec<InstanceInfo>,
    pub(crate) link_properties: Vec<LinkPropertyInfo>,
    pub(crate) stored: Vec<StoredLink>,
    /// Entries of target tables, with the overlay that each is of.
    pub(crate) targets: Vec<(&'static str, TargetInfo)>,
    /// Entries on a page of a target table.
    pub(crate) page: usize,
    /// What happens while it is watched.
    pub(crate) changes: VecDeque<Change>,
    pub(crate) overlayd_down: bool,
    pub(crate) varpd_down: bool,
    /// The request after whose answer both go.
    pub(crate) down_after: Option<&'static str>,
    /// The request that is not answered.
    pub(crate) lost: Option<&'static str>,
    /// Pauses before the one that is interrupted.
    pub(crate) pauses: usize,
    /// Whether the output shows colours.
    pub(crate) colour: bool,
    /// The state directory.
    pub(crate) state: PathBuf,
    /// Whether nobody reads the output.
    pub(crate) closed: bool,
    /// Names of the requests made.
    pub(crate) asked: Vec<String>,
    /// The requests themselves, as sent.
    pub(crate) requests: Vec<String>,
    /// Requests that fail, and how.
    pub(crate) failures: Vec<(&'static str, ControlError)>,
}

/// What came of a command line.
pub(crate) struct Ran {
    pub(crate) status: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Default for Twin {
    fn default() -> Self {
        Self {
            warnings: Vec::new(),
            overlays: vec![blue()],
            links: vec![overlay_link(), vnic()],
            instances: vec![instance()],
            link_properties: more::link_properties(),
            stored: vec![stored_overlay(), stored_vnic()],
            targets: vec![
                ("blue0", target(None, "192.0.2.20:4789")),
                ("red0", target(Some("2:8:20:ab:cd:ef"), "192.0.2.21:4789")),
            ],
            page: 1000,
            changes: VecDeque::new(),
            overlayd_down: false,
            varpd_down: false,
            down_after: None,
            lost: None,
            colour: false,
            pauses: 0,
            state: PathBuf::from("/nowhere/state"),
            closed: false,
            asked: Vec::new(),
            requests: Vec::new(),
            failures: Vec::new(),
        }
    }
}

impl Twin {
    /// Makes a request fail, with a hint.
    pub(crate) fn fail(&mut self, request: &'static str, why: &str) {
        self.fail_with(request, ErrorCode::Failed, why, Some("mend it"));
    }

    /// Makes a request fail.
    pub(crate) fn fail_with(
        &mut self,
        request: &'static str,
        code: ErrorCode,
        why: &str,
        hint: Option<&str>,
    ) {
        let error = ControlError { code, message: why.to_owned(), hint: hint.map(str::to_owned) };
        self.failures.push((request, error));
    }

    /// Runs the words of a command line.
    pub(crate) fn run(&mut self, arguments: &str) -> Ran {
        let mut left = self.pauses;
        let mut pause = |_| {
            let goes_on = left > 0;
            left = left.saturating_sub(1);
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (closed, colour, state) = (self.closed, self.colour, self.state.clone());
        let mut session = Session {
            daemons: self,
            out: if closed { &mut Closed } else { &mut out },
            err: &mut err,
            pause: &mut pause,
            now: moment,
            height: 24,
            colour,
            state,
        };
        let words = ["dladm"].into_iter().chain(arguments.split_ascii_whitespace());
        let status = session.run(words.map(Into::into).collect());
        Ran { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }

    fn answer(&self, request: &Request) -> Response {
        match request {
            Request::Encaps => Response::Plugins(vec![vxlan()]),
            Request::Plugins => Response::Plugins(vec![direct()]),
            Request::CreateOverlay { .. } | Request::DeleteOverlay { .. } | Request::CreateVnic { .. } => {
                Response::Link(id(7))
            }
            Request::CreateInstance { link, .. } => {
                assert_eq!(*link, id(7));
                Response::Instance(3)
            }
            Request::ActivateInstance { instance: 3 } => Response::Done,
            Request::DestroyInstance { link } => {
                assert_eq!(*link, id(7));
                Response::Done
            }
            Request::ActivateOverlay { .. } | Request::UpOverlays { .. } if !self.warnings.is_empty() => {
                Response::Warned(self.warnings.clone())
            }
            Request::ActivateOverlay { .. }
            | Request::UpOverlays { .. }
            | Request::DeleteVnic { .. }
            | Request::Watch
            | Request::SetTarget { .. }
            | Request::RemoveTarget { .. }
            | Request::FlushTargets { .. }
            | Request::RenameLink { .. }
            | Request::SetLinkProperties { .. }
            | Request::ResetLinkProperties { .. }
            | Request::SetOverlayProperties { .. }
            | Request::SetInstanceProperties { .. } => Response::Done,
            Request::Links => Response::Links(self.links.clone()),
            Request::Overlays => Response::Overlays(self.overlays.clone()),
            Request::StoredLinks => Response::StoredLinks(self.stored.clone()),
            Request::LinkProperties => Response::LinkProperties(self.link_properties.clone()),
            Request::Muxes => Response::Muxes(vec![mux()]),
            Request::Targets { overlay, page } => Response::Targets(self.targets(overlay, *page)),
            Request::Instances => Response::Instances(self.instances.clone()),
            other => panic!("dladm never asks {other:?}"),
        }
    }

    fn is_broken(&self, name: &LinkName) -> bool {
        self.overlays.iter().any(|overlay| overlay.name == *name && overlay.vnetid.is_none())
    }

    fn targets(&self, overlay: &LinkName, page: u32) -> TargetPage {
        let of_overlay = self.targets.iter().filter(|(of, _)| *of == overlay.as_str());
        let mut rest = of_overlay.map(|(_, target)| target.clone()).skip(page as usize * self.page);
        let targets = rest.by_ref().take(self.page).collect();
        TargetPage { targets, next: rest.next().map(|_| page + 1) }
    }
}

impl Daemons for Twin {
    fn ask(&mut self, daemon: Daemon, request: Request) -> Result<Response, ClientError> {
        if (daemon == Daemon::Overlayd && self.overlayd_down) || (daemon == Daemon::Varpd && self.varpd_down)
        {
            let error = io::Error::from(ErrorKind::NotFound);
            return Err(ClientError::NotRunning { daemon, socket: PathBuf::from("/run/x"), error });
        }
        let debug = format!("{request:?}");
        let name = debug.split(|letter: char| !letter.is_alphanumeric()).next().unwrap();
        self.requests.push(serde_json::to_string(&request).unwrap());
        self.asked.push(name.to_owned());
        if self.lost == Some(name) {
            return Err(ClientError::Lost { daemon, error: io::Error::other("it closed the connection") });
        }
        if self.down_after == Some(name) {
            (self.overlayd_down, self.varpd_down) = (true, true);
        }
        let failing = self.failures.iter().find(|(failing, _)| *failing == name);
        match (failing, &request) {
            (Some((_, error)), _) => Err(error.clone().into()),
            (None, Request::Targets { overlay, .. }) if self.is_broken(overlay) => {
                Err(ControlError::new(ErrorCode::Unavailable, BROKEN).into())
            }
            (None, request) => Ok(self.answer(request)),
        }
    }

    /// After the last change overlayd goes away.
    fn next_change(&mut self, _: Duration) -> Result<Option<Change>, ClientError> {
        if let Some(change) = self.changes.pop_front() {
            return Ok(Some(change));
        }
        self.overlayd_down = true;
        let error = io::Error::from(ErrorKind::BrokenPipe);
        Err(ClientError::Lost { daemon: Daemon::Overlayd, error })
    }
}

/// The time at which everything happens.
pub(crate) fn moment() -> ZonedDateTime {
    "2026-01-02T03:04:05.6+00:00[UTC]".parse().unwrap()
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn id(number: u32) -> LinkId {
    LinkId(number.try_into().unwrap())
}

/// A port, in the reference's words.
const fn port(name: &'static str, low: u64, default: Option<&'static str>) -> PropertySpec {
    PropertySpec::new(name, Kind::Uint, Possible::Range(low, 65535), default, "port").required()
}

/// An address, in the reference's words.
const fn address(name: &'static str) -> PropertySpec {
    PropertySpec::new(name, Kind::Ip, Possible::Address(AddressRule::Host), None, "address").required()
}

/// The encapsulation plugin.
pub(crate) fn vxlan() -> PluginInfo {
    let properties = vec![address("vxlan/listen_ip"), port("vxlan/listen_port", 1, Some("4789"))];
    PluginInfo { name: "vxlan".into(), properties }
}

/// The search plugin.
pub(crate) fn direct() -> PluginInfo {
    let properties = vec![address("direct/dest_ip"), port("direct/dest_port", 1, None)];
    PluginInfo { name: "direct".into(), properties }
}

fn valued(spec: PropertySpec, value: &str) -> PropertyValue {
    PropertyValue { spec, value: Some(value.to_owned()), given: None }
}

/// The overlay of the reference's first example, its properties in an order that shows whether they are sorted.
pub(crate) fn blue() -> OverlayInfo {
    let generic = |name: &str| OVERLAY_PROPERTIES.iter().find(|spec| spec.name == name).unwrap().clone();
    let encaps = Possible::Words(Cow::Owned(vec!["vxlan".into()]));
    let mut properties = vec![
        valued(address("vxlan/listen_ip"), "192.0.2.10"),
        valued(port("vxlan/listen_port", 1, Some("4789")), "4789"),
    ];
    properties.extend([
        valued(generic("vnetid"), "23"),
        valued(generic("mtu"), "1400"),
        valued(PropertySpec { possible: encaps, ..generic("encap") }, "vxlan"),
        valued(generic("varpd/id"), "1"),
        valued(generic("search"), "direct"),
    ]);
    OverlayInfo {
        id: id(7),
        name: "blue0".parse().unwrap(),
        vnetid: VnetId::new(23).ok(),
        instance: Some(1),
        properties,
        status: Status::Online,
        counters: CounterInfo {
            from_devices: 5,
            from_wire: 4,
            injected: 2,
            copies: 1,
            to_devices: 3,
            to_wire: 5,
            waiting: 2,
            drops: vec![DropCount { reason: "unknown-vtep".into(), frames: 2 }],
        },
        warnings: Vec::new(),
    }
}

/// A degraded overlay with a target of its own.
pub(crate) fn red() -> OverlayInfo {
    OverlayInfo {
        id: id(8),
        name: "red0".parse().unwrap(),
        status: Status::Degraded("cannot reach underlay host".into()),
        ..blue()
    }
}

/// What is wrong with [`broken`].
const BROKEN: &str = "its record cannot be used";

/// An overlay of which only the name is known.
pub(crate) fn broken() -> OverlayInfo {
    OverlayInfo {
        vnetid: None,
        instance: None,
        properties: Vec::new(),
        status: Status::Degraded(BROKEN.into()),
        counters: CounterInfo::default(),
        ..red()
    }
}

/// An entry that serves; of every address when there is none of its own.
pub(crate) fn target(mac: Option<&str>, end: &str) -> TargetInfo {
    let origin = if mac.is_some() { TargetOrigin::Lookup } else { TargetOrigin::Point };
    let destination = TargetDestination::Ends(vec![end.parse().unwrap()]);
    let mac = mac.map(|mac| mac.parse().unwrap());
    TargetInfo { mac, state: TargetState::Known, destination, origin, age: 0 }
}

fn mux() -> MuxInfo {
    let listen = "192.0.2.10:4789".parse().unwrap();
    MuxInfo {
        listen,
        encap: "vxlan".into(),
        datagrams: 6,
        bad_header: 0,
        unknown_vnetid: 2,
        queue_full: 1,
        offloads: offloads(&["trains-out", "trains-in"], &[], 0),
    }
}

fn offloads(on: &[&str], off: &[&str], refused: u64) -> OffloadInfo {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    OffloadInfo { on: names(on), off: names(off), refused }
}

/// The overlay's instance.
pub(crate) fn instance() -> InstanceInfo {
    let properties = vec![
        valued(address("direct/dest_ip"), "192.0.2.20"),
        valued(port("direct/dest_port", 0, None), "4789"),
    ];
    let (link, plugin, state) = (id(7), "direct".to_owned(), InstanceState::Associated);
    InstanceInfo { instance: 1, link, plugin, state, properties }
}

/// The overlay as a link.
pub(crate) fn overlay_link() -> LinkInfo {
    LinkInfo {
        id: id(7),
        name: "blue0".parse().unwrap(),
        class: LinkClass::Overlay,
        mtu: 1400,
        state: LinkState::Up,
        temporary: false,
        counters: LinkCounters::default(),
        vnic: None,
    }
}

/// The VNIC on it.
pub(crate) fn vnic() -> LinkInfo {
    LinkInfo {
        id: id(9),
        name: "web0".parse().unwrap(),
        class: LinkClass::Vnic,
        counters: LinkCounters {
            in_frames: 10,
            in_bytes: 1000,
            in_drops: 1,
            out_frames: 20,
            out_bytes: 2000,
            out_drops: 2,
        },
        vnic: Some(VnicInfo {
            over: "blue0".parse().ok(),
            mac: MacAddr([2, 8, 0x20, 0x12, 0x34, 0x56]),
            mac_type: MacType::Random,
            zone: None,
            fault: None,
            vid: None,
            offloads: offloads(&["checksum", "tso4", "runs-tcp4"], &["runs-udp"], 3),
        }),
        ..overlay_link()
    }
}

/// Another one, with an address that was given and a VLAN.
pub(crate) fn tagged_vnic() -> LinkInfo {
    let info = VnicInfo {
        over: "blue0".parse().ok(),
        mac: MacAddr([2, 8, 0x20, 0, 0, 1]),
        mac_type: MacType::Fixed,
        zone: None,
        fault: None,
        vid: VlanId::new(7).ok(),
        offloads: OffloadInfo::default(),
    };
    let counters = LinkCounters { in_frames: 30, in_bytes: 3000, ..LinkCounters::default() };
    LinkInfo { id: id(10), name: "web1".parse().unwrap(), counters, vnic: Some(info), ..vnic() }
}

/// One whose zone is not there.
pub(crate) fn zoned_vnic() -> LinkInfo {
    let info = VnicInfo {
        over: "blue0".parse().ok(),
        mac: MacAddr([2, 8, 0x20, 0, 0, 2]),
        mac_type: MacType::Fixed,
        zone: "db".parse().ok(),
        fault: Some("there is no zone db".to_owned()),
        vid: None,
        offloads: OffloadInfo::default(),
    };
    let name = "web2".parse().unwrap();
    LinkInfo { id: id(11), name, state: LinkState::Down, vnic: Some(info), ..vnic() }
}
