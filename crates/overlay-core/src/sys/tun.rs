//! The ioctls of a TUN/TAP device (drivers/net/tun.c, linux/if_tun.h).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_ulong};

/// Makes the open `/dev/net/tun` a queue of the TAP device `name`, which is made when it is missing: frames with
/// a virtio header, without packet information.
///
/// # Errors
/// The system's: EBUSY when another process has it, EINVAL when `name` is no TAP device.
pub fn attach_tap(tun: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // SAFETY: all-zero octets are a legal value of `ifreq`, which is plain numbers and octets.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, octet) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = octet as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16;
    // SAFETY: the request is an `ifreq` that lives over the call; the kernel reads it and writes it back whole.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// The name that the device has now.
///
/// # Errors
/// The system's: EBADFD when the device has been removed.
pub fn tap_name(tap: BorrowedFd<'_>) -> io::Result<String> {
    // SAFETY: all-zero octets are a legal value of `ifreq`, which is plain numbers and octets.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: the request is an `ifreq` that lives over the call; the kernel writes it whole.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNGETIFF, &raw mut request) })?;
    let octets = request.ifr_name.iter().map(|octet| octet.cast_unsigned()).take_while(|octet| *octet != 0);
    Ok(String::from_utf8_lossy(&octets.collect::<Vec<_>>()).into_owned())
}

/// The network namespace that the device is in now.
///
/// # Errors
/// The system's: EBADFD when the device has been removed, EPERM without CAP_NET_ADMIN there.
pub fn tap_namespace(tap: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument.
    let descriptor = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNGETDEVNETNS) };
    check(descriptor)?;
    // SAFETY: the kernel has just opened it for us (open_related_ns, fs/nsfs.c), and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Whether the device stays when nobody has it open.
///
/// # Errors
/// The system's.
pub fn set_persist(tap: BorrowedFd<'_>, persist: bool) -> io::Result<()> {
    // SAFETY: the argument is a number, not a pointer.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETPERSIST, c_ulong::from(persist)) })
}

/// What the kernel may leave to the reader of the device (`TUN_F_*`); nothing with 0.
///
/// # Errors
/// The system's: EINVAL for what this kernel does not know.
pub fn set_offload(tap: BorrowedFd<'_>, mask: u32) -> io::Result<()> {
    // SAFETY: the argument is a number, not a pointer.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(mask)) })
}

/// The size of the virtio header in octets, and its octet order: little endian.
///
/// # Errors
/// The system's.
pub fn set_vnet_header(tap: BorrowedFd<'_>, octets: usize) -> io::Result<()> {
    set_number(tap, libc::TUNSETVNETHDRSZ, octets as c_int)?;
    set_number(tap, libc::TUNSETVNETLE, 1)
}

/// Whether the device's link is up.
///
/// # Errors
/// The system's.
pub fn set_carrier(tap: BorrowedFd<'_>, up: bool) -> io::Result<()> {
    set_number(tap, libc::TUNSETCARRIER, c_int::from(up))
}

fn set_number(tap: BorrowedFd<'_>, request: libc::Ioctl, number: c_int) -> io::Result<()> {
    // SAFETY: these requests read one `int` through the pointer, which lives over the call.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), request, &raw const number) })
}

fn check(outcome: c_int) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
