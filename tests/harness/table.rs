use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use overlay_core::types::MacAddr;
use serde_json::{Map, Value, json};

use crate::{Family, inner_v4, inner_v6};

/// The MAC address of an end inside the overlay.
pub fn inner_mac(end: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, end])
}

/// The link-local address that a kernel makes for the MAC address of an end (RFC 4291 appendix A).
pub fn inner_link_local(end: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0008, 0x20ff, 0xfe00, end.into())
}

/// A file of the search plugin `files`, to be changed and written again.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    entries: Map<String, Value>,
}

impl Table {
    /// One without entries, which will be at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, entries: Map::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How `files` is told of it.
    pub fn property(&self) -> String {
        format!("files/config={}", self.path.display())
    }

    /// The entry of an end with all its inner addresses, at its own place on the underlay.
    pub fn place(&mut self, end: u8, family: Family) {
        let ndp = [inner_v6(end), inner_link_local(end)];
        let entry = json!({ "ip": family.underlay(end), "port": 4789, "arp": inner_v4(end), "ndp": ndp });
        self.set(inner_mac(end), entry);
    }

    /// Puts an entry, in the place of what was there.
    pub fn set(&mut self, key: impl ToString, value: Value) {
        self.entries.insert(key.to_string(), value);
    }

    /// The entry of a MAC address, to be changed.
    pub fn entry(&mut self, mac: MacAddr) -> &mut Value {
        &mut self.entries[&mac.to_string()]
    }

    /// The tunnel ends that get what is for all.
    pub fn broadcast(&mut self, ends: impl IntoIterator<Item = IpAddr>) {
        let with_port = |ip: IpAddr| std::net::SocketAddr::new(ip, 4789).to_string();
        self.set("broadcast", ends.into_iter().map(with_port).collect());
    }

    /// Writes a new file and renames it into place.
    #[track_caller]
    pub fn write(&self) {
        self.replace(&self.text());
    }

    /// Writes it in place.
    #[track_caller]
    pub fn overwrite(&self) {
        fs::write(&self.path, self.text()).expect("written");
    }

    /// Puts a file with this text in its place.
    #[track_caller]
    pub fn replace(&self, text: &str) {
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text).expect("written");
        fs::rename(&fresh, &self.path).expect("renamed");
    }

    /// Removes it.
    #[track_caller]
    pub fn remove(&self) {
        fs::remove_file(&self.path).expect("it was there");
    }

    /// What it says.
    pub fn text(&self) -> String {
        format!("{:#}\n", Value::Object(self.entries.clone()))
    }
}
