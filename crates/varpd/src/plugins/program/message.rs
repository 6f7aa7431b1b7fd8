//! What varpd and a program say to each other: a JSON object on each line, with one member that names what is said.
//! Members that are not known here are passed over, so that either side may learn new words first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use overlay_core::property::{Kind, Possible, Properties, PropertySpec, Value};
use overlay_core::types::{MacAddr, VlanId, VnetId};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::declaration::printable;
use crate::plugins::interface::Query;

/// The version of the protocol.
pub(crate) const VERSION: u32 = 1;

/// Octets in a line of a program, without its end.
pub(crate) const LINE_MAX: usize = 1024 * 1024;

/// What varpd says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order<'a> {
    /// The program is to declare itself.
    Describe {
        /// The version spoken here.
        protocol: u32,
    },
    /// It is to begin its work for one overlay.
    Start {
        /// The version spoken here.
        protocol: u32,
        /// The overlay's virtual network, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        vnetid: Option<VnetId>,
        /// The values of its properties, by their names without the plugin's.
        properties: BTreeMap<&'a str, Setting<'a>>,
    },
    /// It is asked, and is to answer once.
    Ask {
        /// Names the question.
        id: u64,
        /// What is asked.
        #[serde(flatten)]
        asked: Asked,
    },
    /// The driver has taken its overlay, for the first time or anew, and may know nothing of destinations.
    Associated {},
    /// The administrator wants everything read again.
    Reload {},
}

impl<'a> Order<'a> {
    /// The order to begin, with the values of the plugin's own properties.
    pub(crate) fn start(table: &'a [PropertySpec], set: &'a Properties, vnetid: Option<VnetId>) -> Self {
        let setting = |spec: &'a PropertySpec| {
            let (_, name) = spec.name.split_once('/')?;
            Some((name, Setting::of(set.value(&spec.name)?)))
        };
        Self::Start { protocol: VERSION, vnetid, properties: table.iter().filter_map(setting).collect() }
    }

    /// As a line, with its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        // Writing these types to memory cannot fail: no map keys but strings, no failing Serialize.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The value of a property, as JSON has it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Setting<'a> {
    Int(i64),
    Uint(u64),
    Ip(IpAddr),
    Text(Cow<'a, str>),
}

impl<'a> Setting<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Int(number) => Self::Int(*number),
            Value::Uint(number) => Self::Uint(*number),
            Value::Ip(address) => Self::Ip(*address),
            Value::Text(text) => Self::Text(Cow::Borrowed(text)),
            other => Self::Text(Cow::Owned(other.to_string())),
        }
    }
}

/// A [`Query`] in the protocol's words.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked {
    Target {
        mac: MacAddr,
        source: MacAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<VlanId>,
    },
    Resolve {
        ip: IpAddr,
        asker: MacAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<VlanId>,
    },
    Dhcp {
        client: MacAddr,
        v6: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<VlanId>,
    },
}

impl From<&Query> for Asked {
    fn from(query: &Query) -> Self {
        match *query {
            Query::Target { mac, source, vid } => Self::Target { mac, source, vlan: vid },
            Query::Resolve { ip, asker, vid } => Self::Resolve { ip, asker, vlan: vid },
            Query::Dhcp { client, v6, vid } => Self::Dhcp { client, v6, vlan: vid },
        }
    }
}

/// What a program says; nothing in it has been checked but its form.
#[derive(Debug)]
pub(crate) enum Said {
    /// What it is.
    Plugin(Declaration),
    /// It works, or its destination or the known tunnel ends have changed.
    Ready(Readiness),
    /// The answer to a question.
    Answer(Answer),
    /// An address is at these tunnel ends now.
    Moved(Place),
    /// The same, to be kept though nobody has asked.
    Learned(Place),
    /// Nobody has an address any more.
    Gone(Address),
    /// What was answered may be wrong now.
    Doubtful(Doubt),
    /// An IP address has another owner, and those who know the old one are to be told.
    Announce(Announcement),
    /// Lookups do not work, or not wholly.
    Degrade(Complaint),
    /// They work again.
    Restore,
}

/// What a program is.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Declaration {
    pub(crate) protocol: u32,
    pub(crate) mode: DeclaredMode,
    #[serde(default)]
    pub(crate) properties: Vec<Declared>,
}

/// When it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeclaredMode {
    Point,
    Dynamic,
}

/// A property of it.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) default: Option<serde_json::Value>,
    #[serde(default = "anything")]
    pub(crate) possible: Possible,
    pub(crate) doc: String,
}

const fn anything() -> Possible {
    Possible::Any
}

/// How destinations are found and who may send.
#[derive(Debug, Deserialize)]
pub(crate) struct Readiness {
    pub(crate) sources: Senders,
    #[serde(default)]
    pub(crate) point: Option<SocketAddr>,
}

/// The tunnel ends that may send.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "'sources' is neither a list of IP addresses nor \"any\"")]
pub(crate) enum Senders {
    Known(Vec<IpAddr>),
    Word(SendersWord),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SendersWord {
    Any,
}

/// The answer to a question: one of the last four.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) ends: Option<Vec<SocketAddr>>,
    #[serde(default)]
    pub(crate) mac: Option<MacAddr>,
    #[serde(default)]
    pub(crate) absent: bool,
    #[serde(default)]
    pub(crate) unknown: bool,
}

/// An address and where it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) mac: MacAddr,
    pub(crate) ends: Vec<SocketAddr>,
}

/// An address.
#[derive(Debug, Deserialize)]
pub(crate) struct Address {
    pub(crate) mac: MacAddr,
}

/// What is in doubt: one of these.
#[derive(Debug, Deserialize)]
pub(crate) struct Doubt {
    #[serde(default)]
    pub(crate) mac: Option<MacAddr>,
    #[serde(default)]
    pub(crate) groups: bool,
    #[serde(default)]
    pub(crate) all: bool,
}

/// An IP address and its owner.
#[derive(Debug, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) ip: IpAddr,
    pub(crate) mac: MacAddr,
    #[serde(default)]
    pub(crate) vlan: Option<VlanId>,
}

/// What does not work.
#[derive(Debug, Deserialize)]
pub(crate) struct Complaint {
    pub(crate) message: String,
}

/// Reads a line; nothing when it says only what is not known here.
///
/// # Errors
/// What is wrong with it, in one line that can be shown.
pub(crate) fn read(line: &[u8]) -> Result<Option<Said>, String> {
    match serde_json::from_slice(line) {
        Ok(Line(said)) => Ok(said),
        // The reason quotes the line.
        Err(error) => Err(printable(&error.to_string())),
    }
}

struct Line(Option<Said>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "kebab-case")]
enum Word {
    Plugin,
    Ready,
    Answer,
    Moved,
    Learned,
    Gone,
    Doubtful,
    Announce,
    Degrade,
    Restore,
    #[serde(other)]
    Unknown,
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with one member")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut said = None;
        while let Some(word) = map.next_key()? {
            let next = member(&word, &mut map)?;
            if said.is_some() && next.is_some() {
                return Err(A::Error::custom("it says two things in one line"));
            }
            said = said.or(next);
        }
        Ok(Line(said))
    }
}

fn member<'de, A: MapAccess<'de>>(word: &Word, map: &mut A) -> Result<Option<Said>, A::Error> {
    Ok(Some(match word {
        Word::Plugin => Said::Plugin(map.next_value()?),
        Word::Ready => Said::Ready(map.next_value()?),
        Word::Answer => Said::Answer(map.next_value()?),
        Word::Moved => Said::Moved(map.next_value()?),
        Word::Learned => Said::Learned(map.next_value()?),
        Word::Gone => Said::Gone(map.next_value()?),
        Word::Doubtful => Said::Doubtful(map.next_value()?),
        Word::Announce => Said::Announce(map.next_value()?),
        Word::Degrade => Said::Degrade(map.next_value()?),
        Word::Restore => map.next_value().map(|IgnoredAny| Said::Restore)?,
        Word::Unknown => return map.next_value().map(|IgnoredAny| None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::property::Assignment;

    fn text(order: &Order<'_>) -> String {
        String::from_utf8(order.line()).unwrap()
    }

    #[test]
    fn orders_are_lines_with_one_member() {
        assert_eq!(text(&Order::Describe { protocol: 1 }), "{\"describe\":{\"protocol\":1}}\n");
        assert_eq!(text(&Order::Reload {}), "{\"reload\":{}}\n");
        let query = Query::Target {
            mac: MacAddr([2, 8, 0x20, 0, 0, 1]),
            source: MacAddr([2, 8, 0x20, 0, 0, 2]),
            vid: None,
        };
        assert_eq!(
            text(&Order::Ask { id: 7, asked: (&query).into() }),
            "{\"ask\":{\"id\":7,\"target\":{\"mac\":\"2:8:20:0:0:1\",\"source\":\"2:8:20:0:0:2\"}}}\n"
        );
        let query = Query::Dhcp { client: MacAddr([2; 6]), v6: true, vid: VlanId::new(7).ok() };
        assert_eq!(
            text(&Order::Ask { id: 8, asked: (&query).into() }),
            "{\"ask\":{\"id\":8,\"dhcp\":{\"client\":\"2:2:2:2:2:2\",\"v6\":true,\"vlan\":7}}}\n"
        );
    }

    #[test]
    fn properties_travel_without_their_prefix_and_with_their_type() {
        let table = [
            PropertySpec::new("x/table", Kind::String, Possible::Any, None, "t").required(),
            PropertySpec::new("x/count", Kind::Uint, Possible::Any, Some("7"), "c"),
            PropertySpec::new("x/server", Kind::Ip, Possible::Any, None, "s"),
        ];
        let set = Properties::check(&table, &[Assignment::new("x/table", "/t")]).unwrap();
        assert_eq!(
            text(&Order::start(&table, &set, VnetId::new(23).ok())),
            "{\"start\":{\"protocol\":1,\"vnetid\":23,\"properties\":{\"count\":7,\"table\":\"/t\"}}}\n"
        );
    }

    #[test]
    fn every_word_of_a_program_is_read() {
        for line in [
            r#"{"plugin":{"protocol":1,"mode":"dynamic"}}"#,
            r#"{"ready":{"sources":["10.0.0.2"]}}"#,
            r#"{"ready":{"sources":"any","point":"[2001:db8::1]:4789"}}"#,
            r#"{"answer":{"id":7,"ends":["10.0.0.2:4789"]}}"#,
            r#"{"answer":{"id":7,"absent":true}}"#,
            r#"{"moved":{"mac":"2:8:20:0:0:1","ends":[]}}"#,
            r#"{"learned":{"mac":"02:08:20:00:00:01","ends":[]}}"#,
            r#"{"gone":{"mac":"2:8:20:0:0:1"}}"#,
            r#"{"doubtful":{"all":true}}"#,
            r#"{"announce":{"ip":"10.8.0.1","mac":"2:8:20:0:0:1","vlan":7}}"#,
            r#"{"degrade":{"message":"no table"}}"#,
            r#"{"restore":{}}"#,
        ] {
            assert!(matches!(read(line.as_bytes()), Ok(Some(_))), "{line}");
        }
    }

    #[test]
    fn unknown_words_and_members_are_passed_over() {
        assert!(matches!(read(br#"{"tomorrow":{"x":[1]}}"#), Ok(None)));
        assert!(matches!(read(b"{}"), Ok(None)));
        let line = br#"{"note":1,"gone":{"mac":"2:8:20:0:0:1","since":5},"more":null}"#;
        assert!(matches!(read(line), Ok(Some(Said::Gone(_)))));
    }

    #[test]
    fn what_has_another_form_is_refused_with_the_reason() {
        for (line, reason) in [
            ("", "EOF"),
            ("hello", "expected value"),
            ("[]", "an object with one member"),
            (r#"{"restore":{},"gone":{"mac":"2:8:20:0:0:1"}}"#, "two things"),
            (r#"{"gone":{"mac":"2:8"}}"#, "is not a MAC address"),
            (r#"{"ready":{"sources":"some"}}"#, "neither a list"),
            (r#"{"answer":{"ends":[]}}"#, "missing field `id`"),
            (r#"{"answer":{"id":-1}}"#, "invalid value"),
            (r#"{"plugin":{"protocol":1,"mode":"\u001b[2J"}}"#, r"unknown variant `\u{1b}[2J`"),
        ] {
            let error = read(line.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
