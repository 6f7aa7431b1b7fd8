//! VXLAN (RFC 7348).

use std::net::SocketAddr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BadHeader, Encap};
use crate::property::{AddressRule, Kind, Possible, Properties, PropertySpec};
use crate::types::VnetId;

const LISTEN_IP: &str = "vxlan/listen_ip";
const LISTEN_PORT: &str = "vxlan/listen_port";

/// "The vnetid is valid" (RFC 7348 section 5, flag I).
const FLAG_VNETID: u8 = 0x08;

/// The header (RFC 7348 section 5): what is reserved is sent as zero and ignored on receipt.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    flags: u8,
    reserved: [u8; 3],
    vnetid: [u8; 3],
    reserved_too: u8,
}
const _: () = assert!(size_of::<Header>() == 8);

/// The encapsulation.
#[derive(Debug)]
pub struct Vxlan;

static PROPERTIES: &[PropertySpec] = &[
    PropertySpec::new(
        LISTEN_IP,
        Kind::Ip,
        Possible::Address(AddressRule::HostOrAny),
        None,
        "address of this host on the underlay; 0.0.0.0 or :: for all of them",
    )
    .required(),
    PropertySpec::new(
        LISTEN_PORT,
        Kind::Uint,
        Possible::Range(1, 65535),
        Some("4789"),
        "UDP port that datagrams are received on",
    )
    .required(),
];

impl Encap for Vxlan {
    fn name(&self) -> &'static str {
        "vxlan"
    }

    fn properties(&self) -> &'static [PropertySpec] {
        PROPERTIES
    }

    fn listen(&self, properties: &Properties) -> Option<SocketAddr> {
        Some(SocketAddr::new(properties.ip(LISTEN_IP)?, properties.port(LISTEN_PORT)?))
    }

    fn header_len(&self) -> usize {
        size_of::<Header>()
    }

    fn write(&self, vnetid: VnetId, header: &mut [u8]) {
        let value =
            Header { flags: FLAG_VNETID, reserved: [0; 3], vnetid: vnetid.to_wire(), reserved_too: 0 };
        header.copy_from_slice(value.as_bytes());
    }

    fn read(&self, datagram: &[u8]) -> Result<(VnetId, usize), BadHeader> {
        let (header, _) = Header::ref_from_prefix(datagram).map_err(|_| BadHeader)?;
        if header.flags & FLAG_VNETID == 0 {
            return Err(BadHeader);
        }
        Ok((VnetId::from_wire(header.vnetid), size_of::<Header>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7348 section 5, figure 1, for vnetid 23.
    const GOLDEN: [u8; 8] = [0x08, 0, 0, 0, 0, 0, 23, 0];

    #[test]
    fn the_header_is_the_rfcs() {
        let mut header = [0xff; 8];
        Vxlan.write(VnetId::new(23).unwrap(), &mut header);
        assert_eq!(header, GOLDEN);
    }

    #[test]
    fn reserved_bits_are_ignored_on_receipt() {
        for octet in [1, 2, 3, 7] {
            let mut header = GOLDEN;
            header[octet] = 0xff;
            assert_eq!(Vxlan.read(&header), Ok((VnetId::new(23).unwrap(), 8)));
        }
        assert!(Vxlan.read(&[0xff, 0, 0, 0, 0, 0, 23, 0]).is_ok());
    }

    #[test]
    fn a_header_without_the_i_flag_is_refused() {
        assert_eq!(Vxlan.read(&[0xf7, 0, 0, 0, 0, 0, 23, 0]), Err(BadHeader));
    }
}
