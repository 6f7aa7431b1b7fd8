use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AddressRule, PropertyError, Value};
use crate::types::{MacAddr, MacError, ZoneName};

/// The type of a property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A signed number of 64 bits.
    Int,
    /// An unsigned number of 64 bits.
    Uint,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A text of 1 to [`PropertySpec::TEXT_MAX`] octets.
    String,
    /// A card's own MAC address.
    Mac,
    /// A rate in bits per second.
    Rate,
    /// An IP address, or one with the length of a prefix.
    Network,
    /// What a DHCP client calls itself.
    ClientId,
    /// The name of a network namespace.
    Zone,
}

/// Whether a property can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// It can be given, and is shown.
    ReadWrite,
    /// It is shown.
    ReadOnly,
}

impl Permission {
    /// As dladm shows it: `rw` or `r-`.
    pub const fn flags(self) -> &'static str {
        match self {
            Self::ReadWrite => "rw",
            Self::ReadOnly => "r-",
        }
    }
}

/// Which values a property can have, beyond its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Possible {
    /// Any of the type.
    Any,
    /// Numbers from the first to the second, both included.
    Range(u64, u64),
    /// One word, or multiples of `step` from `low` to `high`, both included.
    WordOr {
        /// The word.
        word: Cow<'static, str>,
        /// The least number.
        low: u64,
        /// The greatest number.
        high: u64,
        /// What the numbers are multiples of.
        step: u64,
    },
    /// One of these words.
    Words(Cow<'static, [Cow<'static, str>]>),
    /// Addresses by a rule.
    Address(AddressRule),
}

impl fmt::Display for Possible {
    /// As dladm's column POSSIBLE has it; nothing where there is no list or range.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any | Self::Address(_) => Ok(()),
            Self::Range(low, high) => write!(out, "{low}-{high}"),
            Self::WordOr { word, low, high, .. } => write!(out, "{word},{low}-{high}"),
            Self::Words(words) => out.write_str(&words.join(",")),
        }
    }
}

/// One row of an owner's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertySpec {
    /// Its whole name, `owner/property` or a generic one.
    pub name: Cow<'static, str>,
    /// The type of its value.
    pub kind: Kind,
    /// Whether it can be given.
    pub permission: Permission,
    /// Whether its owner cannot do without a value.
    pub required: bool,
    /// The value it has when none is given, as a user would type it.
    pub default: Option<Cow<'static, str>>,
    /// Which values it can have.
    pub possible: Possible,
    /// Whether it can have several values, with commas between them.
    #[serde(default)]
    pub several: bool,
    /// One line for help and manual.
    pub doc: Cow<'static, str>,
}

impl PropertySpec {
    /// Octets in a text (illumos: 256 with the terminator).
    pub const TEXT_MAX: usize = 255;
    /// Values of a property that can have several.
    pub const VALUES_MAX: usize = 64;

    /// A row for a property that can be given and need not be.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        possible: Possible,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> Self {
        let default = match default {
            Some(text) => Some(Cow::Borrowed(text)),
            None => None,
        };
        let (name, doc) = (Cow::Borrowed(name), Cow::Borrowed(doc));
        Self {
            name,
            kind,
            permission: Permission::ReadWrite,
            required: false,
            default,
            possible,
            several: false,
            doc,
        }
    }

    /// The same for a property that its owner cannot do without.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same for a property that is only shown.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.permission = Permission::ReadOnly;
        self
    }

    /// The same for a property that can have several values.
    #[must_use]
    pub const fn several(mut self) -> Self {
        self.several = true;
        self
    }

    /// The value that `text` stands for.
    ///
    /// # Errors
    /// [`PropertyError::BadValue`] with what is wrong, [`PropertyError::ReadOnly`], or [`PropertyError::Repeated`].
    pub fn parse(&self, text: &str) -> Result<Value, PropertyError> {
        if self.permission == Permission::ReadOnly {
            return Err(PropertyError::ReadOnly(self.name.to_string()));
        }
        if self.several {
            return self.values(text);
        }
        if text.contains(',') {
            return Err(PropertyError::Repeated(self.name.to_string()));
        }
        self.one(text)
    }

    /// Several values, each of them once.
    fn values(&self, text: &str) -> Result<Value, PropertyError> {
        let mut values = Vec::new();
        for piece in text.split(',') {
            let value = self.one(piece)?;
            if values.contains(&value) {
                return Err(self.bad(piece, "it is given twice".to_owned()));
            }
            if values.len() == Self::VALUES_MAX {
                return Err(self.bad(piece, format!("there can be {} values", Self::VALUES_MAX)));
            }
            values.push(value);
        }
        Ok(Value::Several(values))
    }

    fn one(&self, text: &str) -> Result<Value, PropertyError> {
        self.typed(text).map_err(|reason| self.bad(text, reason))
    }

    fn bad(&self, value: &str, reason: String) -> PropertyError {
        PropertyError::BadValue { name: self.name.to_string(), value: value.to_owned(), reason }
    }

    fn typed(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Int => text.parse().map(Value::Int).map_err(|_| "it is not a whole number".to_owned()),
            Kind::Uint => self.unsigned(text),
            Kind::Ip => self.address(text),
            Kind::String => self.text(text),
            Kind::Mac => own_address(text).map(Value::Mac),
            Kind::Rate => text.parse().map(Value::Rate),
            Kind::Network => text.parse().map(Value::Network),
            Kind::ClientId => text.parse().map(Value::ClientId),
            Kind::Zone => text.parse::<ZoneName>().map(|name| Value::Text(String::from(name).into())),
        }
    }

    fn unsigned(&self, text: &str) -> Result<Value, String> {
        if let Possible::WordOr { word, .. } = &self.possible
            && word == text
        {
            return Ok(Value::Text(word.clone()));
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(self.no_number());
        }
        let inside = |number: &u64| match self.possible {
            Possible::Range(low, high) => (low..=high).contains(number),
            Possible::WordOr { low, high, step, .. } => {
                (low..=high).contains(number) && number.is_multiple_of(step.max(1))
            }
            _ => true,
        };
        let number = text.parse::<u64>().ok().filter(inside);
        number.map(Value::Uint).ok_or_else(|| self.outside())
    }

    fn no_number(&self) -> String {
        match &self.possible {
            Possible::WordOr { word, .. } => format!("it is neither a whole number nor {word}"),
            _ => "it is not a whole number".to_owned(),
        }
    }

    fn outside(&self) -> String {
        match &self.possible {
            Possible::WordOr { low, high, step: 0 | 1, .. } => format!("it is not in {low}-{high}"),
            Possible::WordOr { low, high, step, .. } => {
                format!("it is not a multiple of {step} in {low}-{high}")
            }
            possible => format!("it is not in {possible}"),
        }
    }

    fn address(&self, text: &str) -> Result<Value, String> {
        let address = text.parse().map_err(|_| "it is not an IP address".to_owned())?;
        let rule = match self.possible {
            Possible::Address(rule) => rule,
            _ => AddressRule::HostOrAny,
        };
        Ok(Value::Ip(rule.check(address)?))
    }

    fn text(&self, text: &str) -> Result<Value, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if text.len() > Self::TEXT_MAX {
            return Err(format!("it is longer than {} characters", Self::TEXT_MAX));
        }
        match &self.possible {
            Possible::Words(words) if !words.iter().any(|word| word == text) => {
                Err(format!("it is none of {}", words.join(", ")))
            }
            _ => Ok(Value::Text(text.to_owned().into())),
        }
    }
}

fn own_address(text: &str) -> Result<MacAddr, String> {
    let address: Result<MacAddr, MacError> = text.parse();
    address.and_then(MacAddr::unicast).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PropertySpec = PropertySpec::new("x/port", Kind::Uint, Possible::Range(1, 65535), None, "");
    const ADDRESS: PropertySpec =
        PropertySpec::new("x/ip", Kind::Ip, Possible::Address(AddressRule::Host), None, "");
    const WORD: PropertySpec = PropertySpec::new(
        "x/word",
        Kind::String,
        Possible::Words(Cow::Borrowed(&[Cow::Borrowed("on"), Cow::Borrowed("off")])),
        None,
        "",
    );

    #[test]
    fn values_outside_the_possible_ones_are_refused() {
        for (spec, text) in [
            (PORT, "0"),
            (PORT, "65536"),
            (PORT, "-1"),
            (PORT, "+1"),
            (PORT, "http"),
            (PORT, ""),
            (PORT, "99999999999999999999"),
            (ADDRESS, "10.0.0"),
            (ADDRESS, "10.0.0.1/24"),
            (ADDRESS, "::"),
            (WORD, "maybe"),
            (WORD, ""),
        ] {
            assert!(matches!(spec.parse(text), Err(PropertyError::BadValue { .. })), "{} {text}", spec.name);
        }
    }

    #[test]
    fn legal_values_are_typed() {
        assert_eq!(PORT.parse("4789"), Ok(Value::Uint(4789)));
        assert_eq!(ADDRESS.parse("2001:db8::1"), Ok(Value::Ip("2001:db8::1".parse().unwrap())));
        assert_eq!(WORD.parse("on"), Ok(Value::Text("on".into())));
    }

    const TOS: PropertySpec = PropertySpec::new(
        "x/tos",
        Kind::Uint,
        Possible::WordOr { word: Cow::Borrowed("inherit"), low: 0, high: 252, step: 4 },
        None,
        "",
    );

    #[test]
    fn a_word_or_a_number_is_either() {
        assert_eq!(TOS.parse("inherit"), Ok(Value::Text("inherit".into())));
        assert_eq!(TOS.parse("252"), Ok(Value::Uint(252)));
        assert_eq!(TOS.possible.to_string(), "inherit,0-252");
        for (text, reason) in [
            ("1", "it is not a multiple of 4 in 0-252"),
            ("256", "it is not a multiple of 4 in 0-252"),
            ("-4", "it is neither a whole number nor inherit"),
            ("Inherit", "it is neither a whole number nor inherit"),
        ] {
            let said = TOS.parse(text).unwrap_err().to_string();
            assert_eq!(said, format!("property 'x/tos' cannot be '{text}': {reason}"));
        }
    }

    #[test]
    fn several_values_are_read_where_there_can_be_several() {
        let macs = PropertySpec::new("macs", Kind::Mac, Possible::Any, None, "").several();
        assert_eq!(macs.parse("2:8:20:0:0:1,2:8:20:0:0:2").unwrap().to_string(), "2:8:20:0:0:1,2:8:20:0:0:2");
        for (text, why) in [
            ("2:8:20:0:0:1,02:8:20:0:0:1", "property 'macs' cannot be '02:8:20:0:0:1': it is given twice"),
            ("2:8:20:0:0:1,", "property 'macs' cannot be '': '' is not a MAC address"),
            ("3:8:20:0:0:1", "property 'macs' cannot be '3:8:20:0:0:1': 3:8:20:0:0:1 is a multicast address"),
        ] {
            let said = macs.parse(text).unwrap_err().to_string();
            assert!(said.starts_with(why), "{said}");
        }
        let many: Vec<_> = (0..65).map(|number| format!("2:8:20:0:0:{number:x}")).collect();
        assert!(macs.parse(&many.join(",")).is_err());
        assert_eq!(PORT.parse("1,2"), Err(PropertyError::Repeated("x/port".into())));
    }

    #[test]
    fn a_spec_survives_its_way_over_the_socket() {
        for spec in [PORT, ADDRESS, WORD, TOS] {
            let line = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<PropertySpec>(&line).unwrap(), spec);
        }
    }
}
