use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a link is called by the daemons: stable over its life, whatever its name; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub NonZeroU32);

impl fmt::Display for LinkId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

/// The name of an overlay or VNIC: letters, digits, `_` and `.`, a letter first, a number last
/// (dladm(8); at most 31 octets).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

/// Why a text is not a link's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkNameError {
    /// More octets than the kind of link can have.
    #[error("name '{name}' is too long: {len} characters, {max} at most")]
    TooLong {
        /// The text.
        name: String,
        /// Its octets.
        len: usize,
        /// How many there may be.
        max: usize,
    },
    /// Not of the form.
    #[error(
        "'{0}' is not a link name (a letter first, then letters, digits, '_' and '.', and a number without leading zeros last, like demo0)"
    )]
    IllFormed(String),
}

impl LinkName {
    /// Octets in a name (MAXLINKNAMELEN less its terminator).
    pub const MAX: usize = 31;
    /// Octets in the name of a link that is a Linux device (IFNAMSIZ less its terminator, linux/if.h).
    pub const DEVICE_MAX: usize = 15;

    /// The name, when a Linux device can have it.
    ///
    /// # Errors
    /// [`LinkNameError::TooLong`].
    pub fn for_device(self) -> Result<Self, LinkNameError> {
        Self::limit(&self.0, Self::DEVICE_MAX)?;
        Ok(self)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn limit(name: &str, max: usize) -> Result<(), LinkNameError> {
        if name.len() <= max {
            return Ok(());
        }
        Err(LinkNameError::TooLong { name: name.to_owned(), len: name.len(), max })
    }
}

impl FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(text: &str) -> Result<Self, LinkNameError> {
        let letter = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
        let number = &text[text.trim_end_matches(|last: char| last.is_ascii_digit()).len()..];
        // The number's highest value is 2^32 - 2 (dladm(8)).
        let counts = number.parse::<u32>().is_ok_and(|value| value < u32::MAX && value.to_string() == number);
        if letter && legal && text.len() > Self::MAX {
            Self::limit(text, Self::MAX)?;
        }
        if letter && legal && counts {
            Ok(Self(text.to_owned()))
        } else {
            Err(LinkNameError::IllFormed(text.to_owned()))
        }
    }
}

impl TryFrom<String> for LinkName {
    type Error = LinkNameError;

    fn try_from(text: String) -> Result<Self, LinkNameError> {
        text.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn illumos_names_are_accepted() {
        for text in ["demo0", "foo0", "a.b_c12", "net4294967294", "x1y2"] {
            assert!(text.parse::<LinkName>().is_ok(), "{text}");
        }
    }

    #[test]
    fn ill_formed_names_are_refused() {
        for text in
            ["", "0", "demo", "0demo0", "_a0", "de mo0", "a/0", "../x0", "demo01", "a4294967295", "é0"]
        {
            assert!(matches!(text.parse::<LinkName>(), Err(LinkNameError::IllFormed(_))), "{text}");
        }
    }

    #[test]
    fn a_name_has_31_octets_and_a_devices_15() {
        let name = |len: usize| format!("{}0", "a".repeat(len - 1));
        assert!(name(31).parse::<LinkName>().is_ok());
        assert!(matches!(name(32).parse::<LinkName>(), Err(LinkNameError::TooLong { len: 32, max: 31, .. })));
        assert!(name(15).parse::<LinkName>().unwrap().for_device().is_ok());
        assert!(name(16).parse::<LinkName>().unwrap().for_device().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,40}") {
            if let Ok(name) = text.parse::<LinkName>() {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
