use overlay_core::protocol::{LinkClass, LinkInfo, LinkState, StoredLink, StoredWhat};

use super::{link_faults, statistics, stored};
use crate::cli::ShowLink;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Column, Style};

const COMMAND: &str = "show-link";

pub(super) const COLUMNS: [Column; 7] = [
    Column::new("LINK", 12),
    Column::new("CLASS", 10),
    Column::new("MTU", 7),
    Column::new("STATE", 9),
    Column::new("BRIDGE", 11),
    // 30 in illumos, which has nothing after it.
    Column::new("OVER", 13),
    Column::new("ZONE", 20),
];

/// Columns of what is stored.
pub(super) const STORED: [Column; 5] = [COLUMNS[0], COLUMNS[1], COLUMNS[4], COLUMNS[5], COLUMNS[6]];

/// Shows links, what is stored of them, or what they have carried.
pub(super) fn run(arguments: &ShowLink, session: &mut Session<'_>) -> Result<(), Error> {
    let (fields, style) = (arguments.format.fields.as_deref(), arguments.format.style(Style::Human));
    if arguments.statistics.statistics {
        let interval = statistics::interval(COMMAND, arguments.statistics.interval.as_deref())?;
        let mut printer = session.printer(COMMAND, &statistics::COLUMNS, fields, style)?;
        let rows = |links: &[LinkInfo]| links.iter().map(statistics::row).collect();
        return statistics::show(session, &mut printer, interval, |session| find(arguments, session), rows);
    }
    let columns = if arguments.persistent { &STORED[..] } else { &COLUMNS };
    let mut printer = session.printer(COMMAND, columns, fields, style)?;
    let rows: Vec<_> = if arguments.persistent {
        find_stored(arguments, session)?.iter().map(stored_row).collect()
    } else {
        let links = find(arguments, session)?;
        if style == Style::Human && fields.is_none() {
            link_faults::warn(&links, session);
        }
        links.iter().map(row).collect()
    };
    let text = printer.render(&rows);
    Ok(session.show(&text)?)
}

fn find(arguments: &ShowLink, session: &mut Session<'_>) -> Result<Vec<LinkInfo>, Error> {
    let failed = |error| Failure::of_daemon("cannot show links", &error);
    let mut links = session.daemons.links().map_err(failed)?;
    if let Some(name) = &arguments.link {
        links.retain(|link| link.name.as_str() == name);
        if links.is_empty() {
            return Err(stored::missing(format!("cannot show link {name}"), name, "link", session).into());
        }
    }
    Ok(links)
}

fn find_stored(arguments: &ShowLink, session: &mut Session<'_>) -> Result<Vec<StoredLink>, Error> {
    let mut links = stored::links("cannot show links", session)?;
    if let Some(name) = &arguments.link {
        links.retain(|link| link.name.as_str() == name);
        if links.is_empty() {
            return Err(stored::not_stored(format!("cannot show link {name}"), name, "link", session).into());
        }
    }
    Ok(links)
}

fn stored_row(link: &StoredLink) -> Vec<Cell> {
    let (class, over, zone) = match &link.what {
        StoredWhat::Overlay { .. } => ("overlay", Cell::empty(), Cell::empty()),
        StoredWhat::Vnic { over, zone, .. } => {
            ("vnic", Cell::maybe(over.as_ref()), Cell::maybe(zone.as_ref()))
        }
    };
    vec![Cell::text(&link.name), Cell::text(class), Cell::empty(), over, zone]
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
    let vnic = link.vnic.as_ref();
    vec![
        Cell::text(&link.name),
        Cell::text(class),
        Cell::number(link.mtu),
        Cell::text(state).alarming(link.state == LinkState::Down),
        Cell::empty(),
        Cell::maybe(vnic.and_then(|vnic| vnic.over.as_ref())),
        Cell::maybe(vnic.and_then(|vnic| vnic.zone.as_ref())),
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
        assert_eq!((&*ran.out, &*ran.err), ("LINK        STATE    ZONE\nweb2        down     db\n", ""));
        let ran = twin.run("show-link");
        assert_eq!((ran.status, &*ran.err), (0, "dladm: warning: VNIC web2: there is no zone db\n"));
    }

    const STORED: &str = "\
LINK        CLASS     BRIDGE     OVER         ZONE
blue0       overlay   --         --           --
web4        vnic      --         blue0        db
";

    #[test]
    fn what_is_stored_is_shown_whether_it_is_there_or_not() {
        let ran = Twin::default().run("show-link -P");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, STORED, ""));
        assert_eq!(Twin::default().run("show-link -P -p -o over,class web4").out, "blue0:vnic\n");
    }

    #[test]
    fn what_is_only_there_or_only_stored_is_told_apart() {
        for (arguments, text) in [
            ("-P x0", "no such link is stored\nwhat is stored: dladm show-link -P\n"),
            ("-P web0", "it is temporary: nothing of it is stored\n"),
            (
                "web4",
                "it is stored, and not there now\n\
                 bring it up: dladm up-overlay\n",
            ),
        ] {
            let ran = Twin::default().run(&format!("show-link {arguments}"));
            let name = arguments.trim_start_matches("-P ");
            assert_eq!(ran.err, format!("dladm: cannot show link {name}: {text}"));
            assert_eq!((ran.status, &*ran.out), (1, ""));
        }
    }

    #[test]
    fn what_is_down_is_red_where_there_are_colours() {
        let links = vec![twin::vnic(), twin::zoned_vnic()];
        let mut twin = Twin { links, colour: true, ..Twin::default() };
        let ran = twin.run("show-link -o link,state");
        assert_eq!(ran.out, "LINK        STATE\nweb0        up\nweb2        \x1b[31mdown\x1b[0m\n");
        assert_eq!(twin.run("show-link -p -o link,state web2").out, "web2:down\n");
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
