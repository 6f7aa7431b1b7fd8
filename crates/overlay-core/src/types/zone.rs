use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a network namespace below `/run/netns` (ip-netns(8)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl ZoneName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneName {
    type Err = String;

    /// The name of one file: whatever `ip netns add` takes.
    fn from_str(text: &str) -> Result<Self, String> {
        let file = !text.is_empty() && text.len() <= 255 && text != "." && text != "..";
        let plain = text.chars().all(|one| one != '/' && one != ',' && !one.is_control());
        if file && plain {
            Ok(Self(text.to_owned()))
        } else {
            Err("it is not the name of a network namespace".to_owned())
        }
    }
}

impl TryFrom<String> for ZoneName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_the_name_of_one_file() {
        for text in ["blue", "a b", "ovl-17.x", "Zürich"] {
            assert_eq!(text.parse::<ZoneName>().map(String::from).as_deref(), Ok(text));
        }
        for text in ["", ".", "..", "a/b", "../x", "a,b", "a\nb", &"x".repeat(256)] {
            assert!(text.parse::<ZoneName>().is_err(), "{text}");
        }
    }
}
