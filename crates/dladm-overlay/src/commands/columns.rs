use super::{overlay_rows, show_link, show_linkprop, show_search, show_vnic, statistics};
use crate::table::Column;

/// A table that a command shows.
#[derive(Debug)]
pub struct Shown {
    /// The command.
    pub command: &'static str,
    /// The option that asks for the table, `-f` for instance; empty for the one that is shown without.
    pub option: &'static str,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// A field of a table.
#[derive(Debug)]
pub struct Field {
    /// Its header.
    pub name: &'static str,
    /// Whether it is shown only when `-o` asks for it.
    pub on_request: bool,
    /// What it says.
    pub doc: &'static str,
}

/// What the fields of show-overlay -t say, where it is not what [`DOCS`] has.
const OF_TARGETS: &[(&str, &str)] = &[
    ("TARGET", "MAC address; `*:*:*:*:*:*` where one entry serves all"),
    (
        "STATE",
        "`known`: it serves; `checking`: it serves, and varpd is asked whether it still holds; `asking`: varpd is asked, and frames wait; \
         `refused`: frames are dropped for a short while, as nobody has the address or nobody could say",
    ),
];
/// The same of show-overlay -s.
const OF_COUNTERS: &[(&str, &str)] = &[
    ("LINK", "the overlay, a VNIC (its offloads), or the address of an underlay socket"),
    ("VALUE", "frames, datagrams, or words"),
];
/// The same of show-overlay -f.
const OF_STATUS: &[(&str, &str)] = &[("LINK", "the overlay")];
/// The same of show-link.
const OF_LINKS: &[(&str, &str)] =
    &[("LINK", "the overlay or VNIC"), ("OVER", "the overlay that a VNIC is on")];
/// The same of show-vnic.
const OF_VNICS: &[(&str, &str)] = &[("LINK", "the VNIC")];

/// What fields say, whatever the table.
const DOCS: &[(&str, &str)] = &[
    ("LINK", "the link"),
    ("PLUGIN", "the search plugin"),
    ("PROPERTY", "the property"),
    ("PERM", "`rw`: it can be given; `r-`: it is only shown"),
    ("REQ", "`y` where its owner cannot do without a value"),
    ("VALUE", "the value it has"),
    ("DEFAULT", "the value it has when none is given"),
    ("POSSIBLE", "the values it can have: words, and ranges of numbers"),
    ("DESCRIPTION", "what it is for"),
    ("STATUS", "`ONLINE`, or `DEGRADED`: something of it does not work"),
    ("DETAILS", "what does not work, and why; `-` when online"),
    ("DESTINATION", "where the frames go: tunnel ends, or `DROP`"),
    ("AGE", "seconds since it was last confirmed"),
    (
        "ORIGIN",
        "`point`: the one destination of the search plugin; `lookup`: a frame asked for it; `learned`: the search plugin gave it \
         before that; `manual`: an administrator set it",
    ),
    ("COUNTER", "what is counted, as overlay(7) lists it"),
    ("CLASS", "`overlay` or `vnic`"),
    ("MTU", "largest packet, in octets"),
    (
        "STATE",
        "whether overlayd can carry its frames: `up`, `down` or `unknown`; not whether its device is set up (**ip link**)",
    ),
    ("BRIDGE", "always `--`: there are no bridges"),
    ("OVER", "the overlay that it is on"),
    ("SPEED", "always 0: an overlay has no speed of its own"),
    ("MACADDRESS", "its address"),
    ("MACADDRTYPE", "`fixed` when it was given, `random` when it was drawn"),
    ("VID", "the VLAN of its frames inside the tunnel; 0 for none"),
    ("ZONE", "the zone that it is given to by its property; `--` for none"),
    ("FAULT", "why it has no device, or not where it should be"),
    ("IPACKETS", "packets in: a VNIC's were given to it, an overlay's came from the underlay"),
    ("RBYTES", "octets in, Ethernet headers included"),
    ("IERRORS", "packets dropped on their way in"),
    ("OPACKETS", "packets out: a VNIC has sent them, an overlay's went to the underlay"),
    ("OBYTES", "octets out, Ethernet headers included"),
    ("OERRORS", "packets dropped on their way out"),
    ("%IPKTS", "its part of the packets in of all VNICs shown, in percent"),
    ("%OPKTS", "its part of the packets out of all VNICs shown, in percent"),
];

/// Every table that there is.
pub fn tables() -> Vec<Shown> {
    let of_vnics = [&statistics::COLUMNS[..], &show_vnic::SHARES].concat();
    vec![
        table("show-overlay", "", &overlay_rows::PROPERTIES, &[]),
        table("show-overlay", "-f", &overlay_rows::STATUS, OF_STATUS),
        table("show-overlay", "-t", &overlay_rows::TARGETS, OF_TARGETS),
        table("show-overlay", "-s", &overlay_rows::STATISTICS, OF_COUNTERS),
        table("show-search", "", &show_search::COLUMNS, &[]),
        table("show-vnic", "", &show_vnic::COLUMNS, OF_VNICS),
        table("show-vnic", "-s", &of_vnics, OF_VNICS),
        table("show-link", "", &show_link::COLUMNS, OF_LINKS),
        table("show-link", "-P", &show_link::STORED, OF_LINKS),
        table("show-link", "-s", &statistics::COLUMNS, OF_LINKS),
        table("show-linkprop", "", &show_linkprop::COLUMNS, &[]),
    ]
}

fn table(
    command: &'static str,
    option: &'static str,
    columns: &[Column],
    special: &[(&str, &'static str)],
) -> Shown {
    let field = |column: &Column| {
        let name = column.name;
        let doc = special.iter().chain(DOCS).find(|(known, _)| *known == name).map_or("", |(_, doc)| doc);
        Field { name, on_request: column.on_request, doc }
    };
    Shown { command, option, fields: columns.iter().map(field).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_explained() {
        for table in tables() {
            for field in &table.fields {
                assert!(!field.doc.is_empty(), "{} {}: {}", table.command, table.option, field.name);
            }
        }
    }

    #[test]
    fn every_command_that_shows_a_table_has_it_here() {
        let tables = tables();
        for command in crate::cli::command().get_subcommands() {
            let name = command.get_name();
            let shows = command.get_arguments().any(|argument| argument.get_id() == "fields");
            assert_eq!(shows, tables.iter().any(|table| table.command == name), "{name}");
        }
    }
}
