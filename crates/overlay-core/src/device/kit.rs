use std::io;
use std::os::fd::AsFd;

use super::{Namespace, NamespaceError, TapDevice};
use crate::netlink::{self, Netlink, NetlinkError};
use crate::types::{LinkId, LinkName, MacAddr, OverlayMtu};

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
}

/// Why a device could not be made, adopted or ended.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The name belongs to a device that is not this VNIC's.
    #[error("a network device named {0} exists already")]
    NameTaken(LinkName),
    /// Another process has it open.
    #[error("network device {0} is held by another program")]
    Held(LinkName),
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

/// What devices are made with: the host's namespace, and one out of sight where they are made whole.
///
/// Whatever watches the host's devices (udev and its MAC address policy above all) sees a new VNIC for the first
/// time when it has its name, its address, marked as set by an administrator, and its MTU (docs/adr/0002).
#[derive(Debug)]
pub struct DeviceKit {
    host: Namespace,
    nursery: Namespace,
}

impl DeviceKit {
    /// For the network namespace this thread is in.
    ///
    /// # Errors
    /// A namespace cannot be made or found.
    pub fn new() -> Result<Self, NamespaceError> {
        Ok(Self { host: Namespace::current()?, nursery: Namespace::fresh()? })
    }

    /// Whether the host has a device of that name.
    ///
    /// # Errors
    /// The system does not say.
    pub fn has(&self, name: &LinkName) -> Result<bool, TapError> {
        Ok(self.host.within(|| Netlink::open()?.device(name.as_str()))??.is_some())
    }

    /// Makes a device, which stays when this process ends; one that is still in the nursery then ends with it.
    ///
    /// # Errors
    /// The name is taken, or the system refuses; nothing is left then.
    pub fn create(&self, spec: &TapSpec) -> Result<TapDevice, TapError> {
        if self.has(&spec.name)? {
            return Err(TapError::NameTaken(spec.name.clone()));
        }
        let attach =
            || TapDevice::attach(spec.name.as_str()).map_err(|(step, error)| spec.failed(step, error));
        let tap = self.nursery.within(attach)??;
        let moved = self.nursery.within(|| self.raise(spec)).map_err(TapError::from);
        let raised = moved.and_then(|raised| {
            raised.map_err(|error| {
                if error.is_exists() { TapError::NameTaken(spec.name.clone()) } else { error.into() }
            })
        });
        if raised.is_err() {
            // It ends with its last descriptor.
            let _ = tap.give_up();
        }
        raised.map(|()| tap)
    }

    /// Takes over the device that an earlier process has left, with its addresses and routes, on the host or in the
    /// zone it has been given to; or makes it anew when it is gone.
    ///
    /// # Errors
    /// The name belongs to another device, the device to another program, or the system refuses.
    pub fn adopt(&self, spec: &TapSpec) -> Result<TapDevice, TapError> {
        if let Some(device) = find(&self.host, spec)? {
            return take_over(&self.host, spec, &device);
        }
        for zone in Namespace::zones() {
            // A zone that cannot be looked into does not have it.
            if let Ok(Some(device)) = find(&zone, spec) {
                return take_over(&zone, spec, &device);
            }
        }
        self.create(spec)
    }

    /// Gives a device the name of `spec`, wherever it is. One that somebody has removed has none.
    ///
    /// # Errors
    /// The name is taken there, or the system refuses; Linux before 6.2 does for a device that is up.
    pub fn rename(&self, tap: &TapDevice, spec: &TapSpec) -> Result<(), TapError> {
        self.alter(tap, spec, |netlink, device| match device.name == spec.name.as_str() {
            true => Ok(()),
            false => netlink.rename(device.index, spec.name.as_str()).map_err(|error| {
                if error.is_exists() { TapError::NameTaken(spec.name.clone()) } else { error.into() }
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

    /// Ends the device that an earlier process has left, wherever it is; nothing if it has not.
    ///
    /// # Errors
    /// The system refuses.
    pub fn discard(&self, spec: &TapSpec) -> Result<(), TapError> {
        let end = |place: &Namespace| match find(place, spec)? {
            Some(device) => Ok::<_, TapError>(place.within(|| Netlink::open()?.delete(device.index))??),
            None => Ok(()),
        };
        end(&self.host)?;
        Namespace::zones().iter().try_for_each(end)
    }

    /// Gives the device in the nursery all it is to have, and moves it to the host.
    fn raise(&self, spec: &TapSpec) -> Result<(), NetlinkError> {
        let mut netlink = Netlink::open()?;
        let index = netlink.device(spec.name.as_str())?.map_or(0, |device| device.index);
        netlink.furnish(index, spec.mac, u32::from(spec.mtu.octets()), &spec.alias())?;
        netlink.move_to(index, self.host.as_fd())
    }
}

impl TapSpec {
    fn failed(&self, step: &'static str, error: io::Error) -> TapError {
        match error.raw_os_error() {
            Some(libc::EBUSY) => TapError::Held(self.name.clone()),
            _ => TapError::System { step, name: self.name.clone(), error },
        }
    }

    /// What marks a device as this VNIC's, for us and in the output of `ip link`.
    fn alias(&self) -> String {
        format!("{ALIAS} {}", self.link)
    }

    fn is(&self, device: &netlink::Device) -> bool {
        device.kind.as_deref() == Some(KIND) && device.alias.as_deref() == Some(&*self.alias())
    }
}

/// The VNIC's device in a namespace, whatever its name has become.
fn find(place: &Namespace, spec: &TapSpec) -> Result<Option<netlink::Device>, TapError> {
    let look = || {
        let mut netlink = Netlink::open()?;
        // It mostly has its name still, and asking for that costs the same among thousands of devices.
        let named = netlink.device(spec.name.as_str())?.filter(|device| spec.is(device));
        match named {
            Some(device) => Ok(Some(device)),
            None => Ok(netlink.devices()?.into_iter().find(|device| spec.is(device))),
        }
    };
    place.within(look)?
}

fn take_over(place: &Namespace, spec: &TapSpec, device: &netlink::Device) -> Result<TapDevice, TapError> {
    let tap = place
        .within(|| TapDevice::attach(&device.name).map_err(|(step, error)| spec.failed(step, error)))??;
    if device.mac != Some(spec.mac) {
        place.within(|| Netlink::open()?.furnish(device.index, spec.mac, device.mtu, &spec.alias()))??;
    }
    // Somebody may have made it smaller; larger than its overlay's it would lose packets.
    let most = u32::from(spec.mtu.octets());
    if device.mtu > most {
        place.within(|| Netlink::open()?.set_mtu(device.index, most))??;
    }
    Ok(tap)
}
