use super::Ethernet;
use super::inet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_HEADER_MIN, IPV6_HEADER};

/// The bit of an IPv4 header's seventh octet that forbids fragments (RFC 791 section 3.1).
const DF: u8 = 0x40;

/// What an IP header says to whoever carries the packet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpHead {
    /// Whether it is IPv6.
    pub v6: bool,
    /// Traffic class or type of service: six bits of DSCP, two of ECN.
    pub tos: u8,
    /// Hop limit or time to live.
    pub ttl: u8,
    /// Whether nobody on the way may divide it: always in IPv6 (RFC 8200 section 4.5).
    pub undivided: bool,
}

impl IpHead {
    /// Reads the first octets of the packet in a frame whose Ethernet header is `ethernet`; none when it is no IP.
    pub fn read(frame: &[u8], ethernet: &Ethernet) -> Option<Self> {
        let packet = frame.get(ethernet.header_len..)?;
        match (ethernet.ethertype, packet.first()? >> 4) {
            (ETHERTYPE_IPV4, 4) => {
                let header: &[u8; IPV4_HEADER_MIN] = packet.first_chunk()?;
                Some(Self { v6: false, tos: header[1], ttl: header[8], undivided: header[6] & DF != 0 })
            }
            (ETHERTYPE_IPV6, 6) => {
                let header: &[u8; IPV6_HEADER] = packet.first_chunk()?;
                let tos = header[0] << 4 | header[1] >> 4;
                Some(Self { v6: true, tos, ttl: header[7], undivided: true })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ethertype: [u8; 2], packet: &[u8]) -> Option<IpHead> {
        let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype, packet].concat();
        IpHead::read(&frame, &Ethernet::parse(&frame).unwrap())
    }

    fn v4(flags: u8) -> Vec<u8> {
        vec![0x45, 0xb9, 0, 20, 0, 0, flags, 0, 17, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    }

    #[test]
    fn ipv4_says_whether_it_may_be_divided() {
        for (flags, undivided) in [(0x40, true), (0, false), (0x20, false)] {
            let head = IpHead { v6: false, tos: 0xb9, ttl: 17, undivided };
            assert_eq!(read([8, 0], &v4(flags)), Some(head));
        }
    }

    #[test]
    fn ipv6s_class_spans_two_octets_and_it_is_never_divided() {
        let mut packet = vec![0x6b, 0x91, 0, 0, 0, 0, 59, 7];
        packet.resize(40, 0);
        assert_eq!(
            read([0x86, 0xdd], &packet),
            Some(IpHead { v6: true, tos: 0xb9, ttl: 7, undivided: true })
        );
        assert_eq!(read([0x86, 0xdd], &packet[..39]), None);
    }

    #[test]
    fn everything_else_is_no_ip() {
        assert_eq!(read([8, 6], &v4(0)), None);
        assert_eq!(read([8, 0], &v4(0)[..19]), None);
        assert_eq!(read([0x86, 0xdd], &v4(0)), None, "the version is another");
        assert_eq!(read([8, 0], &[]), None);
    }
}
