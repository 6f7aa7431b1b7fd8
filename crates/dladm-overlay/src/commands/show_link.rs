use overlay_core::protocol::{LinkClass, LinkInfo, LinkState};

use super::{link_faults, statistics};
use crate::cli::ShowLink;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Column, Style};

const COMMAND: &str = "show-link";

const COLUMNS: [Column; 7] = [
    Column::new("LINK", 12),
    Column::new("CLASS", 10),
    Column::new("MTU", 7),
    Column::new("STATE", 9),
    Column::new("BRIDGE", 11),
    // 30 in illumos, which has nothing after it.
    Column::new("OVER", 13),
    Column::new("ZONE", 20),
];

/// Shows links, or what they have carried.
pub(super) fn run(arguments: &ShowLink, session: &mut Session<'_>) -> Result<(), Error> {
    let interval = statistics::interval(COMMAND, &arguments.statistics)?;
    let statistics = arguments.statistics.statistics;
    let columns = if statistics { &statistics::COLUMNS[..] } else { &COLUMNS };
    let (fields, style) = (arguments.format.fields.as_deref(), arguments.format.style(Style::Human));
    let mut printer = session.printer(COMMAND, columns, fields, style)?;
    let row = if statistics { statistics::row } else { row };
    let rows = |links: &[LinkInfo]| links.iter().map(row).collect();
    let found = |session: &mut Session<'_>| {
        let links = find(arguments, session)?;
        if style == Style::Human && !statistics {
            link_faults::warn(&links, session);
        }
        Ok(links)
    };
    statistics::show(session, &mut printer, interval, found, rows)
}

fn find(arguments: &ShowLink, session: &mut Session<'_>) -> Result<Vec<LinkInfo>, Error> {
    let failed = |error| Failure::of_daemon("cannot show links", &error);
    let mut links = session.daemons.links().map_err(failed)?;
    if let Some(name) = &arguments.link {
        links.retain(|link| link.name.as_str() == name);
        if links.is_empty() {
            let failure = Failure::new(format!("cannot show link {name}"), "there is no such link");
            return Err(failure.or_hint("what there is: dladm show-link").into());
        }
    }
    Ok(links)
}

fn row(link: &LinkInfo) -> Vec<Cell> {
    let class = match link.class {
        LinkClass::Overlay => "overlay",
        LinkClass::Vnic => "vnic",
    };
    let state = match link.state {
        LinkState::Up => "up",
        LinkState::Down => "down",
        LinkState::Unknown => "unknown",
    };
    let over = link.vnic.as_ref().and_then(|vnic| vnic.over.as_ref()).map_or_else(Cell::empty, Cell::text);
    let zone = link.vnic.as_ref().and_then(|vnic| vnic.zone.as_ref()).map_or_else(Cell::empty, Cell::text);
    vec![
        Cell::text(&link.name),
        Cell::text(class),
        Cell::number(link.mtu),
        Cell::text(state),
        Cell::empty(),
        over,
        zone,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::twin::{self, Twin};

    const LINKS: &str = "\
LINK        CLASS     MTU    STATE    BRIDGE     OVER         ZONE
blue0       overlay   1400   up       --         --           --
web0        vnic      1400   up       --         blue0        --
";

    #[test]
    fn links_are_shown_as_in_illumos() {
        for arguments in ["show-link", "", "show-link -o all"] {
            let ran = Twin::default().run(arguments);
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, LINKS, ""), "{arguments}");
        }
    }

    #[test]
    fn a_script_gets_the_fields_it_names() {
        let ran = Twin::default().run("show-link -p -o link,over,bridge,mtu");
        assert_eq!(ran.out, "blue0:::1400\nweb0:blue0::1400\n");
        assert_eq!(Twin::default().run("show-link --parseable -o STATE web0").out, "up\n");
    }

    #[test]
    fn a_program_gets_objects() {
        let ran = Twin::default().run("show-link --json");
        let expected = "[
  {\"link\": \"blue0\", \"class\": \"overlay\", \"mtu\": 1400, \"state\": \"up\", \"bridge\": null, \"over\": null, \"zone\": null},
  {\"link\": \"web0\", \"class\": \"vnic\", \"mtu\": 1400, \"state\": \"up\", \"bridge\": null, \"over\": \"blue0\", \"zone\": null}
]
";
        assert_eq!(ran.out, expected);
        assert_eq!(Twin::default().run("show-link --json -o mtu web0").out, "[\n  {\"mtu\": 1400}\n]\n");
    }

    #[test]
    fn a_vnics_zone_is_shown_and_what_is_wrong_with_it_told() {
        let mut twin = Twin { links: vec![twin::zoned_vnic()], ..Twin::default() };
        let ran = twin.run("show-link -o link,state,zone");
        assert_eq!(ran.out, "LINK        STATE    ZONE\nweb2        down     db\n");
        assert_eq!((ran.status, &*ran.err), (0, "dladm: warning: VNIC web2: there is no zone db\n"));
    }

    #[test]
    fn statistics_repeat_until_they_are_interrupted() {
        let mut twin = Twin { pauses: 2, ..Twin::default() };
        let ran = twin.run("show-link -s -i 1 web0");
        let expected = "\
LINK           IPACKETS  RBYTES  IERRORS   OPACKETS    OBYTES      OERRORS
web0           10        1000    1         20          2000        2
web0           0         0       0         0           0           0
web0           0         0       0         0           0           0
";
        assert_eq!((&*ran.out, ran.status), (expected, 0));
        assert_eq!(twin.asked, ["Links"; 3]);
    }

    #[test]
    fn unknown_fields_are_left_out_for_people_and_fatal_for_scripts() {
        let ran = Twin::default().run("show-link -o link,colour web0");
        assert_eq!((&*ran.out, ran.status), ("LINK\nweb0\n", 0));
        assert!(ran.err.starts_with("dladm: warning: unknown field 'colour' (known ones: link, class"));
        let ran = Twin::default().run("show-link -p -o link,colour web0");
        assert_eq!((&*ran.out, ran.status), ("", 1));
        assert!(ran.err.starts_with("dladm: show-link: unknown field 'colour' (known ones: "), "{}", ran.err);
    }

    #[test]
    fn a_link_that_is_not_there_is_told() {
        let ran = Twin::default().run("show-link x0");
        assert_eq!(
            ran.err,
            "dladm: cannot show link x0: there is no such link\nwhat there is: dladm show-link\n"
        );
        assert_eq!(ran.status, 1);
    }

    #[test]
    fn output_into_a_closed_pipe_ends_quietly() {
        let mut twin = Twin { closed: true, pauses: 5, ..Twin::default() };
        for arguments in ["show-link", "show-link -s -i 1", "help"] {
            let ran = twin.run(arguments);
            assert_eq!((ran.status, &*ran.err), (0, ""), "{arguments}");
        }
        assert_eq!(twin.asked, ["Links"; 2]);
    }

    #[test]
    fn a_missing_overlayd_is_told_with_how_to_start_it() {
        let ran = Twin { overlayd_down: true, ..Twin::default() }.run("show-link");
        assert_eq!(
            ran.err,
            "dladm: no overlayd is running (/run/x: entity not found)\n\
             start it as root: overlayd &\n"
        );
        assert_eq!(ran.status, 1);
    }
}
