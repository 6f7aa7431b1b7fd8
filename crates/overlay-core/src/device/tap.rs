use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use zerocopy::IntoBytes;

use super::{Namespace, Zone};
use crate::datapath::{Device, DeviceError, FrameBuf};
use crate::offload::{Offload, OffloadSet, RUN_SEGMENTS, VNET_HEADER, VnetHeader};
use crate::sys;

const TUN: &str = "/dev/net/tun";

/// A TAP device that this process reads and writes. It stays when this is dropped, once it is whole.
#[derive(Debug)]
pub struct TapDevice {
    file: File,
    pins: Option<Zone>,
    gone: AtomicBool,
    offloads: OffloadSet,
}

impl TapDevice {
    /// Opens the device of that name in this thread's namespace, which `zone` names; an error comes with the step that
    /// failed.
    pub(super) fn attach(name: &str, zone: Option<Zone>) -> Result<Self, (&'static str, io::Error)> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let on = |step| move |error| (step, error);
        let file = options.open(TUN).map_err(on("open /dev/net/tun for"))?;
        sys::attach_tap(file.as_fd(), name).map_err(on("attach to"))?;
        sys::set_vnet_header(file.as_fd(), VNET_HEADER).map_err(on("set the virtio header of"))?;
        let offloads = leave_to_us(&file).map_err(on("set the offloads of"))?;
        Ok(Self { file, pins: zone, gone: AtomicBool::new(false), offloads })
    }

    /// Reads the next frame that the VNIC sent; false when there is none now.
    ///
    /// # Errors
    /// The system's: EBADFD when the device has been removed.
    pub fn take(&self, frame: &mut FrameBuf) -> io::Result<bool> {
        match (&self.file).read(frame.space()) {
            Ok(len) => {
                frame.fill(len);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes that somebody has removed the device under us.
    pub fn note_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has removed the device under us.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// The zone that it was opened in, which lives for as long as this does, under its name or without: a descriptor of a
    /// TAP holds the namespace that it was opened in, wherever the device is (tun_chr_open, drivers/net/tun.c).
    pub const fn pins(&self) -> Option<&Zone> {
        self.pins.as_ref()
    }

    /// Whether its link is up.
    ///
    /// # Errors
    /// The system's.
    pub fn set_carrier(&self, up: bool) -> io::Result<()> {
        sys::set_carrier(self.file.as_fd(), up)
    }

    /// The name that it has now, whoever gave it that.
    ///
    /// # Errors
    /// The system's: EBADFD when the device has been removed.
    pub fn name(&self) -> io::Result<String> {
        sys::tap_name(self.file.as_fd())
    }

    /// Where it is now, whoever has moved it there.
    ///
    /// # Errors
    /// The system's: EBADFD when the device has been removed.
    pub fn place(&self) -> io::Result<Namespace> {
        sys::tap_namespace(self.file.as_fd()).map(Namespace::from)
    }

    /// Has the device stay when this is dropped. Before, one that was made by this ends with it.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn keep(&self) -> io::Result<()> {
        sys::set_persist(self.file.as_fd(), true)
    }

    /// Lets the device end once this is dropped.
    ///
    /// # Errors
    /// The system's.
    pub fn give_up(&self) -> io::Result<()> {
        sys::set_persist(self.file.as_fd(), false)
    }
}

/// Has the kernel leave checksums and the cutting of super-frames to us, as far as it knows how; nothing is inherited
/// from an earlier process. What it does, and what we may give it: the same kinds.
fn leave_to_us(file: &File) -> io::Result<OffloadSet> {
    use Offload::{Checksum, RunsTcp4, RunsTcp6, RunsUdp, Tso4, Tso6, TsoEcn, Uso4, Uso6};
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    // Super-frames of UDP came with Linux 6.2, for both families together.
    let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    let of_tcp = OffloadSet::default().with(&[Checksum, Tso4, Tso6, TsoEcn, RunsTcp4, RunsTcp6]);
    if sys::set_offload(file.as_fd(), tcp | udp).is_ok() {
        return Ok(of_tcp.with(&[Uso4, Uso6, RunsUdp]));
    }
    sys::set_offload(file.as_fd(), tcp).map(|()| of_tcp)
}

impl AsFd for TapDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Device for TapDevice {
    fn give(&self, header: VnetHeader, pieces: [&[u8]; 2], more: &[&[u8]]) -> Result<(), DeviceError> {
        let mut slices = [IoSlice::new(&[]); 3 + RUN_SEGMENTS];
        let octets = [header.as_bytes()].into_iter().chain(pieces).chain(more.iter().copied());
        let mut count = 0;
        for (slice, octets) in slices.iter_mut().zip(octets.filter(|octets| !octets.is_empty())) {
            *slice = IoSlice::new(octets);
            count += 1;
        }
        // A device takes a frame whole or not at all.
        let taken = (&self.file).write_vectored(&slices[..count]);
        taken.map_or_else(|error| Err(meaning(&error)), |_| Ok(()))
    }

    fn offloads(&self) -> OffloadSet {
        self.offloads
    }
}

/// What an error says (tun_get_user, drivers/net/tun.c; virtio_net_hdr_to_skb, linux/virtio_net.h).
fn meaning(error: &io::Error) -> DeviceError {
    match error.raw_os_error() {
        // It is down, or gone.
        Some(libc::EIO | libc::EBADFD) => DeviceError::Down,
        // It does not know this kind of super-frame, or the headers do not agree with one another.
        Some(libc::EINVAL | libc::EOPNOTSUPP) => DeviceError::Refused,
        // No memory, or a queue that is full: ENOMEM, ENOBUFS, EAGAIN.
        _ => DeviceError::Full,
    }
}
