use super::{Ethernet, Packet, Transport};

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// The next-header number of ICMPv6 (RFC 4443 section 1).
const ICMPV6: u8 = 58;
/// From router solicitation to redirect (RFC 4861 section 4).
const NEIGHBOUR_DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;
/// BOOTP's and DHCP's server and client (RFC 2131 section 4.1).
const DHCP: [u16; 2] = [67, 68];
/// DHCPv6's client and server (RFC 8415 section 7.2).
const DHCPV6: [u16; 2] = [546, 547];

/// Whether a frame to many asks for something, or announces it, in a way that somebody else could answer in the place
/// of everybody: ARP, neighbour discovery, DHCP. Only what stands at fixed places is looked at.
pub fn is_question(frame: &[u8], ethernet: &Ethernet) -> bool {
    ethernet.destination.is_multicast()
        && match ethernet.ethertype {
            ETHERTYPE_ARP => true,
            ETHERTYPE_IPV6 if discovers(frame, ethernet) => true,
            _ => is_dhcp(frame, ethernet),
        }
}

fn discovers(frame: &[u8], ethernet: &Ethernet) -> bool {
    let packet = frame.get(ethernet.header_len..).unwrap_or_default();
    packet.get(6) == Some(&ICMPV6) && packet.get(40).is_some_and(|kind| NEIGHBOUR_DISCOVERY.contains(kind))
}

fn is_dhcp(frame: &[u8], ethernet: &Ethernet) -> bool {
    let Some(packet) = Packet::parse(frame, ethernet) else { return false };
    let Some([_, _, high, low]) = packet.ports().filter(|_| packet.transport == Some(Transport::Udp)) else {
        return false;
    };
    let ports = if packet.v6 { DHCPV6 } else { DHCP };
    ports.contains(&u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame to `to` with an Ethernet type and what is behind it.
    fn asks(to: [u8; 6], ethertype: u16, packet: &[u8]) -> bool {
        let frame = [&to[..], &[2, 0, 0, 0, 0, 1], &ethertype.to_be_bytes(), packet].concat();
        is_question(&frame, &Ethernet::parse(&frame).unwrap())
    }

    fn udp4(port: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
        packet.extend([0, 68, 0, port, 0, 8, 0, 0]);
        packet
    }

    fn v6(next: u8, payload: [u8; 8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, next, 255];
        packet.extend([0; 32]);
        packet.extend(payload);
        packet
    }

    const ALL: [u8; 6] = [0xff; 6];
    const NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

    #[test]
    fn arp_neighbour_discovery_and_dhcp_to_many_are_questions() {
        assert!(asks(ALL, 0x0806, &[]));
        for kind in 133..=137 {
            assert!(asks(NODES, 0x86dd, &v6(58, [kind, 0, 0, 0, 0, 0, 0, 0])), "{kind}");
        }
        assert!(asks(ALL, 0x0800, &udp4(67)) && asks(ALL, 0x0800, &udp4(68)));
        assert!(asks(NODES, 0x86dd, &v6(17, [2, 34, 2, 35, 0, 8, 0, 0])));
    }

    #[test]
    fn everything_else_is_none() {
        assert!(!asks([2, 0, 0, 0, 0, 9], 0x0806, &[]), "to one address");
        assert!(!asks(NODES, 0x86dd, &v6(58, [128, 0, 0, 0, 0, 0, 0, 0])), "an echo request");
        assert!(!asks(ALL, 0x0800, &udp4(53)));
        assert!(!asks(ALL, 0x88b5, &[0; 60]));
        for len in 0..48 {
            asks(NODES, 0x86dd, &v6(58, [135, 0, 0, 0, 0, 0, 0, 0])[..len]);
            asks(ALL, 0x0800, &udp4(67)[..len.min(28)]);
        }
    }
}
