use std::fmt;
use std::str::FromStr;

use super::MacAddr;

/// What a DHCP client calls itself: option 61 of DHCP (RFC 2132, 9.14), the DUID of DHCPv6 (RFC 8415, section 11).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId {
    text: String,
    octets: Vec<u8>,
}

impl ClientId {
    /// Octets in one, with which a DUID has its type (RFC 8415, 11.1).
    const MAX: usize = 130;

    /// As it is on the wire.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl FromStr for ClientId {
    type Err = String;

    /// One of (dladm(8)): `1.MAC`; a DUID `1.HWTYPE.TIME.MAC`, `2.ENTERPRISE.HEX` or `3.HWTYPE.MAC`; `0xHEX`; any other
    /// text, which stands for its own octets.
    fn from_str(text: &str) -> Result<Self, String> {
        let octets = match text.strip_prefix("0x") {
            Some(digits) => {
                hexadecimal(digits).ok_or("it is not 0x and an even number of hexadecimal digits")?
            }
            None => structured(text)?.unwrap_or_else(|| text.as_bytes().to_vec()),
        };
        match octets.len() {
            1..=Self::MAX => Ok(Self { text: text.to_owned(), octets }),
            _ => Err(format!("it does not have 1 to {} octets", Self::MAX)),
        }
    }
}

/// The octets of a client identifier with a type; none where it has another form.
fn structured(text: &str) -> Result<Option<Vec<u8>>, String> {
    let parts: Vec<_> = text.split('.').collect();
    let mac = |text: &str| text.parse::<MacAddr>().map_err(|error| error.to_string());
    let number = |text: &str, what| text.parse::<u32>().map_err(|_| format!("its {what} is not a number"));
    let hardware =
        |text: &str| text.parse::<u16>().map_err(|_| "its hardware type is not a number".to_owned());
    let (kind, rest) = match parts[..] {
        ["1", address] => (vec![1], mac(address)?.0.to_vec()),
        ["1", hardware_type, time, address] => {
            let (hardware, time) = (hardware(hardware_type)?, number(time, "time")?);
            (vec![0, 1], [&hardware.to_be_bytes()[..], &time.to_be_bytes(), &mac(address)?.0].concat())
        }
        ["2", enterprise, identifier] => {
            let identifier = hexadecimal(identifier).ok_or("its identifier is not hexadecimal")?;
            (vec![0, 2], [&number(enterprise, "enterprise number")?.to_be_bytes()[..], &identifier].concat())
        }
        ["3", hardware_type, address] => {
            (vec![0, 3], [&hardware(hardware_type)?.to_be_bytes()[..], &mac(address)?.0].concat())
        }
        _ => return Ok(None),
    };
    Ok(Some([kind, rest].concat()))
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|value| value.try_into().ok())
}

impl fmt::Display for ClientId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_octets() {
        for (text, octets) in [
            ("1.2:8:20:ab:cd:ef", &[1, 2, 8, 0x20, 0xab, 0xcd, 0xef][..]),
            ("1.1.16.2:8:20:ab:cd:ef", &[0, 1, 0, 1, 0, 0, 0, 16, 2, 8, 0x20, 0xab, 0xcd, 0xef]),
            ("2.9.0aFF", &[0, 2, 0, 0, 0, 9, 0x0a, 0xff]),
            ("3.1.2:8:20:ab:cd:ef", &[0, 3, 0, 1, 2, 8, 0x20, 0xab, 0xcd, 0xef]),
            ("0xff01", &[0xff, 1]),
            ("printer.7", b"printer.7"),
        ] {
            let id: ClientId = text.parse().unwrap();
            assert_eq!((id.octets(), id.to_string().as_str()), (octets, text));
        }
    }

    #[test]
    fn what_only_looks_like_one_is_refused() {
        for text in [
            "",
            "0x",
            "0x1",
            "0xgg",
            "1.nobody",
            "1.x.16.2:8:20:ab:cd:ef",
            "2.9.0",
            "3.1.x",
            &"x".repeat(131),
        ] {
            assert!(text.parse::<ClientId>().is_err(), "{text}");
        }
    }
}
