//! The set-ups that are compared.

mod kernel;
mod ours;
mod ovs;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use overlay_tests::{Namespace, SHORT, Underlay, inner_v4, wait_until};

/// The MTU of the cards in the zones, in octets, over an underlay of [`UNDERLAY_MTU`].
pub(crate) const MTU: u16 = 1450;
/// The MTU of the underlay, in octets.
const UNDERLAY_MTU: u32 = 1500;

/// Whose set-up it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Overlays of ours.
    Ours,
    /// The usual deployment on Linux: zone, veth, bridge, the kernel's vxlan device.
    Kernel,
    /// Open vSwitch with its userspace datapath.
    Ovs,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Kernel, Self::Ovs];

    /// Its name.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "overlay",
            Self::Kernel => "kernel vxlan",
            Self::Ovs => "Open vSwitch",
        }
    }
}

/// What joins the hosts: a veth pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cable {
    /// As it comes: super-frames cross it whole.
    Plain,
    /// With segmentation offloads off, so that each packet crosses it at the MTU's size, as on a plain network card.
    Cut {
        /// Whether the receiving end puts packets together again.
        gro: bool,
    },
}

impl Cable {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Cut { gro: true }, Self::Cut { gro: false }];

    /// What is said of it in a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain veth",
            Self::Cut { gro: true } => "underlay cut at the MTU",
            Self::Cut { gro: false } => "underlay cut, GRO off",
        }
    }

    fn join(self, one: &Namespace, two: &Namespace) -> Underlay {
        let cable = Underlay::join(one, two, UNDERLAY_MTU);
        if let Self::Cut { gro } = self {
            for (net, device) in [(one, &cable.one), (two, &cable.two)] {
                cut(net, device, gro);
            }
        }
        cable
    }
}

/// Lets packets leave a device only at the MTU's size.
fn cut(net: &Namespace, device: &str, gro: bool) {
    let gro = if gro { "on" } else { "off" };
    let off = ["gso", "tso", "tx-udp-segmentation"].map(|feature| [feature, "off"]);
    let words: Vec<&str> = ["ethtool", "-K", device].into_iter().chain(off.concat()).collect();
    net.run(&[&words[..], &["gro", gro]].concat()).ok();
    let state = net.run(&["ethtool", "-k", device]).ok();
    let expected = [
        ("generic-segmentation-offload", "off"),
        ("tcp-segmentation-offload", "off"),
        ("tx-udp-segmentation", "off"),
        ("generic-receive-offload", gro),
    ];
    for (feature, value) in expected {
        let is = state.lines().any(|line| line.trim().starts_with(&format!("{feature}: {value}")));
        assert!(is, "{feature} cannot be switched {value}:\n{state}");
    }
}

/// Two zones, each on a host of its own, that reach each other through a tunnel.
pub(crate) struct Rig {
    pub(crate) kind: Kind,
    /// What carries the tunnel; it ends before the zones do.
    _hosts: Box<dyn Any>,
    /// The zones, ends 1 and 2.
    pub(crate) zones: [Namespace; 2],
}

impl Rig {
    /// Sets one up and waits until the zones reach each other.
    ///
    /// # Errors
    /// Why it cannot be, on this machine.
    pub(crate) fn set_up(kind: Kind, cable: Cable) -> Result<Self, String> {
        // The harness panics where the system refuses, and tidies up on the way out.
        let made = catch_unwind(AssertUnwindSafe(|| {
            let rig = Self::make(kind, cable);
            rig.warm_up();
            rig
        }));
        made.map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("for no reason told").to_owned()
        })
    }

    fn make(kind: Kind, cable: Cable) -> Self {
        let zones = [Namespace::new(), Namespace::new()];
        let hosts: Box<dyn Any> = match kind {
            Kind::Ours => Box::new(ours::hosts(&zones, cable)),
            Kind::Kernel => Box::new(kernel::hosts(&zones, cable)),
            Kind::Ovs => Box::new(ovs::hosts(&zones, cable)),
        };
        Self { kind, _hosts: hosts, zones }
    }

    fn warm_up(&self) {
        wait_until(SHORT, "the zones reach each other", || {
            let answered = self.zones[0].ping(inner_v4(2), 56, false);
            if answered { Ok(()) } else { Err("a ping without answer".to_owned()) }
        });
    }
}
