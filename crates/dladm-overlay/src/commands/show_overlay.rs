use std::collections::HashMap;
use std::ops::ControlFlow;

use overlay_core::control::ClientError;
use overlay_core::protocol::{InstanceInfo, OverlayInfo, Status};
use overlay_core::types::LinkId;

use super::rounds::{self, Rounds};
use super::{Outcome, overlay_rows as rows, overlay_statistics, statistics, stored, stored_overlays};
use crate::cli::ShowOverlay;
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::{Cell, Style};

const COMMAND: &str = "show-overlay";

/// Shows overlays in one of five forms.
pub(super) fn run(arguments: &ShowOverlay, session: &mut Session<'_>) -> Result<Outcome, Error> {
    let (columns, human) = match arguments {
        ShowOverlay { fma: true, .. } => (&rows::STATUS[..], Style::Human),
        ShowOverlay { target: true, .. } => (&rows::TARGETS[..], Style::Human),
        ShowOverlay { statistics: true, .. } => (&rows::STATISTICS[..], Style::Human),
        _ => (&rows::PROPERTIES[..], Style::Wrapped),
    };
    if arguments.interval.is_some() && !arguments.statistics {
        // clap is content with an option that another one overrides.
        return Err(Failure::usage(Some(COMMAND), "missing --statistics").into());
    }
    let interval = statistics::interval(COMMAND, arguments.interval.as_deref())?;
    let (fields, style) = (arguments.format.fields.as_deref(), arguments.format.style(human));
    let mut printer = session.printer(COMMAND, columns, fields, style)?;
    let mut counted = Rounds::default();
    rounds::repeat(session, interval, |session| {
        let (rows, outcome) = rows(arguments, session)?;
        let shown = rows.len();
        let text = printer.render(&overlay_statistics::since(&mut counted, rows));
        session.show(&text)?;
        // Overlays that were named have all gone.
        let ended = shown == 0 && outcome == Outcome::Partial;
        Ok(if ended { ControlFlow::Break(outcome) } else { ControlFlow::Continue(outcome) })
    })
}

fn rows(arguments: &ShowOverlay, session: &mut Session<'_>) -> Result<(Vec<Vec<Cell>>, Outcome), Error> {
    if arguments.persistent {
        return stored_overlays::rows(&arguments.overlays, session);
    }
    let (overlays, mut outcome) = find(arguments, session)?;
    let rows = match arguments {
        ShowOverlay { fma: true, .. } => overlays.iter().map(rows::status).collect(),
        ShowOverlay { target: true, .. } => targets(&overlays, &mut outcome, session)?,
        ShowOverlay { statistics: true, .. } => {
            overlay_statistics::rows(arguments.overlays.is_empty(), &overlays, session)?
        }
        _ => properties(&overlays, session),
    };
    Ok((rows, outcome))
}

/// The overlays asked for, in the order asked for; all of them when none is named.
fn find(arguments: &ShowOverlay, session: &mut Session<'_>) -> Result<(Vec<OverlayInfo>, Outcome), Error> {
    let failed = |error| Failure::of_daemon("cannot show overlays", &error);
    let overlays = session.daemons.overlays().map_err(failed)?;
    if arguments.overlays.is_empty() {
        return Ok((overlays, Outcome::Whole));
    }
    let (mut found, mut outcome) = (Vec::new(), Outcome::Whole);
    for name in &arguments.overlays {
        match overlays.iter().find(|overlay| overlay.name.as_str() == name) {
            Some(overlay) => found.push(overlay.clone()),
            None => {
                let failure =
                    stored::missing(format!("cannot show overlay {name}"), name, "overlay", session);
                session.warn_of(&failure);
                outcome = Outcome::Partial;
            }
        }
    }
    Ok((found, outcome))
}

/// The target tables of the overlays; what keeps one from being shown, as a broken record does, keeps no other.
fn targets(
    overlays: &[OverlayInfo],
    outcome: &mut Outcome,
    session: &mut Session<'_>,
) -> Result<Vec<Vec<Cell>>, Error> {
    let mut table = Vec::new();
    for overlay in overlays {
        let what = format!("cannot show the targets of {}", overlay.name);
        match session.daemons.targets(&overlay.name) {
            Ok(targets) => table.extend(rows::targets(overlay, &targets)),
            Err(ClientError::Refused(error)) => {
                session.warn(format!("{what}: {error}"));
                *outcome = Outcome::Partial;
            }
            Err(error) => return Err(Failure::of_daemon(what, &error).into()),
        }
    }
    Ok(table)
}

/// The driver's rows of each overlay, then varpd's.
fn properties(overlays: &[OverlayInfo], session: &mut Session<'_>) -> Vec<Vec<Cell>> {
    let instances = instances(session);
    for overlay in overlays {
        if let (None, Status::Degraded(reason)) = (overlay.vnetid, &overlay.status) {
            session.warn(format!("the properties of {} are left out: {reason}", overlay.name));
        }
    }
    overlays.iter().flat_map(|overlay| rows::properties(overlay, instances.get(&overlay.id))).collect()
}

/// varpd's instances by their overlays; what it has is left out where it does not answer.
pub(super) fn instances(session: &mut Session<'_>) -> HashMap<LinkId, InstanceInfo> {
    match session.daemons.instances() {
        Ok(instances) => instances.into_iter().map(|instance| (instance.link, instance)).collect(),
        Err(error) => {
            session.warn(format!("the search properties are left out: {error}"));
            HashMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use overlay_core::protocol::{Status, TargetDestination};

    use super::super::twin::{self, Twin};

    const PROPERTIES: &str = "\
LINK               PROPERTY           PERM REQ VALUE      DEFAULT   POSSIBLE
blue0              mtu                rw   -   1400       1400      auto,576-8900
blue0              vnetid             rw   -   23         --        --
blue0              encap              r-   -   vxlan      --        vxlan
blue0              varpd/id           r-   -   1          --        --
blue0              vxlan/listen_ip    rw   y   192.0.2.10 --        --
blue0              vxlan/listen_port  rw   y   4789       4789      1-65535
blue0              search             r-   -   direct     --        --
blue0              direct/dest_ip     rw   y   192.0.2.20 --        --
blue0              direct/dest_port   rw   y   4789       --        0-65535
";

    const STATUS: &str = "\
LINK                STATUS  DETAILS
blue0               ONLINE  -
red0                DEGRADED cannot reach underlay host
";

    const TARGETS: &str = "\
LINK                TARGET            DESTINATION
blue0               *:*:*:*:*:*       192.0.2.20:4789
red0                2:8:20:ab:cd:ef   192.0.2.21:4789
";

    fn two() -> Twin {
        Twin { overlays: vec![twin::blue(), twin::red()], ..Twin::default() }
    }

    #[test]
    fn properties_are_shown_as_in_illumos() {
        let ran = Twin::default().run("show-overlay");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, PROPERTIES, ""));
    }

    #[test]
    fn status_and_targets_are_shown_as_in_illumos() {
        assert_eq!(two().run("show-overlay -f").out, STATUS);
        let red = STATUS.replace("DEGRADED", "\x1b[31mDEGRADED\x1b[0m");
        assert_eq!(Twin { colour: true, ..two() }.run("show-overlay -f").out, red);
        assert_eq!(two().run("show-overlay --target").out, TARGETS);
        assert_eq!(two().run("show-overlay -f -t").out, TARGETS);
    }

    #[test]
    fn an_overlay_that_works_shows_what_may_be_wrong_with_it() {
        let mut twin = two();
        twin.overlays[0].warnings = vec!["mtu 1500 is too large".to_owned()];
        assert!(twin.run("show-overlay -f").out.contains("ONLINE  mtu 1500 is too large\n"));
    }

    const ENTRIES: &str = "\
LINK                TARGET            DESTINATION                               STATE    AGE     ORIGIN
blue0               *:*:*:*:*:*       192.0.2.20:4789                           known    0       point
red0                2:8:20:0:0:1      DROP                                      known    7       manual
red0                2:8:20:0:0:2      --                                        asking   0       lookup
red0                2:8:20:0:0:3      --                                        refused  86400   lookup
red0                2:8:20:ab:cd:ef   192.0.2.21:4789                           known    0       lookup
red0                ff:ff:ff:ff:ff:ff 192.0.2.20:4789,192.0.2.21:4789,192.0.2.22:4789 checking 301 learned
";

    /// An entry of each kind.
    fn dynamic() -> Twin {
        let mut twin = two();
        twin.targets.extend(twin::entries_of_red());
        twin
    }

    #[test]
    fn the_life_of_an_entry_is_shown_on_request() {
        let ran = dynamic().run("show-overlay -t -o all");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, ENTRIES, ""));
        let narrow: String = ENTRIES.lines().map(|line| format!("{}\n", line[..37].trim_end())).collect();
        assert_eq!(dynamic().run("show-overlay -t -o link,target").out, narrow);
        let ran = dynamic().run("show-overlay -t red0");
        assert!(ran.out.starts_with("LINK                TARGET            DESTINATION\n"), "{}", ran.out);
        assert!(ran.out.contains("red0                2:8:20:0:0:1      DROP\n"), "{}", ran.out);
        assert!(ran.out.contains("red0                2:8:20:0:0:2      --\n"), "{}", ran.out);
    }

    #[test]
    fn scripts_and_programs_read_the_life_of_an_entry() {
        let ran = dynamic().run("show-overlay -t -p -o target,destination,state,age,origin red0");
        let expected = "\
2\\:8\\:20\\:0\\:0\\:1:DROP:known:7:manual
2\\:8\\:20\\:0\\:0\\:2::asking:0:lookup
2\\:8\\:20\\:0\\:0\\:3::refused:86400:lookup
2\\:8\\:20\\:ab\\:cd\\:ef:192.0.2.21\\:4789:known:0:lookup
ff\\:ff\\:ff\\:ff\\:ff\\:ff:192.0.2.20\\:4789,192.0.2.21\\:4789,192.0.2.22\\:4789:checking:301:learned
";
        assert_eq!(ran.out, expected);
        let ran = dynamic().run("show-overlay -t --json -o target,destination,state,age red0");
        for line in [
            r#"{"target": "2:8:20:0:0:1", "destination": "DROP", "state": "known", "age": 7}"#,
            r#"{"target": "2:8:20:0:0:2", "destination": null, "state": "asking", "age": 0}"#,
        ] {
            assert!(ran.out.contains(line), "{}", ran.out);
        }
        let ran = dynamic().run("show-overlay -t --json blue0");
        let only = r#"{"link": "blue0", "target": "*:*:*:*:*:*", "destination": "192.0.2.20:4789"}"#;
        assert_eq!(ran.out, format!("[\n  {only}\n]\n"));
    }

    #[test]
    fn a_table_in_pages_is_one_by_address() {
        for page in 1..7 {
            let mut twin = dynamic();
            twin.page = page;
            assert_eq!(twin.run("show-overlay -t -o all").out, ENTRIES, "{page} on a page");
            let of_red = twin.requests.iter().filter(|request| request.contains("red0")).count();
            assert_eq!(of_red, 5_usize.div_ceil(page));
        }
    }

    #[test]
    fn an_entry_that_moves_to_the_next_page_is_shown_once() {
        let mut twin = dynamic();
        twin.targets.push(twin.targets[1].clone());
        twin.page = 1;
        assert_eq!(twin.run("show-overlay -t -o all").out, ENTRIES);
    }

    #[test]
    fn a_broken_overlay_does_not_hide_the_others() {
        let mut twin = Twin { overlays: vec![twin::broken(), twin::blue()], ..Twin::default() };
        let ran = twin.run("show-overlay");
        assert_eq!(
            ran.err,
            "dladm: warning: the properties of red0 are left out: its record cannot be used\n"
        );
        assert_eq!((ran.status, &*ran.out), (0, PROPERTIES));
        let ran = twin.run("show-overlay -t");
        let expected = "dladm: warning: cannot show the targets of red0: its record cannot be used\n";
        assert_eq!((ran.status, &*ran.err), (1, expected));
        assert!(ran.out.ends_with("blue0               *:*:*:*:*:*       192.0.2.20:4789\n"), "{}", ran.out);
        assert_eq!(ran.out.lines().count(), 2);
    }

    #[test]
    fn a_script_reads_properties() {
        let ran = Twin::default().run("show-overlay -p -o link,property,value blue0");
        assert!(ran.out.starts_with("blue0:mtu:1400\nblue0:vnetid:23\n"), "{}", ran.out);
        let mut twin = Twin::default();
        twin.targets[0].1.destination = TargetDestination::Ends(vec!["[2001:db8::1]:4789".parse().unwrap()]);
        assert_eq!(twin.run("show-overlay -t -p -o destination").out, "[2001:db8::1]:4789\n");
        let ran = twin.run("show-overlay -t -p -o link,destination");
        assert_eq!(ran.out, "blue0:[2001\\:db8\\:\\:1]\\:4789\n");
    }

    #[test]
    fn a_program_gets_typed_values() {
        let ran = Twin::default().run("show-overlay --json -o property,req,value,default,possible");
        for line in [
            r#"{"property": "mtu", "req": false, "value": 1400, "default": 1400, "possible": "auto,576-8900"}"#,
            r#"{"property": "vnetid", "req": false, "value": 23, "default": null, "possible": null}"#,
            r#"{"property": "search", "req": false, "value": "direct", "default": null, "possible": null}"#,
            r#"{"property": "direct/dest_ip", "req": true, "value": "192.0.2.20", "default": null, "possible": null}"#,
        ] {
            assert!(ran.out.contains(line), "{}", ran.out);
        }
        assert!(two().run("show-overlay -f --json").out.contains(r#""status": "ONLINE", "details": null}"#));
    }

    #[test]
    fn statistics_name_every_reason_met() {
        let ran = Twin::default().run("show-overlay -s");
        let expected = "\
LINK                COUNTER                 VALUE
blue0               from-devices            5
blue0               from-wire               4
blue0               injected                2
blue0               copies                  1
blue0               to-devices              3
blue0               to-wire                 5
blue0               waiting                 2
blue0               drop-unknown-vtep       2
web0                offloads                checksum,tso4,runs-tcp4
web0                offloads-off            runs-udp
web0                offloads-refused        3
192.0.2.10:4789     datagrams               6
192.0.2.10:4789     drop-bad-header         0
192.0.2.10:4789     drop-unknown-vnetid     2
192.0.2.10:4789     drop-queue-full         1
192.0.2.10:4789     offloads                trains-out,trains-in
";
        assert_eq!(ran.out, expected);
        assert_eq!(Twin::default().run("show-overlay -s blue0").out, expected, "with the socket it uses");
        let mut elsewhere = Twin::default();
        let port =
            elsewhere.overlays[0].properties.iter_mut().find(|one| one.spec.name == "vxlan/listen_port");
        port.unwrap().value = Some("4790".to_owned());
        let named: String = expected.lines().take(12).map(|line| format!("{line}\n")).collect();
        assert_eq!(elsewhere.run("show-overlay -s blue0").out, named, "and with no other");
        let json = Twin::default().run("show-overlay -s --json").out;
        assert!(json.contains(r#""value": 2}"#) && json.contains(r#""value": "runs-udp"}"#), "{json}");
    }

    #[test]
    fn overlays_that_are_not_there_are_warned_of_and_the_others_shown() {
        let ran = two().run("show-overlay -f x0 red0 demo");
        assert_eq!(
            ran.err,
            "dladm: warning: cannot show overlay x0: there is no such overlay\n\
             what there is: dladm show-overlay\n\
             dladm: warning: cannot show overlay demo: there is no such overlay\n\
             what there is: dladm show-overlay\n"
        );
        assert!(ran.out.contains("red0 ") && !ran.out.contains("blue0"), "{}", ran.out);
        assert_eq!(ran.status, 1);
    }

    #[test]
    fn what_the_driver_knows_is_shown_while_varpd_is_down() {
        let mut twin = Twin { varpd_down: true, ..Twin::default() };
        let ran = twin.run("show-overlay");
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), PROPERTIES.lines().take(7).collect::<Vec<_>>());
        let expected = "dladm: warning: the search properties are left out: no varpd is running";
        assert!(ran.err.starts_with(expected), "{}", ran.err);
        assert_eq!(ran.status, 0);
        assert_eq!(twin.run("show-overlay -t").err, "");
    }

    #[test]
    fn no_overlays_are_no_rows() {
        let mut twin = Twin { overlays: Vec::new(), ..Twin::default() };
        assert_eq!(twin.run("show-overlay").out, "");
        assert_eq!(twin.run("show-overlay --json").out, "[]\n");
    }

    #[test]
    fn a_long_message_is_whole_in_every_form() {
        let message = format!("{}: line 7, column 3: expected a colon, or \\", "x".repeat(5000));
        let mut twin = Twin::default();
        twin.overlays[0].status = Status::Degraded(message.clone());
        let ran = twin.run("show-overlay -f");
        assert!(ran.out.ends_with(&format!("blue0               DEGRADED {message}\n")), "{}", ran.out);
        assert_eq!(twin.run("show-overlay -f -p -o details").out, format!("{message}\n"));
        let escaped = message.replace('\\', r"\\").replace(':', r"\:");
        assert_eq!(twin.run("show-overlay -f -p -o status,details").out, format!("DEGRADED:{escaped}\n"));
        let quoted = message.replace('\\', r"\\");
        assert!(twin.run("show-overlay -f --json").out.contains(&format!(r#""details": "{quoted}""#)));
    }

    #[test]
    fn a_message_stays_on_its_line() {
        let mut twin = Twin::default();
        twin.overlays[0].status = Status::Degraded("one\ntwo".into());
        assert_eq!(twin.run("show-overlay -f").out.lines().count(), 2);
    }
}
