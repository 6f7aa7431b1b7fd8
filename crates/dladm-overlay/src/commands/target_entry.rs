//! An entry of a target table as `modify-overlay` takes it. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use overlay_core::property::AddressRule;
use overlay_core::protocol::FixedTarget;
use overlay_core::types::{MacAddr, MacError};

/// The destination that is none.
const DROP: &str = "drop";

/// Why a text is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EntryError {
    #[error("'{0}' is not of the form MAC=DEST")]
    NotAnEntry(String),
    #[error(transparent)]
    Mac(#[from] MacError),
    #[error("'{end}' is not a tunnel end (like 192.0.2.20:4789 or [2001:db8::1]:4789): {why}")]
    End { end: String, why: &'static str },
    #[error("tunnel end {0} is given more than once")]
    Repeated(SocketAddr),
}

/// The address of an entry: one card's or a group's.
pub(super) fn address(text: &str) -> Result<MacAddr, EntryError> {
    let mac: MacAddr = text.parse()?;
    if mac == MacAddr::default() { Err(MacError::Zero.into()) } else { Ok(mac) }
}

/// Reads `MAC=DEST`.
pub(super) fn entry(text: &str) -> Result<(MacAddr, FixedTarget), EntryError> {
    let (mac, destination) = text.split_once('=').ok_or_else(|| EntryError::NotAnEntry(text.to_owned()))?;
    Ok((address(mac)?, target(destination)?))
}

fn target(text: &str) -> Result<FixedTarget, EntryError> {
    if text.eq_ignore_ascii_case(DROP) {
        return Ok(FixedTarget::Drop);
    }
    let mut ends = Vec::new();
    for piece in text.split(',') {
        let end = end(piece).map_err(|why| EntryError::End { end: piece.to_owned(), why })?;
        if ends.contains(&end) {
            return Err(EntryError::Repeated(end));
        }
        ends.push(end);
    }
    Ok(FixedTarget::Ends(ends))
}

fn end(text: &str) -> Result<SocketAddr, &'static str> {
    // An address in brackets without a port has its last colon inside them.
    let (host, port) =
        text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).ok_or("it has no port")?;
    Ok(SocketAddr::new(self::host(host)?, self::port(port)?))
}

fn host(text: &str) -> Result<IpAddr, &'static str> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match inside {
        Some(inside) => {
            inside.parse::<Ipv6Addr>().map_err(|_| "it has no IPv6 address in its brackets")?.into()
        }
        None if text.contains(':') => return Err("an IPv6 address stands in brackets"),
        None => text.parse::<Ipv4Addr>().map_err(|_| "it does not begin with an IP address")?.into(),
    };
    AddressRule::Host.check(address)
}

fn port(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or("its port is not a number from 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(text: &str) -> Result<Vec<String>, String> {
        match entry(&format!("2:8:20:ab:cd:ef={text}")) {
            Ok((_, FixedTarget::Ends(ends))) => Ok(ends.iter().map(ToString::to_string).collect()),
            Ok((_, FixedTarget::Drop)) => Ok(vec![DROP.to_owned()]),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_destination_is_drop_or_tunnel_ends() {
        for (text, expected) in [
            ("drop", &["drop"][..]),
            ("DROP", &["drop"]),
            ("Drop", &["drop"]),
            ("192.0.2.20:4789", &["192.0.2.20:4789"]),
            ("192.0.2.20:1,192.0.2.20:65535", &["192.0.2.20:1", "192.0.2.20:65535"]),
            ("[2001:db8::1]:4789", &["[2001:db8::1]:4789"]),
            ("[::1]:4789,10.0.0.1:4789", &["[::1]:4789", "10.0.0.1:4789"]),
            ("[::ffff:10.0.0.1]:4789", &["10.0.0.1:4789"]),
        ] {
            assert_eq!(ends(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_tunnel_end_is_told_with_the_reason() {
        for (text, end, why) in [
            ("", "", "it has no port"),
            ("192.0.2.20", "192.0.2.20", "it has no port"),
            ("[2001:db8::1]", "[2001:db8::1]", "it has no port"),
            ("192.0.2.20:", "192.0.2.20:", "its port is not a number from 1 to 65535"),
            ("192.0.2.20:0", "192.0.2.20:0", "its port is not a number from 1 to 65535"),
            ("192.0.2.20:65536", "192.0.2.20:65536", "its port is not a number from 1 to 65535"),
            ("192.0.2.20:+1", "192.0.2.20:+1", "its port is not a number from 1 to 65535"),
            ("192.0.2.20:-1", "192.0.2.20:-1", "its port is not a number from 1 to 65535"),
            ("192.0.2.20:vxlan", "192.0.2.20:vxlan", "its port is not a number from 1 to 65535"),
            (":4789", ":4789", "it does not begin with an IP address"),
            ("host:4789", "host:4789", "it does not begin with an IP address"),
            ("drop:4789", "drop:4789", "it does not begin with an IP address"),
            ("192.0.2:4789", "192.0.2:4789", "it does not begin with an IP address"),
            (" 192.0.2.20:4789", " 192.0.2.20:4789", "it does not begin with an IP address"),
            ("2001:db8::1:4789", "2001:db8::1:4789", "an IPv6 address stands in brackets"),
            ("[2001:db8::1:4789", "[2001:db8::1:4789", "an IPv6 address stands in brackets"),
            ("[192.0.2.20]:4789", "[192.0.2.20]:4789", "it has no IPv6 address in its brackets"),
            ("[]:4789", "[]:4789", "it has no IPv6 address in its brackets"),
            ("[fd00::1%2]:4789", "[fd00::1%2]:4789", "it has no IPv6 address in its brackets"),
            ("[::]:4789", "[::]:4789", "the unspecified address is no host"),
            ("224.0.0.1:4789", "224.0.0.1:4789", "it is a multicast address"),
            ("[fe80::1]:4789", "[fe80::1]:4789", "link-local addresses need an interface"),
            ("10.0.0.1:1,", "", "it has no port"),
            ("10.0.0.1:1,drop", "drop", "it has no port"),
            ("drop,10.0.0.1:1", "drop", "it has no port"),
        ] {
            let form = "(like 192.0.2.20:4789 or [2001:db8::1]:4789)";
            assert_eq!(ends(text), Err(format!("'{end}' is not a tunnel end {form}: {why}")), "{text}");
        }
    }

    #[test]
    fn no_tunnel_end_gets_a_frame_twice() {
        let error = Err("tunnel end 10.0.0.1:1 is given more than once".to_owned());
        assert_eq!(ends("10.0.0.1:1,10.0.0.2:1,10.0.0.1:1"), error);
        assert_eq!(ends("10.0.0.1:1,[::ffff:10.0.0.1]:1"), error);
    }

    #[test]
    fn an_address_is_one_cards_or_a_groups() {
        for text in ["2:8:20:ab:cd:ef", "02:08:20:AB:CD:EF", "ff:ff:ff:ff:ff:ff", "1:0:5e:0:0:1"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in
            ["0:0:0:0:0:0", "", "2:8:20:ab:cd", "2:8:20:ab:cd:ef:1", "2:8:20:ab:cd:eff", "2-8-20-ab-cd-ef"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_without_an_address_or_destination_is_none() {
        for text in ["", "drop", "2:8:20:ab:cd:ef"] {
            assert_eq!(entry(text), Err(EntryError::NotAnEntry(text.to_owned())));
        }
        assert!(matches!(entry("=drop"), Err(EntryError::Mac(_))));
        assert!(matches!(entry("0:0:0:0:0:0=drop"), Err(EntryError::Mac(MacError::Zero))));
    }

    proptest! {
        #[test]
        fn tunnel_ends_are_read_as_they_are_shown(v6: bool, host in 1u32..0xdfff_ffff, port in 1u16..) {
            let address = match v6 {
                true => IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) | u128::from(host))),
                false => IpAddr::V4(Ipv4Addr::from(host | 0x0100_0000)),
            };
            let end = SocketAddr::new(address, port);
            prop_assert_eq!(ends(&end.to_string()), Ok(vec![end.to_string()]));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", tail in "[0-9a-f:.,\\[\\]=drop%]{0,40}") {
            let _ = entry(&text);
            let _ = entry(&format!("2:8:20:ab:cd:ef={tail}"));
        }
    }
}
