//! Whether a driver's counters tell the truth: each identity of `docs/counters.md`, over all that it shows.

use std::net::SocketAddr;

use overlay_core::control::{Client, ClientError};
use overlay_core::protocol::{CounterInfo, LinkInfo, MuxInfo, OverlayInfo, Request, Response};

/// What a driver has counted, of everything.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// Its overlays.
    pub overlays: Vec<OverlayInfo>,
    /// Its overlays and VNICs as links.
    pub links: Vec<LinkInfo>,
    /// Its underlay sockets.
    pub muxes: Vec<MuxInfo>,
    /// Whether an overlay or a VNIC has gone, and what it had counted with it.
    pub incomplete: bool,
}

impl Accounts {
    /// Those of a driver at this moment, or nearly: frames may be counted between its answers.
    ///
    /// # Errors
    /// It does not answer.
    ///
    /// # Panics
    /// It answers something else.
    pub fn ask(client: &mut Client, incomplete: bool) -> Result<Self, ClientError> {
        let answers = [Request::Overlays, Request::Links, Request::Muxes].map(|request| client.call(request));
        let [overlays, links, muxes] = answers;
        match (overlays?, links?, muxes?) {
            (Response::Overlays(overlays), Response::Links(links), Response::Muxes(muxes)) => {
                Ok(Self { overlays, links, muxes, incomplete })
            }
            other => panic!("{other:?}"),
        }
    }

    /// Checks all of it.
    ///
    /// # Errors
    /// What does not add up.
    pub fn check(&self) -> Result<(), String> {
        self.overlays.iter().try_for_each(|overlay| self.check_overlay(overlay))?;
        self.muxes.iter().try_for_each(|mux| self.check_mux(mux))
    }

    fn check_overlay(&self, overlay: &OverlayInfo) -> Result<(), String> {
        let (name, counters) = (overlay.name.as_str(), &overlay.counters);
        let come = counters.from_devices + counters.from_wire + counters.injected + counters.copies;
        let gone = counters.to_devices + counters.to_wire + counters.waiting + drops(counters);
        same(&format!("{name}: frames in = frames out + drops"), come, gone)?;
        if let Some(link) = self.links.iter().find(|link| link.id == overlay.id) {
            same(&format!("{name}: from-wire as a link"), link.counters.in_frames, counters.from_wire)?;
            same(&format!("{name}: to-wire as a link"), link.counters.out_frames, counters.to_wire)?;
            let lost = link.counters.in_drops + link.counters.out_drops;
            same(&format!("{name}: drops as a link"), lost, drops(counters))?;
        }
        let vnics = || self.links.iter().filter(|link| is_over(link, overlay)).map(|link| link.counters);
        let sent = vnics().map(|vnic| vnic.out_frames).sum();
        self.part(&format!("{name}: sent by its VNICs = from-devices"), sent, counters.from_devices)?;
        let given = vnics().map(|vnic| vnic.in_frames).sum();
        self.part(&format!("{name}: given to its VNICs = to-devices"), given, counters.to_devices)?;
        let lost = vnics().map(|vnic| vnic.in_drops + vnic.out_drops).sum::<u64>();
        at_most(&format!("{name}: drops of its VNICs"), lost, drops(counters))
    }

    /// Every datagram is of an overlay or of none.
    fn check_mux(&self, mux: &MuxInfo) -> Result<(), String> {
        let used = self.overlays.iter().filter(|overlay| listens(overlay) == Some(mux.listen));
        let taken: u64 = used.map(|overlay| overlay.counters.from_wire).sum();
        let foreign = mux.bad_header + mux.unknown_vnetid;
        at_most(&format!("{}: datagrams of no overlay", mux.listen), foreign, mux.datagrams)?;
        if self.incomplete {
            return Ok(());
        }
        same(&format!("{}: datagrams", mux.listen), mux.datagrams, foreign + taken)
    }

    /// `one` is all of `whole`, or a part where some has gone.
    fn part(&self, what: &str, one: u64, whole: u64) -> Result<(), String> {
        if self.incomplete { at_most(what, one, whole) } else { same(what, one, whole) }
    }
}

fn same(what: &str, one: u64, other: u64) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{what}: {one} and {other}")) }
}

fn at_most(what: &str, one: u64, bound: u64) -> Result<(), String> {
    if one <= bound { Ok(()) } else { Err(format!("{what}: {one} of {bound}")) }
}

fn drops(counters: &CounterInfo) -> u64 {
    counters.drops.iter().map(|drop| drop.frames).sum()
}

fn is_over(link: &LinkInfo, overlay: &OverlayInfo) -> bool {
    link.vnic.as_ref().and_then(|vnic| vnic.over.as_ref()) == Some(&overlay.name)
}

/// Where an overlay listens.
fn listens(overlay: &OverlayInfo) -> Option<SocketAddr> {
    let value = |end: &str| {
        let found = overlay.properties.iter().find(|property| property.spec.name.ends_with(end));
        found.and_then(|property| property.value.as_deref())
    };
    Some(SocketAddr::new(value("/listen_ip")?.parse().ok()?, value("/listen_port")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::encap::ENCAPS;
    use overlay_core::protocol::{DropCount, LinkClass, LinkCounters, LinkState, PropertyValue, Status};
    use overlay_core::protocol::{MacType, OffloadInfo, VnicInfo};
    use overlay_core::types::{LinkId, MacAddr};

    fn id(number: u32) -> LinkId {
        LinkId(number.try_into().expect("not 0"))
    }

    /// Ten frames from a VNIC, of which one is dropped and the others go out, and five from the wire for it.
    fn honest() -> Accounts {
        let value = |end: &str| if end.ends_with("_ip") { "10.0.0.1" } else { "4789" }.to_owned();
        let property = |spec: &overlay_core::property::PropertySpec| PropertyValue {
            value: Some(value(&spec.name)),
            spec: spec.clone(),
            given: None,
        };
        let listen = ENCAPS[0].properties().iter().filter(|spec| spec.name.contains("/listen_"));
        let overlay = OverlayInfo {
            id: id(1),
            name: "demo0".parse().expect("a name"),
            vnetid: None,
            instance: None,
            properties: listen.map(property).collect(),
            status: Status::Online,
            warnings: vec![],
            counters: CounterInfo {
                from_devices: 10,
                from_wire: 5,
                to_devices: 5,
                to_wire: 9,
                drops: vec![DropCount { reason: "runt".to_owned(), frames: 1 }],
                ..CounterInfo::default()
            },
        };
        let links = vec![
            link(
                1,
                None,
                LinkCounters { in_frames: 5, out_frames: 9, out_drops: 1, ..LinkCounters::default() },
            ),
            link(
                2,
                Some("demo0"),
                LinkCounters { in_frames: 5, out_frames: 10, out_drops: 1, ..LinkCounters::default() },
            ),
        ];
        Accounts { overlays: vec![overlay], links, muxes: vec![mux()], incomplete: false }
    }

    fn link(number: u32, over: Option<&str>, counters: LinkCounters) -> LinkInfo {
        let vnic = over.map(|over| VnicInfo {
            over: over.parse().ok(),
            mac: MacAddr([2, 8, 0x20, 0, 0, 1]),
            mac_type: MacType::Fixed,
            zone: None,
            fault: None,
            vid: None,
            offloads: OffloadInfo::default(),
        });
        LinkInfo {
            id: id(number),
            name: format!("link{number}").parse().expect("a name"),
            class: if over.is_some() { LinkClass::Vnic } else { LinkClass::Overlay },
            mtu: 1400,
            state: LinkState::Up,
            temporary: false,
            counters,
            vnic,
        }
    }

    /// Eight datagrams: five for the overlay, and three for none.
    fn mux() -> MuxInfo {
        MuxInfo {
            listen: "10.0.0.1:4789".parse().expect("an address"),
            encap: "vxlan".to_owned(),
            datagrams: 8,
            bad_header: 2,
            unknown_vnetid: 1,
            queue_full: 7,
            offloads: OffloadInfo::default(),
        }
    }

    #[test]
    fn what_adds_up_passes() {
        assert_eq!(honest().check(), Ok(()));
        assert_eq!(Accounts::default().check(), Ok(()));
    }

    /// One count more or less anywhere, and what is said of it.
    #[test]
    fn a_frame_too_many_or_too_few_is_found_wherever_it_is_counted() {
        type Lie = fn(&mut Accounts);
        let lies: [(&str, Lie); 15] = [
            ("frames in", |accounts| accounts.overlays[0].counters.from_devices += 1),
            ("frames in", |accounts| accounts.overlays[0].counters.from_wire -= 1),
            ("frames in", |accounts| accounts.overlays[0].counters.injected += 1),
            ("frames in", |accounts| accounts.overlays[0].counters.copies += 1),
            ("frames in", |accounts| accounts.overlays[0].counters.to_wire -= 1),
            ("frames in", |accounts| accounts.overlays[0].counters.waiting += 1),
            ("frames in", |accounts| accounts.overlays[0].counters.drops.clear()),
            ("from-wire", |accounts| accounts.links[0].counters.in_frames += 1),
            ("to-wire", |accounts| accounts.links[0].counters.out_frames -= 1),
            ("drops as a link", |accounts| accounts.links[0].counters.in_drops += 1),
            ("sent by", |accounts| accounts.links[1].counters.out_frames -= 1),
            ("given to", |accounts| accounts.links[1].counters.in_frames += 1),
            ("drops of its VNICs", |accounts| accounts.links[1].counters.in_drops += 1),
            ("datagrams", |accounts| accounts.muxes[0].datagrams += 1),
            ("datagrams", |accounts| accounts.muxes[0].bad_header += 1),
        ];
        for (what, lie) in lies {
            let mut accounts = honest();
            lie(&mut accounts);
            let problem = accounts.check().expect_err(what);
            assert!(problem.contains(what), "{problem} instead of {what}");
        }
    }

    #[test]
    fn what_has_gone_may_be_missing_and_nothing_else() {
        let mut accounts = honest();
        accounts.incomplete = true;
        accounts.links.pop();
        accounts.muxes[0].datagrams = 3;
        assert_eq!(accounts.check(), Ok(()));
        accounts.muxes[0].datagrams = 2;
        assert!(accounts.check().is_err(), "datagrams of no overlay that never arrived");
        let mut accounts = Accounts { incomplete: true, ..honest() };
        accounts.links[1].counters.out_frames += 1;
        assert!(accounts.check().is_err(), "a VNIC has sent what its overlay has not seen");
    }
}
