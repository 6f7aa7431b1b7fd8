use std::fmt::Write;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::types::{LinkId, MacAddr, VlanId};

/// What the driver wants to know from the lookup side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Where frames to one address go. There is one such question under way for each address, however many frames
    /// wait for its answer.
    Target {
        /// The overlay.
        link: LinkId,
        /// The address; a group address asks for every tunnel end of the group.
        mac: MacAddr,
        /// The sender of the frame that raised the question.
        source: MacAddr,
        /// The VLAN of that frame inside the tunnel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vid: Option<VlanId>,
    },
    /// What becomes of one frame to many that asks for something itself: ARP, neighbour discovery, DHCP. Each is a
    /// question of its own and waits for no other.
    Frame {
        /// The overlay.
        link: LinkId,
        /// The driver's number for it.
        id: u64,
        /// The frame, its checksums finished.
        frame: Octets,
    },
}

impl Question {
    /// The overlay it is about.
    pub const fn link(&self) -> LinkId {
        match self {
            Self::Target { link, .. } | Self::Frame { link, .. } => *link,
        }
    }
}

/// What the lookup side knows: an answer, or news that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The overlay.
    pub link: LinkId,
    /// What it is about.
    pub about: About,
    /// What is known.
    pub verdict: Verdict,
}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// One address.
    Mac(MacAddr),
    /// The frame of [`Question::Frame`] with this number.
    Frame(u64),
    /// Every group address.
    Groups,
    /// Every address.
    All,
}

/// What is known of a destination or a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It goes to each of these tunnel ends; to none where the list is empty. News of an address that nobody has asked
    /// for is ignored.
    Found(Vec<SocketAddr>),
    /// The same, and kept though nobody has asked: a warm start.
    Learned(Vec<SocketAddr>),
    /// Nobody has it, and that is certain.
    Absent,
    /// It cannot be said now. What was known before stays in force.
    Unknown,
    /// What was said before may be wrong: it serves until the question has been asked again, at its next use.
    Doubtful,
    /// Of a frame: this frame is the answer to it, and goes to the VNICs here.
    Reply(Octets),
    /// Of a frame: it goes to this address in place of its own.
    Redirect(MacAddr),
}

/// Octets of a frame, as hexadecimal digits in the control protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Octets(pub Vec<u8>);

/// A text is not made of pairs of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not made of pairs of hexadecimal digits")]
pub struct NotHexadecimal;

impl From<Octets> for String {
    fn from(octets: Octets) -> Self {
        octets.0.iter().fold(Self::with_capacity(octets.0.len() * 2), |mut text, octet| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{octet:02x}");
            text
        })
    }
}

impl TryFrom<String> for Octets {
    type Error = NotHexadecimal;

    fn try_from(text: String) -> Result<Self, NotHexadecimal> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8).ok_or(NotHexadecimal);
        let octets = pairs.iter().map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?));
        if rest.is_empty() { octets.collect::<Result<_, _>>().map(Self) } else { Err(NotHexadecimal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn octets_survive_their_way_as_text(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = String::from(Octets(octets.clone()));
            prop_assert_eq!(text.len(), 2 * octets.len());
            prop_assert_eq!(Octets::try_from(text), Ok(Octets(octets)));
        }
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        for text in ["0", "0g", "+1", "é", "00 1"] {
            assert_eq!(Octets::try_from(text.to_owned()), Err(NotHexadecimal), "{text}");
        }
        assert_eq!(Octets::try_from("0aF0".to_owned()), Ok(Octets(vec![0x0a, 0xf0])));
    }

    #[test]
    fn answers_are_readable_lines() {
        let answer = Answer {
            link: LinkId(7.try_into().unwrap()),
            about: About::Mac(MacAddr([2, 8, 0x20, 0, 0, 1])),
            verdict: Verdict::Found(vec!["10.0.0.2:4789".parse().unwrap()]),
        };
        let line = r#"{"link":7,"about":{"mac":"2:8:20:0:0:1"},"verdict":{"found":["10.0.0.2:4789"]}}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), line);
        assert_eq!(serde_json::from_str::<Answer>(line).unwrap(), answer);
    }
}
