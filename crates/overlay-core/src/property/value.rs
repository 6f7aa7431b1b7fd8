use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// The value of a property, of one of the four types.
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
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(out),
            Self::Uint(number) => number.fmt(out),
            Self::Ip(address) => address.fmt(out),
            Self::Text(text) => text.fmt(out),
        }
    }
}
