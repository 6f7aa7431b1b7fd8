use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use overlay_core::lookup::Sources;
use overlay_core::types::{MacAddr, VlanId};
use proptest::prelude::*;

use super::super::table::tests::{content, table};
use super::super::table::{Listed, Shadowed};
use super::*;

/// The files in a directory of those for tests, each with its name without the ending.
fn files(directory: &str) -> Vec<(String, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(directory);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path)).collect()
}

fn good(name: &str) -> (Table, Notes) {
    let (_, path) = files("good").into_iter().find(|(known, _)| known == name).unwrap();
    parse_with_notes(&fs::read(path).unwrap()).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 8, 0x20, 0, 0, last])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ends(ends: &[&str]) -> Option<Vec<SocketAddr>> {
    Some(ends.iter().map(|end| end.parse().unwrap()).collect())
}

fn target(table: &Table, mac: MacAddr) -> Option<Vec<SocketAddr>> {
    table.target(mac).map(<[_]>::to_vec)
}

#[test]
fn every_bad_file_is_refused_with_place_and_reason() {
    let mut wrong = String::new();
    let bad = files("bad");
    assert!(bad.len() >= 24);
    for (name, path) in bad {
        let error = parse(&fs::read(&path).unwrap()).map(drop).unwrap_err().to_string();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if error != expected.trim_end() {
            writeln!(wrong, "{name}: {error}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as beside the file:\n{wrong}");
}

#[test]
fn a_file_written_for_illumos_loads() {
    let (table, notes) = good("illumos");
    assert_eq!(notes, Notes::default());
    assert_eq!(table.len(), 4);
    assert_eq!(target(&table, mac(1)), ends(&["192.0.2.11:4789"]));
    assert_eq!(target(&table, mac(2)), ends(&["[2001:db8::12]:4789"]));
    assert_eq!(target(&table, MacAddr::BROADCAST), ends(&["192.0.2.20:4789"]));
    assert_eq!(target(&table, MacAddr([0x33, 0x33, 0, 0, 0, 1])), None);
    assert_eq!(table.resolve(ip("10.8.0.254"), None), Some(mac(0xfe)));
    assert_eq!(table.resolve(ip("fd00:8::1"), VlanId::new(7).ok()), Some(mac(1)));
    assert_eq!((table.dhcp_proxy(mac(1)), table.dhcp_proxy(mac(2))), (Some(mac(0xfe)), None));
}

#[test]
fn lists_vlans_and_broadcasts_are_read() {
    let (table, notes) = good("additions");
    assert_eq!(notes, Notes::default());
    assert_eq!(target(&table, mac(1)), ends(&["192.0.2.11:4789", "[2001:db8::11]:4789"]));
    let everybody = ends(&["192.0.2.11:4789", "192.0.2.13:4790", "[2001:db8::12]:4789"]);
    assert_eq!(target(&table, MacAddr::BROADCAST), everybody);
    for inner in ["10.8.0.1", "10.8.0.101", "fd00:8::1", "fe80::8:20ff:fe00:1"] {
        assert_eq!(table.resolve(ip(inner), VlanId::new(42).ok()), Some(mac(1)), "{inner}");
        assert_eq!(table.resolve(ip(inner), None), None, "{inner}");
    }
    assert_eq!((target(&table, mac(2)), table.dhcp_proxy(mac(2))), (None, Some(mac(1))));
    let known = ["192.0.2.11", "2001:db8::11", "2001:db8::12", "192.0.2.13"].map(ip);
    assert_eq!(table.sources(), &Sources::known(known));
}

#[test]
fn oddities_that_illumos_takes_are_taken() {
    let (table, notes) = good("oddities");
    let shadowed = Some(Shadowed { ip: ip("10.8.0.1"), mac: mac(1) });
    let (trailing, ignored) = (Some(Place { line: 7, column: 1 }), Some((mac(2), "owner".to_owned())));
    assert_eq!(notes, Notes { trailing, shadowed, ignored });
    assert_eq!(target(&table, mac(1)), ends(&["192.0.2.11:4789"]), "the last of two counts");
    assert_eq!(table.resolve(ip("10.8.0.66"), None), None, "the first of two is gone");
    assert_eq!(table.resolve(ip("10.8.0.1"), None), Some(mac(2)), "the first in the file has it");
}

#[test]
fn a_file_without_entries_is_a_table() {
    assert_eq!(parse(b" {} "), Ok(Table::default()));
    assert_eq!(parse(b"{\"broadcast\": []}"), Ok(Table::default()));
}

#[test]
fn reasons_are_short_lines_whatever_the_file_has() {
    let long = "\\n".repeat(100_000);
    let bad = [
        format!("{{\"{long}\": 1}}"),
        format!("{{\"2:0:0:0:0:1\": \"{long}\"}}"),
        format!("{{\"2:0:0:0:0:1\": {{\"ip\": \"{long}\"}}}}"),
        format!("{{\"2:0:0:0:0:1\": {{\"port\": \"{long}\"}}}}"),
    ];
    for text in bad {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.len() < 600 && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_file_cannot_lie_about_the_place() {
    let error = parse(b"{\"x at line 7 column 9\": 1}").unwrap_err();
    assert_eq!(error.place, Place { line: 1, column: 23 });
    let error = parse(b"{\"2:0:0:0:0:1\": {\"ip\": \" at line 7 column 9\"}}").unwrap_err();
    assert_eq!(error.place.line, 1);
}

#[test]
fn deep_nesting_is_refused_or_skipped_without_harm() {
    let deep = "[".repeat(1_000_000);
    assert!(parse(deep.as_bytes()).is_err());
    assert!(parse(format!("{{\"2:0:0:0:0:1\": {{\"x\": {deep}").as_bytes()).is_err());
    assert!(parse(format!("{{\"2:0:0:0:0:1\": {{\"ip\": {deep}").as_bytes()).is_err());
    let whole = format!("{{\"2:0:0:0:0:1\": {{\"x\": {deep}{}}}}}", "]".repeat(1_000_000));
    assert_eq!(parse(whole.as_bytes()).map(|table| table.len()), Ok(1));
}

#[test]
fn limits_are_told() {
    let end = "\"192.0.2.1:1\",".repeat(value::ENDS_MAX);
    let error = parse(format!("{{\"broadcast\": [{end}\"192.0.2.1:1\"]}}").as_bytes()).unwrap_err();
    assert_eq!(error.reason, "broadcast has more than 4096 addresses");
    let arp = "\"10.0.0.1\",".repeat(value::INNER_MAX);
    let error =
        parse(format!("{{\"2:0:0:0:0:1\": {{\"arp\": [{arp}\"10.0.0.1\"]}}}}").as_bytes()).unwrap_err();
    assert_eq!(error.reason, "entry 2:0:0:0:0:1: arp has more than 65536 addresses");
}

#[test]
fn a_hundred_thousand_entries_are_all_there() {
    let mut text = String::from("{");
    for number in 0..100_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let comma = if number == 0 { "" } else { "," };
        let inner = format!("\"arp\":\"10.{a}.{b}.{c}\",\"ndp\":\"fd00::{a:x}:{b:x}{c:02x}\"");
        let entry = format!("\"ip\":\"192.0.{b}.{c}\",\"port\":4789,{inner}");
        write!(text, "{comma}\n\"2:8:20:{a:x}:{b:x}:{c:x}\":{{{entry}}}").unwrap();
    }
    let table = parse((text + "}").as_bytes()).unwrap();
    assert_eq!(table.len(), 100_000);
    for number in 0..100_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let mac = MacAddr([2, 8, 0x20, a, b, c]);
        assert_eq!(table.target(mac), Some(&[SocketAddr::from(([192, 0, b, c], 4789))][..]));
        assert_eq!(table.resolve(IpAddr::from([10, a, b, c]), None), Some(mac));
        let ndp = [0xfd00, 0, 0, 0, 0, 0, u16::from(a), u16::from_be_bytes([b, c])];
        assert_eq!(table.resolve(IpAddr::from(ndp), None), Some(mac));
    }
    assert_eq!(table.target(MacAddr([2, 8, 0x20, 1, 0x86, 0xa0])), None);
}

/// A file with this content, in its longest spelling.
fn emit(listed: &[Listed], broadcast: &[SocketAddr]) -> String {
    let mut entries: Vec<_> = listed.iter().map(emit_entry).collect();
    entries.insert(entries.len() / 2, format!("\"broadcast\": {}", strings(broadcast)));
    format!("{{\n{}\n}}\n", entries.join(",\n"))
}

fn emit_entry(Listed { mac, ends, inner, vid, dhcp_proxy }: &Listed) -> String {
    let hosts: Vec<_> = ends.iter().map(SocketAddr::ip).collect();
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = inner.iter().partition(|ip| ip.is_ipv4());
    let mut parts = vec![format!("\"arp\": {}, \"ndp\": {}", strings(&v4), strings(&v6))];
    parts.push(format!("\"ip\": {}", strings(&hosts)));
    parts.extend(ends.first().map(|end| format!("\"port\": {}", end.port())));
    parts.extend(vid.map(|vid| format!("\"vlan\": {vid}")));
    parts.extend(dhcp_proxy.map(|proxy| format!("\"dhcp-proxy\": \"{proxy}\"")));
    format!("  \"{mac}\": {{ {} }}", parts.join(", "))
}

/// A string where one is enough.
fn strings(values: &[impl ToString]) -> String {
    match values {
        [one] => format!("\"{}\"", one.to_string()),
        many => {
            let many: Vec<_> = many.iter().map(|one| format!("\"{}\"", one.to_string())).collect();
            format!("[{}]", many.join(", "))
        }
    }
}

/// Octets with the look of a file.
fn nearly_a_file() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u0031",
        " ",
        "\n",
        "\"2:8:20:0:0:1\"",
        "\"broadcast\"",
        "\"ip\"",
        "\"port\"",
        "\"arp\"",
        "\"ndp\"",
        "\"vlan\"",
        "\"dhcp-proxy\"",
        "\"192.0.2.1\"",
        "\"::1\"",
        "4789",
        "-1",
        "1e9",
        "null",
        "\"192.0.2.1:1\"",
        "\u{1f600}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40)
        .prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&octets);
    }

    #[test]
    fn what_nearly_is_a_file_is_read_or_refused_with_a_place_in_it(octets in nearly_a_file()) {
        if let Err(LoadError { place, reason }) = parse(&octets) {
            let lines = octets.iter().filter(|octet| **octet == b'\n').count() + 1;
            prop_assert!((1..=lines).contains(&place.line) && place.column <= octets.len(), "{}", place);
            prop_assert!(!reason.is_empty() && !reason.contains('\n'), "{}", reason);
        }
    }

    #[test]
    fn what_was_written_is_read((listed, broadcast) in content()) {
        prop_assert_eq!(parse(emit(&listed, &broadcast).as_bytes()), Ok(table(&listed, &broadcast)));
    }

    #[test]
    fn a_file_cut_short_is_refused_at_any_length((listed, broadcast) in content()) {
        let whole = emit(&listed, &broadcast);
        let last = whole.rfind('}').unwrap();
        for len in 0..=last {
            prop_assert!(parse(&whole.as_bytes()[..len]).is_err(), "{}", &whole[..len]);
        }
        prop_assert!(parse(&whole.as_bytes()[..=last]).is_ok());
    }

    #[test]
    fn a_flipped_bit_does_no_harm((listed, broadcast) in content(), place: prop::sample::Index, bit in 0..8) {
        let mut octets = emit(&listed, &broadcast).into_bytes();
        let place = place.index(octets.len());
        octets[place] ^= 1_u8 << bit;
        let _ = parse(&octets);
    }
}
