use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::types::{ClientId, MacAddr, Network, Rate};

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// An IPv4 or IPv6 address; v4-mapped ones are IPv4.
    Ip(IpAddr),
    /// A text.
    Text(Cow<'static, str>),
    /// A card's own address.
    Mac(MacAddr),
    /// A rate.
    Rate(Rate),
    /// Addresses with one prefix.
    Network(Network),
    /// A DHCP client's name for itself.
    ClientId(ClientId),
    /// Several values of one type, none of them a list.
    Several(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(out),
            Self::Uint(number) => number.fmt(out),
            Self::Ip(address) => address.fmt(out),
            Self::Text(text) => text.fmt(out),
            Self::Mac(address) => address.fmt(out),
            Self::Rate(rate) => rate.fmt(out),
            Self::Network(network) => network.fmt(out),
            Self::ClientId(id) => id.fmt(out),
            Self::Several(values) => {
                let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
                out.write_str(&texts.join(","))
            }
        }
    }
}
