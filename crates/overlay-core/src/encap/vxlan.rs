//! VXLAN (RFC 7348).

use std::borrow::Cow;
use std::net::SocketAddr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BadHeader, Df, Encap, Outer};
use crate::property::{AddressRule, Kind, Possible, Properties, PropertySpec};
use crate::types::VnetId;

const LISTEN_IP: &str = "vxlan/listen_ip";
const LISTEN_PORT: &str = "vxlan/listen_port";
const DF: &str = "vxlan/df";
const TTL: &str = "vxlan/ttl";
const TOS: &str = "vxlan/tos";

/// The word for a value that is taken from the packet inside.
const INHERIT: Cow<'static, str> = Cow::Borrowed("inherit");
const UNSET: Cow<'static, str> = Cow::Borrowed("unset");
const DF_WORDS: &[Cow<'static, str>] = &[Cow::Borrowed("set"), UNSET, INHERIT];

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
    PropertySpec::new(
        DF,
        Kind::String,
        Possible::Words(Cow::Borrowed(DF_WORDS)),
        Some("set"),
        "whether datagrams may not be fragmented on the underlay; inherit: as the packet inside says",
    ),
    PropertySpec::new(
        TTL,
        Kind::Uint,
        Possible::WordOr { word: INHERIT, low: 1, high: 255, step: 1 },
        Some("64"),
        "hops that datagrams may go on the underlay; inherit: as many as the packet inside",
    ),
    PropertySpec::new(
        TOS,
        Kind::Uint,
        Possible::WordOr { word: INHERIT, low: 0, high: 252, step: 4 },
        Some("0"),
        "type of service of datagrams, its DSCP times 4; inherit: that of the packet inside; ECN is always that",
    ),
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

    fn outer(&self, properties: &Properties) -> Outer {
        let number = |name| properties.uint(name).and_then(|number| number.try_into().ok());
        let df = match properties.text(DF) {
            Some(word) if word == UNSET => Df::Unset,
            Some(word) if word == INHERIT => Df::Inherit,
            _ => Df::Set,
        };
        Outer { df, ttl: number(TTL), tos: number(TOS) }
    }

    fn is_live(&self, property: &str) -> bool {
        [DF, TTL, TOS].contains(&property)
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
    use crate::property::Assignment;

    /// RFC 7348 section 5, figure 1, for vnetid 23.
    const GOLDEN: [u8; 8] = [0x08, 0, 0, 0, 0, 0, 23, 0];

    fn outer(given: &[(&str, &str)]) -> Outer {
        let given = [&[("vxlan/listen_ip", "10.0.0.1")], given].concat();
        let given: Vec<_> = given.into_iter().map(|(name, value)| Assignment::new(name, value)).collect();
        Vxlan.outer(&Properties::check(PROPERTIES, &given).unwrap())
    }

    #[test]
    fn the_outer_header_is_set_unset_or_inherited() {
        assert_eq!(outer(&[(DF, "unset")]).df, Df::Unset);
        assert_eq!(
            outer(&[(DF, "inherit"), (TTL, "1")]),
            Outer { df: Df::Inherit, ttl: Some(1), tos: Some(0) }
        );
        let inherited = Outer { df: Df::Set, ttl: None, tos: None };
        assert_eq!(outer(&[(TTL, "inherit"), (TOS, "inherit")]), inherited);
        assert_eq!(
            outer(&[(TTL, "255"), (TOS, "252")]),
            Outer { ttl: Some(255), tos: Some(252), ..inherited }
        );
    }

    #[test]
    fn the_two_bits_of_ecn_are_not_the_users() {
        for value in ["1", "2", "3", "253", "256"] {
            let given = [Assignment::new("vxlan/listen_ip", "10.0.0.1"), Assignment::new(TOS, value)];
            assert!(Properties::check(PROPERTIES, &given).is_err(), "{value}");
        }
    }

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
