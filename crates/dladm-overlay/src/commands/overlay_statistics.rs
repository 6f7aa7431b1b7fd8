//! What `show-overlay -s` counts, once or by what was added to it.

use overlay_core::protocol::{LinkInfo, MuxInfo, OverlayInfo};
use overlay_core::types::LinkName;

use super::overlay_rows as rows;
use super::rounds::Rounds;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::Cell;

/// What the overlays count, each with its VNICs, then what the underlay sockets do that they use; with `all` of them, all
/// sockets.
pub(super) fn rows(
    all: bool,
    overlays: &[OverlayInfo],
    session: &mut Session<'_>,
) -> Result<Vec<Vec<Cell>>, Error> {
    let failed = |error| Failure::of_daemon("cannot show overlays", &error);
    let links = session.daemons.links().map_err(failed)?;
    let vnics = |overlay: &OverlayInfo| {
        let name = overlay.name.clone();
        links.iter().filter(move |link| over(link) == Some(&name)).flat_map(rows::vnic)
    };
    let of_one = |overlay| rows::statistics(overlay).into_iter().chain(vnics(overlay));
    let mut rows: Vec<_> = overlays.iter().flat_map(of_one).collect();
    let muxes = session.daemons.muxes().map_err(failed)?.into_iter();
    let used = |mux: &MuxInfo| all || overlays.iter().any(|overlay| uses(overlay, mux));
    rows.extend(muxes.filter(used).flat_map(|mux| rows::mux(&mux)));
    Ok(rows)
}

/// The overlay of a VNIC.
fn over(link: &LinkInfo) -> Option<&LinkName> {
    link.vnic.as_ref()?.over.as_ref()
}

/// Whether an overlay sends and receives through an underlay socket.
fn uses(overlay: &OverlayInfo, mux: &MuxInfo) -> bool {
    let value = |name: &str| {
        let name = format!("{}/{name}", mux.encap);
        overlay.properties.iter().find(|property| property.spec.name == *name)?.value.clone()
    };
    value("listen_ip") == Some(mux.listen.ip().to_string())
        && value("listen_port") == Some(mux.listen.port().to_string())
}

/// The rows with what was counted since the last round; what is no count, or tells how much there is now, as it is.
pub(super) fn since(counted: &mut Rounds<(String, String)>, mut rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    counted.advance();
    for row in &mut rows {
        if let [of, counter, value] = &mut row[..]
            && counter.as_str() != rows::WAITING
            && let Some(now) = value.count()
        {
            *value = Cell::number(counted.since((of.as_str().to_owned(), counter.as_str().to_owned()), now));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use super::*;

    fn row(counter: &str, value: u64) -> Vec<Cell> {
        vec![Cell::text("blue0"), Cell::text(counter), Cell::number(value)]
    }

    #[test]
    fn only_what_was_added_is_shown_after_the_first_round() {
        let mut rounds = Rounds::default();
        let mut round = |rows: [Vec<Cell>; 2]| since(&mut rounds, rows.into());
        assert_eq!(round([row("to-wire", 5), row("waiting", 2)]), [row("to-wire", 5), row("waiting", 2)]);
        assert_eq!(round([row("to-wire", 7), row("waiting", 2)]), [row("to-wire", 2), row("waiting", 2)]);
        assert_eq!(round([row("to-wire", 1), row("waiting", 0)]), [row("to-wire", 1), row("waiting", 0)]);
        let offloads = vec![Cell::text("web0"), Cell::text("offloads"), Cell::text("tso4")];
        assert_eq!(round([offloads.clone(), row("drop-loop", 3)]), [offloads, row("drop-loop", 3)]);
    }

    #[test]
    fn rounds_go_on_until_they_are_interrupted() {
        let mut twin = Twin { pauses: 2, ..Twin::default() };
        let ran = twin.run("show-overlay -s -i 1 -p -o counter,value blue0");
        assert_eq!((ran.status, &*ran.err), (0, ""));
        for (row, times) in [("from-wire:4\n", 1), ("from-wire:0\n", 2), ("waiting:2\n", 3)] {
            assert_eq!(ran.out.matches(row).count(), times, "{row} {}", ran.out);
        }
        let ran = Twin { pauses: 9, ..Twin::default() }.run("show-overlay -s -i 1 x0");
        let expected = "dladm: warning: cannot show overlay x0: there is no such overlay\nwhat there is: dladm show-overlay\n";
        assert_eq!((ran.status, &*ran.out, &*ran.err), (1, "", expected), "it has nothing to wait for");
        let ran = Twin::default().run("show-overlay -s -i 0");
        let expected = "dladm: show-overlay: interval '0' is not a number of seconds from 1\n";
        assert_eq!((ran.status, &*ran.err), (1, expected));
        let ran = Twin::default().run("show-overlay -i 1");
        assert_eq!(
            (ran.status, &*ran.err),
            (2, "dladm: show-overlay: missing --statistics\ntry: dladm help show-overlay\n")
        );
    }
}
