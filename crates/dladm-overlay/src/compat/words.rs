//! The words of a command line: read and checked as a whole, before any is carried out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The least MTU of an IPv4 interface, in octets (RFC 791, section 3.2).
const MTU_MIN: u32 = 68;
/// The most octets an IPv4 packet has (RFC 791, section 3.1).
const MTU_MAX: u32 = 65535;

/// An address family, as `inet` and `inet6` name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// One thing to do to an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make it ready for IP: on Linux every device is.
    Plumb,
    /// Take the addresses of a family, or of both, off it.
    Unplumb(Option<Family>),
    /// Switch it on or off.
    Switch(bool),
    /// Give it this address in place of those of the same family.
    Address(IpAddr, u8),
    /// Give it an MTU, in octets.
    Mtu(u32),
}

/// A whole command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The name of the interface.
    pub(crate) interface: String,
    /// The family named last.
    pub(crate) family: Option<Family>,
    /// What to do, in this order; to show the interface when there is nothing.
    pub(crate) steps: Vec<Step>,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordError {
    /// No word of the language.
    #[error(
        "'{0}' is neither an address nor one of plumb, unplumb, up, down, inet, inet6, mtu N, ADDRESS/PREFIX, ADDRESS netmask MASK"
    )]
    Unknown(String),
    /// A word that another one must follow.
    #[error("{0} needs {1} after it")]
    Incomplete(&'static str, &'static str),
    /// No number, or one that no interface has.
    #[error("'{0}' is not an MTU (a number of octets from {MTU_MIN} to {MTU_MAX})")]
    Mtu(String),
    /// IPv6 where IPv4 is spoken of.
    #[error("{0} is an IPv6 address: write inet6 before it")]
    NeedsInet6(IpAddr),
    /// IPv4 where IPv6 is spoken of.
    #[error("{0} is an IPv4 address, and inet6 stands before it")]
    NeedsInet(IpAddr),
    /// An address whose network is not said.
    #[error("{0} needs its network: write {0}/PREFIX{1}")]
    NoNetwork(IpAddr, &'static str),
    /// A prefix that is no number, or longer than the address.
    #[error("'{0}' is not a prefix length of {1} (a number from 0 to {2})")]
    Prefix(String, IpAddr, u8),
    /// Not a mask.
    #[error("'{0}' is not a netmask (like 255.255.255.0, ones before zeros)")]
    Mask(String),
    /// A mask that no address precedes.
    #[error("netmask stands only after an IPv4 address without a prefix")]
    StrayMask,
    /// An address that no interface can have.
    #[error("{0} is not an interface's own address")]
    NotOwn(IpAddr),
}

/// Reads what follows the name of an interface.
///
/// # Errors
/// The first word that is wrong.
pub(crate) fn parse(interface: &str, words: &[String]) -> Result<Order, WordError> {
    let mut order = Order { interface: interface.to_owned(), family: None, steps: Vec::new() };
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let step = match word {
            "inet" => {
                order.family = Some(Family::Inet);
                continue;
            }
            "inet6" => {
                order.family = Some(Family::Inet6);
                continue;
            }
            "plumb" => Step::Plumb,
            "unplumb" => Step::Unplumb(order.family),
            "up" => Step::Switch(true),
            "down" => Step::Switch(false),
            "mtu" => mtu(words.next())?,
            "netmask" => return Err(WordError::StrayMask),
            other => {
                let mask = words.next_if_eq(&"netmask").map(|_| words.next());
                address(other, mask, order.family)?
            }
        };
        order.steps.push(step);
    }
    Ok(order)
}

fn mtu(word: Option<&str>) -> Result<Step, WordError> {
    let word = word.ok_or(WordError::Incomplete("mtu", "a number of octets"))?;
    let octets = number(word).filter(|octets| (MTU_MIN..=MTU_MAX).contains(octets));
    octets.map(Step::Mtu).ok_or_else(|| WordError::Mtu(word.to_owned()))
}

/// Reads `ADDRESS/PREFIX` or `ADDRESS netmask MASK`; `mask` is what follows the word `netmask`, where it is there.
fn address(word: &str, mask: Option<Option<&str>>, family: Option<Family>) -> Result<Step, WordError> {
    let (text, bits) = word.split_once('/').map_or((word, None), |(text, bits)| (text, Some(bits)));
    let address: IpAddr = text.parse().map_err(|_| WordError::Unknown(word.to_owned()))?;
    of_family(address, family)?;
    let prefix = match (bits, mask, address) {
        (Some(bits), None, _) => prefix(bits, address)?,
        (None, Some(mask), IpAddr::V4(_)) => {
            mask_prefix(mask.ok_or(WordError::Incomplete("netmask", "a mask"))?)?
        }
        (None, None, IpAddr::V4(_)) => {
            return Err(WordError::NoNetwork(address, ", or netmask MASK after it"));
        }
        (None, None, IpAddr::V6(_)) => return Err(WordError::NoNetwork(address, "")),
        (_, Some(_), _) => return Err(WordError::StrayMask),
    };
    own(address)?;
    Ok(Step::Address(address, prefix))
}

const fn of_family(address: IpAddr, family: Option<Family>) -> Result<(), WordError> {
    match (address, family) {
        (IpAddr::V6(_), None | Some(Family::Inet)) => Err(WordError::NeedsInet6(address)),
        (IpAddr::V4(_), Some(Family::Inet6)) => Err(WordError::NeedsInet(address)),
        _ => Ok(()),
    }
}

/// Refuses what is a group's, everybody's or nobody's (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.2).
fn own(address: IpAddr) -> Result<(), WordError> {
    let nobodys = address.is_multicast() || address.is_unspecified() || address == Ipv4Addr::BROADCAST;
    if nobodys { Err(WordError::NotOwn(address)) } else { Ok(()) }
}

fn prefix(text: &str, address: IpAddr) -> Result<u8, WordError> {
    let bits = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS } as u8;
    let prefix = number(text).and_then(|number| u8::try_from(number).ok()).filter(|prefix| *prefix <= bits);
    prefix.ok_or_else(|| WordError::Prefix(text.to_owned(), address, bits))
}

fn mask_prefix(text: &str) -> Result<u8, WordError> {
    let wrong = || WordError::Mask(text.to_owned());
    let mask = text.parse::<Ipv4Addr>().map_err(|_| wrong())?.to_bits();
    let ones = mask.leading_ones();
    if ones == mask.count_ones() { Ok(ones as u8) } else { Err(wrong()) }
}

/// A number in digits alone: `parse` would also take a sign.
fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Order, WordError> {
        let words = line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        parse("foo0", &words)
    }

    fn steps(line: &str) -> Vec<Step> {
        read(line).unwrap().steps
    }

    #[test]
    fn words_become_steps_in_their_order() {
        let address = Step::Address([192, 168, 23, 1].into(), 24);
        assert_eq!(steps("plumb up"), [Step::Plumb, Step::Switch(true)]);
        assert_eq!(steps("up 192.168.23.1/24 plumb"), [Step::Switch(true), address, Step::Plumb]);
        assert_eq!(steps("192.168.23.1 netmask 255.255.255.0 down"), [address, Step::Switch(false)]);
        assert_eq!(steps("mtu 1400 unplumb"), [Step::Mtu(1400), Step::Unplumb(None)]);
    }

    #[test]
    fn a_family_holds_until_the_next_one() {
        let both = "inet6 2001:db8::1/64 inet 10.0.0.1/8 unplumb";
        let v6 = Step::Address("2001:db8::1".parse().unwrap(), 64);
        let v4 = Step::Address([10, 0, 0, 1].into(), 8);
        assert_eq!(steps(both), [v6, v4, Step::Unplumb(Some(Family::Inet))]);
        assert_eq!(read("inet6").unwrap().family, Some(Family::Inet6));
    }

    #[test]
    fn an_address_of_the_other_family_is_refused_with_the_way_out() {
        let told = read("2001:db8::1/64").unwrap_err().to_string();
        assert_eq!(told, "2001:db8::1 is an IPv6 address: write inet6 before it");
        assert!(matches!(read("inet6 10.0.0.1/8"), Err(WordError::NeedsInet(_))));
    }

    #[test]
    fn an_address_without_its_network_is_refused() {
        let told = read("10.0.0.1").unwrap_err().to_string();
        assert_eq!(told, "10.0.0.1 needs its network: write 10.0.0.1/PREFIX, or netmask MASK after it");
        let told = read("inet6 2001:db8::1 up").unwrap_err().to_string();
        assert_eq!(told, "2001:db8::1 needs its network: write 2001:db8::1/PREFIX");
    }

    #[test]
    fn wrong_networks_are_refused() {
        for line in ["10.0.0.1/33", "10.0.0.1/", "10.0.0.1/+8", "inet6 2001:db8::1/129", "10.0.0.1/256"] {
            assert!(matches!(read(line), Err(WordError::Prefix(..))), "{line}");
        }
        for line in ["10.0.0.1 netmask 255.0.255.0", "10.0.0.1 netmask 24"] {
            assert!(matches!(read(line), Err(WordError::Mask(_))), "{line}");
        }
        for line in
            ["netmask 255.0.0.0", "10.0.0.1/8 netmask 255.0.0.0", "inet6 2001:db8::1 netmask 255.0.0.0"]
        {
            assert_eq!(read(line), Err(WordError::StrayMask), "{line}");
        }
    }

    #[test]
    fn an_address_that_no_interface_can_have_is_refused() {
        for line in ["224.0.0.1/24", "0.0.0.0/0", "255.255.255.255/32", "inet6 ff02::1/64", "inet6 ::/64"] {
            assert!(matches!(read(line), Err(WordError::NotOwn(_))), "{line}");
        }
    }

    #[test]
    fn an_mtu_is_a_number_that_ip_allows() {
        for line in ["mtu 67", "mtu 65536", "mtu -1", "mtu x", "mtu 99999999999"] {
            assert!(matches!(read(line), Err(WordError::Mtu(_))), "{line}");
        }
        assert_eq!(steps("mtu 68 mtu 65535"), [Step::Mtu(68), Step::Mtu(65535)]);
    }

    #[test]
    fn a_word_at_the_end_that_needs_another_is_refused() {
        assert_eq!(read("up mtu").unwrap_err().to_string(), "mtu needs a number of octets after it");
        assert_eq!(read("10.0.0.1 netmask").unwrap_err().to_string(), "netmask needs a mask after it");
    }

    #[test]
    fn one_wrong_word_spoils_the_line() {
        for line in ["plumb upp", "up 10.0.0.300/8", "addif 10.0.0.1/8", "UP"] {
            assert!(matches!(read(line), Err(WordError::Unknown(_))), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(words: Vec<String>) {
            let _ = parse("foo0", &words);
        }

        #[test]
        fn a_mask_and_its_prefix_mean_the_same(bits in 0..=32u32) {
            let mask = Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0));
            let (long, short) = (format!("10.0.0.1 netmask {mask}"), format!("10.0.0.1/{bits}"));
            prop_assert_eq!(read(&long), read(&short));
        }
    }
}
