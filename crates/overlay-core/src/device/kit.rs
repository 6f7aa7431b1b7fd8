use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::{Namespace, NamespaceError, TapDevice, Zone, ZoneError};
use crate::netlink::{self, Netlink, NetlinkError};
use crate::types::{LinkId, LinkName, MacAddr, OverlayMtu, ZoneName};

/// The kind that the kernel reports for TUN and TAP devices (drivers/net/tun.c).
const KIND: &str = "tun";

/// What the words begin with that mark a VNIC's device.
const ALIAS: &str = "overlay vnic";

/// Whether a device is some VNIC's.
pub fn is_vnic(device: &netlink::Device) -> bool {
    device.kind.as_deref() == Some(KIND)
        && device.alias.as_deref().is_some_and(|alias| alias.starts_with(ALIAS))
}

/// What a VNIC's device is to be.
#[derive(Debug, Clone)]
pub struct TapSpec {
    /// The VNIC, by which its device is known again.
    pub link: LinkId,
    /// Its name.
    pub name: LinkName,
    /// Its address.
    pub mac: MacAddr,
    /// Its largest packet.
    pub mtu: OverlayMtu,
    /// The zone that it is to be in; when there is none, on the host, or wherever somebody has moved it.
    pub zone: Option<ZoneName>,
}

/// A device, and where it is.
#[derive(Debug)]
pub struct Housed {
    /// The device.
    pub tap: TapDevice,
    /// The zone that it is in; none on the host.
    pub zone: Option<Zone>,
    /// Whether an earlier process has left it there.
    pub stayed: bool,
}

/// Why a device could not be made, adopted, moved or ended.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The name belongs to a device that is not this VNIC's.
    #[error("a network device named {name} exists already{}", in_zone(.zone.as_ref()))]
    NameTaken {
        /// The name.
        name: LinkName,
        /// Where; none on the host.
        zone: Option<ZoneName>,
    },
    /// Another process has it open.
    #[error("network device {0} is held by another program")]
    Held(LinkName),
    /// The zone that it is to be in is not there.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The system refused a step.
    #[error("cannot {step} network device {name}: {error}")]
    System {
        /// What was to be done.
        step: &'static str,
        /// To which.
        name: LinkName,
        /// Why not.
        error: io::Error,
    },
    /// A request about links was refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

fn in_zone(zone: Option<&ZoneName>) -> String {
    zone.map(|zone| format!(" in zone {zone}")).unwrap_or_default()
}

/// What devices are made with: the host's namespace, and one out of sight where they are made whole.
///
/// Whatever watches the host's devices (udev and its MAC address policy above all) sees a new VNIC for the first
/// time when it has its name, its address, marked as set by an administrator, and its MTU (docs/adr/0002).
/// Where there is no udev they are made in place: a move waits for the kernel's readers (rcu_barrier,
/// net/core/dev.c), which is most of what a thousand VNICs cost.
#[derive(Debug)]
pub struct DeviceKit {
    host: Namespace,
    nursery: Namespace,
    /// Whether nobody sees a device of the host's before it is whole.
    in_place: bool,
}

/// Where udev is spoken to, when it runs (systemd: udev_available, src/shared/udev-util.c).
const UDEV: &str = "/run/udev/control";

impl DeviceKit {
    /// For the network namespace this thread is in.
    ///
    /// # Errors
    /// A namespace cannot be made or found.
    pub fn new() -> Result<Self, NamespaceError> {
        let in_place = !Path::new(UDEV).exists();
        Ok(Self { host: Namespace::current()?, nursery: Namespace::fresh()?, in_place })
    }

    /// Whether a zone, or the host, has a device of that name.
    ///
    /// # Errors
    /// The zone is not there, or the system does not say.
    pub fn has(&self, name: &LinkName, zone: Option<&ZoneName>) -> Result<bool, TapError> {
        self.place(zone)?.has(name)
    }

    /// Makes a device, which stays when this process ends once it is whole; before, it ends with the process.
    ///
    /// # Errors
    /// The zone is not there, the name is taken, or the system refuses; nothing is left then.
    pub fn create(&self, spec: &TapSpec) -> Result<Housed, TapError> {
        let place = self.place(spec.zone.as_ref())?;
        if place.has(&spec.name)? {
            return Err(place.taken(spec));
        }
        // Where nobody looks too early a device is made on the host at once; in a zone it would hold that (docs/adr/0015).
        let in_place = self.in_place && place.zone.is_none();
        let cradle = if in_place { &self.host } else { &self.nursery };
        let tap = cradle.within(|| spec.attach(spec.name.as_str(), None))??;
        cradle.within(|| place.raise(spec, in_place))??;
        tap.keep().map_err(|error| spec.failed("keep", error))?;
        Ok(Housed { tap, zone: place.zone, stayed: false })
    }

    /// Takes over the device that an earlier process has left, with its addresses and routes, wherever it is; moves it
    /// when it is to be in another zone, and makes it anew when it is gone.
    ///
    /// # Errors
    /// The zone is not there, the name belongs to another device, the device to another program, or the system refuses.
    pub fn adopt(&self, spec: &TapSpec) -> Result<Housed, TapError> {
        self.take(spec, Reach::Everywhere)
    }

    /// The same, but looks only where the device is to be and on the host: to enter each zone takes long, and what a zone's
    /// owner has marked as ours there is not.
    ///
    /// # Errors
    /// As for [`adopt`](Self::adopt).
    pub fn adopt_near(&self, spec: &TapSpec) -> Result<Housed, TapError> {
        self.take(spec, Reach::Near)
    }

    fn take(&self, spec: &TapSpec, reach: Reach) -> Result<Housed, TapError> {
        let wanted = spec.zone.as_ref().map(|zone| self.place(Some(zone))).transpose()?;
        let Some((place, device)) = self.search(spec, wanted.as_ref(), reach)? else {
            return self.create(spec);
        };
        let tap = place.take_over(spec, &device)?;
        let Some(wanted) = wanted else { return Ok(Housed { tap, zone: place.zone, stayed: true }) };
        let stayed = place.namespace.is(&wanted.namespace);
        let zone = wanted.receive(&tap, spec)?;
        if tap.pins() != zone.as_ref() && tap.pins().is_some() {
            // It is opened again where it is now, or the zone that it was in could not end.
            drop(tap);
            return Ok(Housed { stayed, ..self.take(spec, reach)? });
        }
        Ok(Housed { tap, zone, stayed })
    }

    /// Moves a device to its zone, or to the host when it has none, under its own name, with its address and MTU;
    /// nothing when it is there. It arrives down, without addresses and routes.
    ///
    /// # Errors
    /// The zone is not there, the name is taken in it, or the system refuses; the device is where it was then.
    pub fn settle(&self, tap: &TapDevice, spec: &TapSpec) -> Result<Option<Zone>, TapError> {
        self.place(spec.zone.as_ref())?.receive(tap, spec)
    }

    /// Gives a device the name of `spec`, wherever it is. One that somebody has removed has none.
    ///
    /// # Errors
    /// The name is taken there, or the system refuses; Linux before 6.2 does for a device that is up.
    pub fn rename(&self, tap: &TapDevice, spec: &TapSpec) -> Result<(), TapError> {
        self.alter(tap, spec, |netlink, device| match device.name == spec.name.as_str() {
            true => Ok(()),
            false => netlink.rename(device.index, spec.name.as_str()).map_err(|error| {
                if error.is_exists() { spec.taken(spec.zone.clone()) } else { error.into() }
            }),
        })
    }

    /// Gives a device the MTU of `spec`, wherever it is. One that somebody has removed has none.
    ///
    /// # Errors
    /// The system refuses.
    pub fn resize(&self, tap: &TapDevice, spec: &TapSpec) -> Result<(), TapError> {
        let mtu = u32::from(spec.mtu.octets());
        self.alter(tap, spec, |netlink, device| match device.mtu == mtu {
            true => Ok(()),
            false => Ok(netlink.set_mtu(device.index, mtu)?),
        })
    }

    fn alter(
        &self,
        tap: &TapDevice,
        spec: &TapSpec,
        change: impl FnOnce(&mut Netlink, &netlink::Device) -> Result<(), TapError> + Send,
    ) -> Result<(), TapError> {
        let (place, name) = match tap.place().and_then(|place| Ok((place, tap.name()?))) {
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return Ok(()),
            found => found.map_err(|error| spec.failed("find", error))?,
        };
        place.within(|| {
            let mut netlink = Netlink::open()?;
            netlink.device(&name)?.map_or(Ok(()), |device| change(&mut netlink, &device))
        })?
    }

    /// Ends the device that an earlier process has left, wherever it is; nothing when it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn discard(&self, spec: &TapSpec) -> Result<(), TapError> {
        let Some((place, device)) = self.search(spec, None, Reach::Everywhere)? else { return Ok(()) };
        Ok(place.namespace.within(|| Netlink::open()?.delete(device.index))??)
    }

    fn place(&self, zone: Option<&ZoneName>) -> Result<Place, TapError> {
        let Some(zone) = zone else { return Ok(self.on_host()) };
        let (zone, namespace) = Zone::open(zone)?;
        Ok(Place { namespace, zone: Some(zone) })
    }

    fn on_host(&self) -> Place {
        Place { namespace: self.host.clone(), zone: None }
    }

    /// The VNIC's device and where it is: where it is wanted, on the host, or, if so far is looked, in any zone.
    fn search(
        &self,
        spec: &TapSpec,
        wanted: Option<&Place>,
        reach: Reach,
    ) -> Result<Option<(Place, netlink::Device)>, TapError> {
        for place in wanted.cloned().into_iter().chain([self.on_host()]) {
            if let Some(device) = place.find(spec)? {
                return Ok(Some((place, device)));
            }
        }
        if reach == Reach::Near {
            return Ok(None);
        }
        let places = Zone::all().map(|(zone, namespace)| Place { namespace, zone: Some(zone) });
        // A zone that cannot be looked into does not have it.
        let mut found =
            places.filter_map(|place| place.find(spec).ok().flatten().map(|device| (place, device)));
        Ok(found.next())
    }
}

/// How far a device is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Where it is to be, and on the host.
    Near,
    /// In each zone too.
    Everywhere,
}

/// Where a device can be.
#[derive(Clone)]
struct Place {
    namespace: Namespace,
    /// Which zone that is; none on the host.
    zone: Option<Zone>,
}

impl Place {
    fn has(&self, name: &LinkName) -> Result<bool, TapError> {
        Ok(self.namespace.within(|| Netlink::open()?.device(name.as_str()))??.is_some())
    }

    fn taken(&self, spec: &TapSpec) -> TapError {
        spec.taken(self.zone.as_ref().map(|zone| zone.name().clone()))
    }

    /// The VNIC's device, whatever its name has become.
    fn find(&self, spec: &TapSpec) -> Result<Option<netlink::Device>, TapError> {
        let look = || {
            let mut netlink = Netlink::open()?;
            // It mostly has its name still, and asking for that costs the same among thousands of devices.
            let named = netlink.device(spec.name.as_str())?.filter(|device| spec.is(device));
            match named {
                Some(device) => Ok(Some(device)),
                None => Ok(netlink.devices()?.into_iter().find(|device| spec.is(device))),
            }
        };
        self.namespace.within(look)?
    }

    fn attach(&self, spec: &TapSpec, device: &netlink::Device) -> Result<TapDevice, TapError> {
        self.namespace.within(|| spec.attach(&device.name, self.zone.clone()))?
    }

    fn take_over(&self, spec: &TapSpec, device: &netlink::Device) -> Result<TapDevice, TapError> {
        let tap = self.attach(spec, device)?;
        let within = |work: &(dyn Fn(&mut Netlink) -> Result<(), NetlinkError> + Sync)| {
            self.namespace.within(|| work(&mut Netlink::open()?))?.map_err(TapError::from)
        };
        if device.mac != Some(spec.mac) {
            within(&|netlink| netlink.furnish(device.index, spec.mac, device.mtu, &spec.alias()))?;
        }
        // Somebody may have made it smaller; larger than its overlay's it would lose packets.
        let most = u32::from(spec.mtu.octets());
        if device.mtu > most {
            within(&|netlink| netlink.set_mtu(device.index, most))?;
        }
        tap.keep().map_err(|error| spec.failed("keep", error))?;
        Ok(tap)
    }

    /// Gives a new device all it is to have, and moves it here where it is not `in_place`.
    fn raise(&self, spec: &TapSpec, in_place: bool) -> Result<(), TapError> {
        let mut netlink = Netlink::open()?;
        let index = netlink.device(spec.name.as_str())?.map_or(0, |device| device.index);
        netlink.furnish(index, spec.mac, u32::from(spec.mtu.octets()), &spec.alias())?;
        if in_place { Ok(()) } else { self.fetch(&mut netlink, index, spec) }
    }

    /// Moves a device here from wherever it is.
    fn receive(self, tap: &TapDevice, spec: &TapSpec) -> Result<Option<Zone>, TapError> {
        let found = tap.place().and_then(|place| Ok((place, tap.name()?)));
        let (from, name) = found.map_err(|error| spec.failed("find", error))?;
        if from.identity()? == self.namespace.identity()? {
            return Ok(self.zone);
        }
        if self.has(&spec.name)? {
            return Err(self.taken(spec));
        }
        from.within(|| {
            let mut netlink = Netlink::open()?;
            let index = netlink.device(&name)?.map_or(0, |device| device.index);
            self.fetch(&mut netlink, index, spec)
        })??;
        Ok(self.zone)
    }

    fn fetch(&self, netlink: &mut Netlink, index: u32, spec: &TapSpec) -> Result<(), TapError> {
        let moved = netlink.move_to(index, self.namespace.as_fd(), spec.name.as_str());
        moved.map_err(|error| if error.is_exists() { self.taken(spec) } else { error.into() })
    }
}

impl TapSpec {
    /// Opens the device of a name in this thread's namespace, which is made when it is missing.
    fn attach(&self, name: &str, zone: Option<Zone>) -> Result<TapDevice, TapError> {
        TapDevice::attach(name, zone).map_err(|(step, error)| self.failed(step, error))
    }

    fn failed(&self, step: &'static str, error: io::Error) -> TapError {
        match error.raw_os_error() {
            Some(libc::EBUSY) => TapError::Held(self.name.clone()),
            _ => TapError::System { step, name: self.name.clone(), error },
        }
    }

    fn taken(&self, zone: Option<ZoneName>) -> TapError {
        TapError::NameTaken { name: self.name.clone(), zone }
    }

    /// What marks a device as this VNIC's, for us and in the output of `ip link`.
    fn alias(&self) -> String {
        format!("{ALIAS} {}", self.link)
    }

    fn is(&self, device: &netlink::Device) -> bool {
        device.kind.as_deref() == Some(KIND) && device.alias.as_deref() == Some(&*self.alias())
    }
}
