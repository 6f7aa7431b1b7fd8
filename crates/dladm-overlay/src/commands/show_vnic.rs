use overlay_core::protocol::{LinkClass, LinkInfo, MacType, StoredLink, StoredWhat};
use overlay_core::types::{LinkName, VlanId};

use super::{link_faults, statistics, stored};
use crate::cli::ShowVnic;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Column, Style};

const COMMAND: &str = "show-vnic";

pub(super) const COLUMNS: [Column; 8] = [
    Column::new("LINK", 13),
    Column::new("OVER", 13),
    Column::new("SPEED", 9),
    Column::new("MACADDRESS", 18),
    Column::new("MACADDRTYPE", 20),
    Column::new("VID", 7),
    Column::new("ZONE", 20),
    Column::new("FAULT", 40).on_request(),
];

/// Each VNIC's part of the packets that all those shown have carried.
pub(super) const SHARES: [Column; 2] = [Column::new("%IPKTS", 8), Column::new("%OPKTS", 8)];

/// Shows VNICs, what is stored of them, or what they have carried.
pub(super) fn run(arguments: &ShowVnic, session: &mut Session<'_>) -> Result<(), Error> {
    let (fields, style) = (arguments.format.fields.as_deref(), arguments.format.style(Style::Human));
    if arguments.statistics.statistics {
        let interval = statistics::interval(COMMAND, arguments.statistics.interval.as_deref())?;
        let columns = [&statistics::COLUMNS[..], &SHARES].concat();
        let mut printer = session.printer(COMMAND, &columns, fields, style)?;
        let find = |session: &mut Session<'_>| find(arguments, session);
        return statistics::show(session, &mut printer, interval, find, carried);
    }
    let mut printer = session.printer(COMMAND, &COLUMNS, fields, style)?;
    let rows: Vec<_> = if arguments.persistent {
        find_stored(arguments, session)?.iter().filter_map(stored_row).collect()
    } else {
        let links = find(arguments, session)?;
        if style == Style::Human && fields.is_none() {
            link_faults::warn(&links, session);
        }
        links.iter().filter_map(property_row).collect()
    };
    let text = printer.render(&rows);
    Ok(session.show(&text)?)
}

fn find(arguments: &ShowVnic, session: &mut Session<'_>) -> Result<Vec<LinkInfo>, Error> {
    let failed = |error| Failure::of_daemon("cannot show VNICs", &error);
    let mut links = session.daemons.links().map_err(failed)?;
    if let Some(over) = &arguments.link {
        let mut overlays = links.iter().filter(|link| link.class == LinkClass::Overlay);
        if !overlays.any(|overlay| overlay.name.as_str() == over) {
            let failure = Failure::new(format!("cannot show VNICs of {over}"), "there is no such overlay");
            return Err(failure.or_hint("what there is: dladm show-overlay -f").into());
        }
        links.retain(|link| {
            link.vnic
                .as_ref()
                .is_some_and(|vnic| vnic.over.as_ref().is_some_and(|name| name.as_str() == over))
        });
    }
    links.retain(|link| link.vnic.is_some());
    if let Some(name) = &arguments.vnic {
        links.retain(|link| link.name.as_str() == name);
        if links.is_empty() {
            return Err(stored::missing(format!("cannot show VNIC {name}"), name, "vnic", session).into());
        }
    }
    Ok(links)
}

fn find_stored(arguments: &ShowVnic, session: &mut Session<'_>) -> Result<Vec<StoredLink>, Error> {
    let mut links = stored::links("cannot show VNICs", session)?;
    if let Some(over) = &arguments.link {
        let is_overlay = |link: &StoredLink| matches!(link.what, StoredWhat::Overlay { .. });
        if !links.iter().any(|link| is_overlay(link) && link.name.as_str() == over) {
            let what = format!("cannot show VNICs of {over}");
            return Err(stored::not_stored(what, over, "overlay", session).into());
        }
        let is_over = |name: &LinkName| name.as_str() == over;
        links.retain(|link| matches!(&link.what, StoredWhat::Vnic { over: Some(name), .. } if is_over(name)));
    }
    links.retain(|link| matches!(link.what, StoredWhat::Vnic { .. }));
    if let Some(name) = &arguments.vnic {
        links.retain(|link| link.name.as_str() == name);
        if links.is_empty() {
            return Err(stored::not_stored(format!("cannot show VNIC {name}"), name, "vnic", session).into());
        }
    }
    Ok(links)
}

fn property_row(link: &LinkInfo) -> Option<Vec<Cell>> {
    let vnic = link.vnic.as_ref()?;
    Some(vec![
        Cell::text(&link.name),
        Cell::maybe(vnic.over.as_ref()),
        // The speed is that of the lower link, and an overlay has none (illumos: 0).
        Cell::number(0u32),
        Cell::text(vnic.mac),
        Cell::text(mac_type(vnic.mac_type)),
        vlan(vnic.vid),
        Cell::maybe(vnic.zone.as_ref()),
        Cell::maybe(vnic.fault.as_ref()).alarming(true),
    ])
}

fn stored_row(link: &StoredLink) -> Option<Vec<Cell>> {
    let StoredWhat::Vnic { over, mac, mac_type, vid, zone } = &link.what else { return None };
    Some(vec![
        Cell::text(&link.name),
        Cell::maybe(over.as_ref()),
        // That is of a link that is there.
        Cell::empty(),
        Cell::text(mac),
        Cell::text(self::mac_type(*mac_type)),
        vlan(*vid),
        Cell::maybe(zone.as_ref()),
        Cell::empty(),
    ])
}

const fn mac_type(mac_type: MacType) -> &'static str {
    match mac_type {
        MacType::Fixed => "fixed",
        MacType::Random => "random",
    }
}

fn vlan(vid: Option<VlanId>) -> Cell {
    vid.map_or_else(|| Cell::absent("0"), |vid| Cell::number(vid.number()))
}

fn carried(links: &[LinkInfo]) -> Vec<Vec<Cell>> {
    let all_in = links.iter().map(|link| link.counters.in_frames).sum();
    let all_out = links.iter().map(|link| link.counters.out_frames).sum();
    let shares = |link: &LinkInfo| {
        let counters = &link.counters;
        [Cell::percent(counters.in_frames, all_in), Cell::percent(counters.out_frames, all_out)]
    };
    links.iter().map(|link| [statistics::row(link), shares(link).to_vec()].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::twin::{self, Twin};

    const VNICS: &str = "\
LINK         OVER         SPEED    MACADDRESS        MACADDRTYPE         VID    ZONE
web0         blue0        0        2:8:20:12:34:56   random              0      --
";

    const ZONED: &str = "\
LINK         OVER         SPEED    MACADDRESS        MACADDRTYPE         VID    ZONE
web0         blue0        0        2:8:20:12:34:56   random              0      --
web2         blue0        0        2:8:20:0:0:2      fixed               0      db
";

    #[test]
    fn vnics_are_shown_as_in_illumos() {
        for arguments in ["show-vnic", "show-vnic web0", "show-vnic -l blue0"] {
            let ran = Twin::default().run(arguments);
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, VNICS, ""), "{arguments}");
        }
    }

    #[test]
    fn a_fixed_address_and_a_vlan_are_shown() {
        let mut twin = Twin { links: vec![twin::tagged_vnic()], ..Twin::default() };
        let ran = twin.run("show-vnic -p -o macaddress,macaddrtype,vid");
        assert_eq!(ran.out, "2\\:8\\:20\\:0\\:0\\:1:fixed:7\n");
        assert!(twin.run("show-vnic --json -o vid").out.contains("\"vid\": 7"));
    }

    #[test]
    fn a_vnics_zone_is_shown_and_what_is_wrong_with_it_told() {
        let mut twin = Twin { links: vec![twin::vnic(), twin::zoned_vnic()], ..Twin::default() };
        let ran = twin.run("show-vnic");
        assert_eq!((ran.status, &*ran.out), (0, ZONED));
        assert_eq!(ran.err, "dladm: warning: VNIC web2: there is no zone db\n");
        let ran = twin.run("show-vnic -p -o link,zone,fault");
        assert_eq!((&*ran.out, &*ran.err), ("web0::\nweb2:db:there is no zone db\n", ""));
    }

    #[test]
    fn a_single_field_is_not_escaped() {
        assert_eq!(Twin::default().run("show-vnic -p -o macaddress").out, "2:8:20:12:34:56\n");
    }

    #[test]
    fn a_program_gets_null_for_no_vlan() {
        let ran = Twin::default().run("show-vnic --json");
        let expected = "[\n  {\"link\": \"web0\", \"over\": \"blue0\", \"speed\": 0, \
            \"macaddress\": \"2:8:20:12:34:56\", \"macaddrtype\": \"random\", \"vid\": null, \"zone\": null}\n]\n";
        assert_eq!(ran.out, expected);
    }

    const STORED: &str = "\
LINK         OVER         SPEED    MACADDRESS        MACADDRTYPE         VID    ZONE
web4         blue0        --       2:8:20:0:0:4      fixed               7      db
";

    #[test]
    fn what_is_stored_is_shown_whether_it_is_there_or_not() {
        for arguments in ["-P", "-P web4", "-P -l blue0"] {
            let ran = Twin::default().run(&format!("show-vnic {arguments}"));
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, STORED, ""), "{arguments}");
        }
        for (arguments, line) in [
            ("-P web0", "cannot show VNIC web0: it is temporary: nothing of it is stored"),
            ("-P blue0", "cannot show VNIC blue0: it is temporary"),
            ("-P -l red0", "cannot show VNICs of red0: no such overlay is stored"),
            ("web4", "cannot show VNIC web4: it is stored, and not there now"),
        ] {
            let ran = Twin::default().run(&format!("show-vnic {arguments}"));
            assert!(ran.err.starts_with(&format!("dladm: {line}")), "{}", ran.err);
            assert_eq!((ran.status, &*ran.out), (1, ""));
        }
    }

    #[test]
    fn statistics_have_each_vnics_share() {
        let links = vec![twin::overlay_link(), twin::vnic(), twin::tagged_vnic()];
        let ran = Twin { links, ..Twin::default() }.run("show-vnic -s");
        let expected = "\
LINK           IPACKETS  RBYTES  IERRORS   OPACKETS    OBYTES      OERRORS %IPKTS  %OPKTS
web0           10        1000    1         20          2000        2       25.0    100.0
web1           30        3000    0         0           0           0       75.0    0.0
";
        assert_eq!(ran.out, expected);
    }

    #[test]
    fn what_is_not_there_is_told() {
        for (arguments, line) in [
            ("show-vnic x0", "cannot show VNIC x0: there is no such VNIC"),
            ("show-vnic blue0", "cannot show VNIC blue0: there is no such VNIC"),
            ("show-vnic -l web0", "cannot show VNICs of web0: there is no such overlay"),
        ] {
            let ran = Twin::default().run(arguments);
            assert!(ran.err.starts_with(&format!("dladm: {line}\n")), "{}", ran.err);
            assert_eq!((ran.status, &*ran.out), (1, ""));
        }
    }
}
