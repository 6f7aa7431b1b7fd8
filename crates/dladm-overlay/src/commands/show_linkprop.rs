use overlay_core::property::{Kind, OVERLAY_LINK_PROPERTIES, VNIC_LINK_PROPERTIES};
use overlay_core::protocol::LinkPropertyInfo;

use super::overlay_rows::{possible, typed};
use super::{Outcome, link_properties, stored};
use crate::cli::ShowLinkprop;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Column};

pub(super) const COLUMNS: [Column; 6] = [
    Column::new("LINK", 13),
    Column::new("PROPERTY", 16),
    Column::new("PERM", 5),
    Column::new("VALUE", 15),
    Column::new("DEFAULT", 15),
    Column::new("POSSIBLE", 20),
];

/// Shows the properties of links: the values in force, or those stored.
pub(super) fn run(arguments: &ShowLinkprop, session: &mut Session<'_>) -> Result<Outcome, Error> {
    let fields = arguments.fields.as_deref();
    let mut printer = session.printer("show-linkprop", &COLUMNS, fields, arguments.style())?;
    let properties = find(arguments, session)?;
    let asked = link_properties::names(&arguments.properties);
    let known = if arguments.link.is_some() { of_links(&properties) } else { of_any_link() };
    let outcome = warn_of_unknown(&asked, &known, session);
    let rows: Vec<_> = picked(&properties, &asked).map(|info| row(info, arguments.persistent)).collect();
    let text = printer.render(&rows);
    session.show(&text)?;
    Ok(outcome)
}

/// The properties of the link asked for, or of all.
fn find(arguments: &ShowLinkprop, session: &mut Session<'_>) -> Result<Vec<LinkPropertyInfo>, Failure> {
    let failed = |error| Failure::of_daemon("cannot show link properties", &error);
    let mut properties = session.daemons.link_properties().map_err(failed)?;
    if !arguments.persistent {
        properties = of_links_there(properties);
    }
    if let Some(name) = &arguments.link {
        properties.retain(|info| info.link.as_str() == name);
        if properties.is_empty() {
            let what = format!("cannot show properties of {name}");
            return Err(stored::missing(what, name, "link", session));
        }
    }
    Ok(properties)
}

/// Leaves out links that are only stored: nothing of them has a value, which a link that is there has.
fn of_links_there(properties: Vec<LinkPropertyInfo>) -> Vec<LinkPropertyInfo> {
    let links = properties.chunk_by(|one, next| one.link == next.link);
    links.filter(|link| link.iter().any(|info| info.value.is_some())).flatten().cloned().collect()
}

/// What there is of these links.
fn of_links(properties: &[LinkPropertyInfo]) -> Vec<&str> {
    properties.iter().map(|info| &*info.spec.name).collect()
}

/// What a link can have, whether there is one now or not.
fn of_any_link() -> Vec<&'static str> {
    let of_overlays = OVERLAY_LINK_PROPERTIES.iter().filter(|row| !VNIC_LINK_PROPERTIES.contains(row));
    VNIC_LINK_PROPERTIES.iter().chain(of_overlays).map(|row| &*row.name).collect()
}

/// A name that no link can have a property of is told; one that only some have is shown of these.
fn warn_of_unknown(asked: &[String], known: &[&str], session: &mut Session<'_>) -> Outcome {
    let unknown: Vec<_> = asked.iter().filter(|name| !known.contains(&name.as_str())).collect();
    for name in &unknown {
        session.warn(format!("unknown property '{name}' (known ones: {})", known.join(", ")));
    }
    if unknown.is_empty() { Outcome::Whole } else { Outcome::Partial }
}

/// Link by link the properties asked for in the order asked for; all of them when none is named.
fn picked<'a>(
    properties: &'a [LinkPropertyInfo],
    asked: &'a [String],
) -> impl Iterator<Item = &'a LinkPropertyInfo> {
    let of_link = |infos: &'a [LinkPropertyInfo]| {
        let find = |name: &String| infos.iter().find(|info| info.spec.name == *name);
        let all = infos.iter().filter(|_| asked.is_empty());
        all.chain(asked.iter().filter_map(find))
    };
    properties.chunk_by(|one, next| one.link == next.link).flat_map(of_link)
}

fn row(info: &LinkPropertyInfo, persistent: bool) -> Vec<Cell> {
    let spec = &info.spec;
    let value = if persistent { &info.stored } else { &info.value };
    let cell = |text: Option<&str>| match (spec.kind, text) {
        (Kind::Rate, Some(text)) => Cell::rate(text),
        _ => typed(spec, text),
    };
    vec![
        Cell::text(&info.link),
        Cell::text(&spec.name),
        Cell::text(spec.permission.flags()),
        cell(value.as_deref()),
        cell(spec.default.as_deref()),
        possible(spec),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;

    const OF_VNIC: &str = "\
LINK         PROPERTY        PERM VALUE          DEFAULT        POSSIBLE
web0         zone            rw   --             --             --
web0         state           r-   up             --             up,down
web0         mtu             rw   1400           --             576-8900
web0         secondary-macs  rw   --             --             --
web0         maxbw           rw   12.500         --             --
web0         priority        rw   high           high           low,medium,high
web0         protection      rw   --             --             mac-nospoof,
                                                                restricted,
                                                                ip-nospoof,
                                                                dhcp-nospoof
web0         promisc-filtered rw  on             on             off,on
web0         allowed-ips     rw   192.0.2.30/32, --             --
                                  2001:db8::/64
web0         allowed-dhcp-cids rw --             --             --
";

    const STORED: &str = "\
LINK         PROPERTY        PERM VALUE          DEFAULT        POSSIBLE
blue0        mtu             rw   --             --             576-8900
web0         maxbw           rw     100          --             --
web0         mtu             rw   --             --             576-8900
web4         maxbw           rw     100          --             --
web4         mtu             rw   --             --             576-8900
";

    #[test]
    fn properties_are_shown_as_in_illumos() {
        let ran = Twin::default().run("show-linkprop web0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, OF_VNIC, ""));
        let ran = Twin::default().run("show-linkprop");
        assert_eq!((ran.status, ran.out.matches("blue0 ").count(), ran.out.lines().count()), (0, 2, 17));
    }

    #[test]
    fn stored_values_are_shown_of_the_properties_asked_for_in_their_order() {
        let ran = Twin::default().run("show-linkprop -P -p maxbw,mtu");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, STORED, ""));
    }

    #[test]
    fn scripts_and_programs_read_plain_values() {
        let run = |arguments: &str| Twin::default().run(&format!("show-linkprop {arguments} web0")).out;
        assert_eq!(run("-c -o value -p maxbw -P"), "100\n");
        assert_eq!(run("-c -o property,value,default -p zone,priority"), "zone::\npriority:high:high\n");
        assert_eq!(run("-c -o link,value -p allowed-ips"), "web0:192.0.2.30/32,2001\\:db8\\:\\:/64\n");
        assert_eq!(
            run("--json -o value -p maxbw,mtu,zone"),
            "[\n  {\"value\": 12.5},\n  {\"value\": 1400},\n  {\"value\": null}\n]\n"
        );
    }

    #[test]
    fn what_is_not_there_is_told() {
        let ran = Twin::default().run("show-linkprop x0");
        let expected =
            "dladm: cannot show properties of x0: there is no such link\nwhat there is: dladm show-link\n";
        assert_eq!((ran.status, &*ran.out, &*ran.err), (1, "", expected));
        let ran = Twin::default().run("show-linkprop -p mtu,pool blue0");
        assert_eq!((ran.status, ran.out.lines().count()), (1, 2));
        assert_eq!(ran.err, "dladm: warning: unknown property 'pool' (known ones: state, mtu)\n");
        let ran = Twin::default().run("show-linkprop -c");
        assert_eq!(
            (ran.status, &*ran.err),
            (
                2,
                "dladm: show-linkprop: parsable output needs the names of its fields with -o\ntry: dladm help show-linkprop\n"
            )
        );
    }
}
