use std::fmt;

use overlay_core::types::MacAddr;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};

use super::super::table::Draft;
use super::entry::{Entry, Read};
use super::value::{ENDS_MAX, Quoted, Strings, tunnel_end};

const BROADCAST: &str = "broadcast";

/// The whole file.
pub(super) struct Document;

impl<'de> DeserializeSeed<'de> for Document {
    type Value = Draft;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Draft, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document {
    type Value = Draft;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object whose keys are MAC addresses")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft, A::Error> {
        let mut draft = Draft::default();
        while let Some(key) = map.next_key_seed(KeyOfDocument)? {
            match key {
                Key::Broadcast => {
                    let ends = Strings { key: BROADCAST, most: ENDS_MAX, read: tunnel_end };
                    draft.broadcast(map.next_value_seed(ends)?);
                }
                Key::Mac(mac) => {
                    // serde_json finds its place again in the text of an error.
                    let of_entry = |error| A::Error::custom(format_args!("entry {mac}: {error}"));
                    let Read { listed, ignored } = map.next_value_seed(Entry(mac)).map_err(of_entry)?;
                    draft.add(listed).map_err(A::Error::custom)?;
                    draft.note_ignored(mac, ignored);
                }
            }
        }
        Ok(draft)
    }
}

enum Key {
    Mac(MacAddr),
    Broadcast,
}

struct KeyOfDocument;

impl<'de> DeserializeSeed<'de> for KeyOfDocument {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Key, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOfDocument {
    type Value = Key;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a MAC address or '{BROADCAST}'")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        if text == BROADCAST {
            return Ok(Key::Broadcast);
        }
        let unknown =
            |_| E::custom(format_args!("{} is neither a MAC address nor '{BROADCAST}'", Quoted(text)));
        text.parse().map(Key::Mac).map_err(unknown)
    }
}
