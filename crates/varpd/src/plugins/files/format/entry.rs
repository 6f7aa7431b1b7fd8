use std::fmt;
use std::net::{IpAddr, SocketAddr};

use overlay_core::types::{MacAddr, VlanId};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};

use super::super::table::Listed;
use super::value::{ENDS_MAX, INNER_MAX, Number, Strings, Text, host, inner_v4, inner_v6, mac};

/// The value of one MAC address.
pub(super) struct Entry(pub(super) MacAddr);

/// An entry, and the first of its keys that means nothing.
pub(super) struct Read {
    pub(super) listed: Listed,
    pub(super) ignored: Option<String>,
}

/// What has been read of an entry.
#[derive(Default)]
struct Parts {
    ip: Vec<IpAddr>,
    port: Option<u16>,
    arp: Vec<IpAddr>,
    ndp: Vec<IpAddr>,
    vlan: Option<u16>,
    dhcp_proxy: Option<MacAddr>,
    ignored: Option<String>,
}

impl<'de> DeserializeSeed<'de> for Entry {
    type Value = Read;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Read, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entry {
    type Value = Read;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object like {\"ip\": \"192.0.2.1\", \"port\": 4789}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut parts = Parts::default();
        while let Some(key) = map.next_key_seed(KeyOfEntry)? {
            parts.read(key, &mut map)?;
        }
        let ignored = parts.ignored.take();
        parts.finish(self.0).map(|listed| Read { listed, ignored }).map_err(A::Error::custom)
    }
}

impl Parts {
    /// Reads the value of a key; the last one counts where a key is there twice (illumos).
    fn read<'de, A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        match key {
            Key::Ip => {
                self.ip = map.next_value_seed(Strings { key: "ip", most: ENDS_MAX, read: host })?;
            }
            Key::Arp => {
                self.arp = map.next_value_seed(Strings { key: "arp", most: INNER_MAX, read: inner_v4 })?;
            }
            Key::Ndp => {
                self.ndp = map.next_value_seed(Strings { key: "ndp", most: INNER_MAX, read: inner_v6 })?;
            }
            Key::Port => self.port = Some(map.next_value_seed(Number { key: "port", range: (1, 65535) })?),
            Key::Vlan => self.vlan = Some(map.next_value_seed(Number { key: "vlan", range: (1, 4094) })?),
            Key::DhcpProxy => {
                self.dhcp_proxy = Some(map.next_value_seed(Text { key: "dhcp-proxy", read: mac })?);
            }
            Key::Other(name) => {
                self.ignored.get_or_insert(name);
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn finish(mut self, mac: MacAddr) -> Result<Listed, String> {
        let ends = match (self.port, self.ip.is_empty()) {
            (Some(port), false) => self.ip.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
            (None, true) => Vec::new(),
            (None, false) => return Err("it has 'ip' and no 'port'".to_owned()),
            (Some(_), true) => return Err("it has 'port' and no 'ip'".to_owned()),
        };
        let vid = self.vlan.map(VlanId::new).transpose().map_err(|error| error.to_string())?;
        self.arp.append(&mut self.ndp);
        Ok(Listed { mac, ends, inner: self.arp, vid, dhcp_proxy: self.dhcp_proxy })
    }
}

enum Key {
    Ip,
    Port,
    Arp,
    Ndp,
    Vlan,
    DhcpProxy,
    Other(String),
}

struct KeyOfEntry;

impl<'de> DeserializeSeed<'de> for KeyOfEntry {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Key, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOfEntry {
    type Value = Key;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key of an entry")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        Ok(match text {
            "ip" => Key::Ip,
            "port" => Key::Port,
            "arp" => Key::Arp,
            "ndp" => Key::Ndp,
            "vlan" => Key::Vlan,
            "dhcp-proxy" => Key::DhcpProxy,
            other => Key::Other(other.to_owned()),
        })
    }
}
