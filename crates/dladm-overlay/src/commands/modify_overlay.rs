use overlay_core::control::{ClientError, Daemon};
use overlay_core::property::{Assignment, PropertySpec, parse_assignments};
use overlay_core::protocol::{ErrorCode, OverlayInfo, Request, Status};
use overlay_core::types::LinkName;

use super::overlay_changes::{self as changes, Changes};
use super::target_entry;
use crate::cli::ModifyOverlay;
use crate::error::{Error, Failure};
use crate::session::Session;

/// What there is to do when a name is wrong.
const WHAT_THERE_IS: &str = "what there is: dladm show-overlay -f";

/// Changes an entry of an overlay's target table, or all of them, or properties.
pub(super) fn run(arguments: &ModifyOverlay, session: &mut Session<'_>) -> Result<(), Error> {
    let what = what(arguments);
    match wish(arguments)? {
        Wish::Targets(request) => change_targets(request, &what, session)?,
        Wish::Properties(name, given) => change_properties(&name, given, &what, session)?,
    }
    Ok(())
}

/// What a command line says by itself.
enum Wish {
    /// A change of the target table.
    Targets(Request),
    /// Properties with their new values.
    Properties(LinkName, Vec<Assignment>),
}

fn what(arguments: &ModifyOverlay) -> String {
    format!("cannot change overlay {}", arguments.overlay)
}

/// Reads the values of a command line.
fn wish(arguments: &ModifyOverlay) -> Result<Wish, Failure> {
    let what = what(arguments);
    let name = || arguments.overlay.parse::<LinkName>().map_err(|error| Failure::new(&what, error));
    let bad = |error| Failure::new(&what, error);
    Ok(Wish::Targets(match arguments {
        ModifyOverlay { delete_entry: Some(mac), .. } => {
            Request::RemoveTarget { overlay: name()?, mac: target_entry::address(mac).map_err(bad)? }
        }
        ModifyOverlay { flush_table: true, .. } => Request::FlushTargets { overlay: name()? },
        ModifyOverlay { set_entry: Some(entry), .. } => {
            let (mac, target) = target_entry::entry(entry).map_err(bad)?;
            Request::SetTarget { overlay: name()?, mac, target }
        }
        ModifyOverlay { properties, .. } if !properties.is_empty() => {
            let name = name()?;
            let given = parse_assignments(properties.iter().map(String::as_str));
            return Ok(Wish::Properties(name, given.map_err(|error| Failure::new(&what, error))?));
        }
        _ => return Err(Failure::usage(Some("modify-overlay"), "one of -d, -f, -s and -p is needed")),
    }))
}

/// What is wrong with a command line, whatever overlay there is.
pub(super) fn check(arguments: &ModifyOverlay) -> Result<(), Failure> {
    match wish(arguments)? {
        Wish::Targets(_) => Ok(()),
        Wish::Properties(_, given) => {
            changes::check_alone(&given).map_err(|error| Failure::new(what(arguments), error))
        }
    }
}

fn change_targets(request: Request, what: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    let hint = match request {
        Request::RemoveTarget { .. } => "what there is: dladm show-overlay -t",
        _ => WHAT_THERE_IS,
    };
    let outcome = session.daemons.change(Daemon::Overlayd, request);
    outcome.map_err(|error| refused(what, hint, &error))
}

fn refused(what: &str, hint: &str, error: &ClientError) -> Failure {
    let failure = Failure::of_daemon(what, error);
    match error {
        ClientError::Refused(error) if error.code == ErrorCode::NotFound => failure.or_hint(hint),
        _ => failure,
    }
}

/// Checks all changes, then makes the search plugin's and after them overlayd's.
fn change_properties(
    name: &LinkName,
    given: Vec<Assignment>,
    what: &str,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let overlay = find(name, what, session)?;
    let driver = changes::of_driver(&overlay);
    let stranger = given.iter().find(|one| !driver.iter().any(|spec| spec.name == one.name));
    // What overlayd has can change while varpd is down.
    let search = match stranger {
        Some(stranger) => of_search(&overlay, stranger, what, session)?,
        None => Vec::new(),
    };
    let changes = Changes::check(given, &driver, &search).map_err(|error| Failure::new(what, error))?;
    make(&overlay, changes, session).map_err(|error| refused(what, WHAT_THERE_IS, &error))
}

fn find(name: &LinkName, what: &str, session: &mut Session<'_>) -> Result<OverlayInfo, Failure> {
    let overlays = session.daemons.overlays().map_err(|error| Failure::of_daemon(what, &error))?;
    let found = overlays.into_iter().find(|overlay| overlay.name == *name);
    let overlay =
        found.ok_or_else(|| Failure::new(what, "there is no such overlay").or_hint(WHAT_THERE_IS))?;
    match &overlay.status {
        // Nobody knows its properties.
        Status::Degraded(reason) if overlay.vnetid.is_none() => Err(Failure::new(what, reason)),
        _ => Ok(overlay),
    }
}

/// The properties of the overlay's search plugin, of which `stranger` may be one.
fn of_search(
    overlay: &OverlayInfo,
    stranger: &Assignment,
    what: &str,
    session: &mut Session<'_>,
) -> Result<Vec<PropertySpec>, Failure> {
    let instances = session.daemons.instances().map_err(|error| Failure::of_daemon(what, &error))?;
    let instance = instances.iter().find(|instance| instance.link == overlay.id);
    instance.map(changes::of_search).ok_or_else(|| {
        let why =
            format!("property '{}' is none of overlayd's, and varpd has no instance for it", stranger.name);
        Failure::new(what, why).or_hint(format!("what is wrong: dladm show-overlay -f {}", overlay.name))
    })
}

/// The search plugin goes first: it is the one that can fail.
fn make(overlay: &OverlayInfo, changes: Changes, session: &mut Session<'_>) -> Result<(), ClientError> {
    let Changes { driver, search } = changes;
    let (done, due) = (names(&search), names(&driver));
    if !search.is_empty() {
        let request = Request::SetInstanceProperties { link: overlay.id, properties: search };
        session.daemons.change(Daemon::Varpd, request)?;
    }
    if driver.is_empty() {
        return Ok(());
    }
    let request = Request::SetOverlayProperties { overlay: overlay.name.clone(), properties: driver };
    let outcome = session.daemons.change(Daemon::Overlayd, request);
    if let (Err(error), false) = (&outcome, done.is_empty()) {
        let due_is = if matches!(error, ClientError::Lost { .. }) { "uncertain" } else { "not changed" };
        session.warn(format!("a part of overlay {} is changed: {done}; {due_is}: {due}", overlay.name));
    }
    outcome
}

fn names(assignments: &[Assignment]) -> String {
    assignments.iter().map(|assignment| &*assignment.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use overlay_core::protocol::ErrorCode;

    use super::super::twin::{self, Twin};

    const MAC: &str = "2:8:20:ab:cd:ef";

    /// What one change sends, after the questions.
    fn sent(arguments: &str, questions: usize) -> Vec<String> {
        let mut twin = Twin::default();
        let ran = twin.run(&format!("modify-overlay {arguments} blue0"));
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""), "{arguments}");
        twin.requests.split_off(questions)
    }

    #[test]
    fn entries_are_set_and_removed_silently() {
        for (arguments, line) in [
            (
                "-s 02:08:20:AB:CD:EF=192.0.2.20:4789",
                r#"{"set-target":{"overlay":"blue0","mac":"2:8:20:ab:cd:ef","target":{"ends":["192.0.2.20:4789"]}}}"#,
            ),
            (
                "--set-entry ff:ff:ff:ff:ff:ff=192.0.2.20:1,[2001:db8::1]:2",
                r#"{"set-target":{"overlay":"blue0","mac":"ff:ff:ff:ff:ff:ff","target":{"ends":["192.0.2.20:1","[2001:db8::1]:2"]}}}"#,
            ),
            (
                "--set-entry=2:8:20:0:0:1=Drop",
                r#"{"set-target":{"overlay":"blue0","mac":"2:8:20:0:0:1","target":"drop"}}"#,
            ),
            ("-d 2:8:20:ab:cd:ef", r#"{"remove-target":{"overlay":"blue0","mac":"2:8:20:ab:cd:ef"}}"#),
            ("--delete-entry 1:0:5e:0:0:1", r#"{"remove-target":{"overlay":"blue0","mac":"1:0:5e:0:0:1"}}"#),
            ("-f", r#"{"flush-targets":{"overlay":"blue0"}}"#),
            ("--flush-table", r#"{"flush-targets":{"overlay":"blue0"}}"#),
        ] {
            assert_eq!(sent(arguments, 0), [line]);
        }
    }

    #[test]
    fn properties_go_to_the_daemon_that_has_them() {
        const MTU: &str =
            r#"{"set-overlay-properties":{"overlay":"blue0","properties":[{"name":"mtu","value":"1450"}]}}"#;
        const PORT: &str = r#"{"set-instance-properties":{"link":7,"properties":[{"name":"direct/dest_port","value":"1"}]}}"#;
        assert_eq!(sent("-p mtu=1450", 1), [MTU]);
        assert_eq!(sent("--prop direct/dest_port=1", 2), [PORT]);
        assert_eq!(sent("-p mtu=1450,direct/dest_port=1", 2), [PORT, MTU]);
        assert_eq!(sent("-p mtu=1450 -p direct/dest_port=1", 2), [PORT, MTU]);
    }

    #[test]
    fn exactly_one_change_is_asked_for() {
        const NONE: &str = "one of -d, -f, -s and -p is needed";
        for (arguments, why) in [
            ("blue0", NONE),
            ("no-name", NONE),
            ("", "missing <OVERLAY>"),
            ("-f", "missing <OVERLAY>"),
            ("-f blue0 red0", "unexpected argument 'red0'"),
            ("-f -f blue0", "'--flush-table' is given more than once"),
            ("-d a -d b blue0", "'--delete-entry <MAC>' is given more than once"),
            ("-s a -s b blue0", "'--set-entry <MAC=DEST>' is given more than once"),
            ("-f -d a blue0", "'--flush-table' cannot be used with '--delete-entry <MAC>'"),
            ("-d a -s b=c blue0", "'--delete-entry <MAC>' cannot be used with '--set-entry <MAC=DEST>'"),
            ("-p mtu=1 -p mtu=2 -f blue0", "'--prop <PROP=VALUE[,...]>' cannot be used with '--flush-table'"),
            (
                "-f -d a -s b blue0",
                "'--flush-table' cannot be used with '--delete-entry <MAC>, --set-entry <MAC=DEST>'",
            ),
            ("--flush-table=1 blue0", "'--flush-table' takes no value"),
            ("blue0 -d", "'--delete-entry <MAC>' needs a value"),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&format!("modify-overlay {arguments}"));
            assert_eq!(ran.err, format!("dladm: modify-overlay: {why}\ntry: dladm help modify-overlay\n"));
            assert_eq!((ran.status, &*ran.out, twin.asked.len()), (2, "", 0), "{arguments}");
        }
    }

    #[test]
    fn nothing_is_asked_of_the_daemons_for_a_bad_value() {
        const FORM: &str = "(like 192.0.2.20:4789 or [2001:db8::1]:4789)";
        for (arguments, why) in [
            ("-d x", "'x' is not a MAC address (six hexadecimal octets, like 2:8:20:ab:cd:ef)".to_owned()),
            ("-d 0:0:0:0:0:0", "the all-zero MAC address cannot be a card's own".to_owned()),
            ("-s 2:8:20:ab:cd:ef", format!("'{MAC}' is not of the form MAC=DEST")),
            ("-s 2:8:20:ab:cd:ef=", format!("'' is not a tunnel end {FORM}: it has no port")),
            ("-s 2:8:20:ab:cd:ef=drop,drop", format!("'drop' is not a tunnel end {FORM}: it has no port")),
            (
                "-s 2:8:20:ab:cd:ef=10.0.0.1:0",
                format!("'10.0.0.1:0' is not a tunnel end {FORM}: its port is not a number from 1 to 65535"),
            ),
            ("-p mtu", "'mtu' is not of the form PROPERTY=VALUE".to_owned()),
            ("-p mtu=1400 -p mtu=1400", "property 'mtu' was given more than one value".to_owned()),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&format!("modify-overlay {arguments} blue0"));
            assert_eq!(ran.err, format!("dladm: cannot change overlay blue0: {why}\n"));
            assert_eq!((ran.status, &*ran.out, twin.asked.len()), (1, "", 0), "{arguments}");
        }
        let mut twin = Twin::default();
        let ran = twin.run("modify-overlay -f blue");
        assert!(
            ran.err.starts_with("dladm: cannot change overlay blue: 'blue' is not a link name"),
            "{}",
            ran.err
        );
        assert_eq!((ran.status, twin.asked.len()), (1, 0));
    }

    #[test]
    fn nothing_changes_where_one_property_is_wrong() {
        for (list, why) in [
            ("direct/dest_port=1,mtu=1", "property 'mtu' cannot be '1': it is not in 576-8900"),
            (
                "mtu=1450,direct/dest_port=65536",
                "property 'direct/dest_port' cannot be '65536': it is not in 0-65535",
            ),
            ("mtu=1450,search=files", "property 'search' is read-only"),
            ("mtu=1450,colour=red", "unknown property 'colour' (known ones: vxlan/listen_ip, "),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&format!("modify-overlay -p {list} blue0"));
            assert!(
                ran.err.starts_with(&format!("dladm: cannot change overlay blue0: {why}")),
                "{}",
                ran.err
            );
            assert_eq!((ran.status, ran.err.lines().count()), (1, 1));
            assert!(twin.asked.iter().all(|asked| asked == "Overlays" || asked == "Instances"), "{list}");
        }
    }

    #[test]
    fn a_refusal_is_shown_in_the_daemons_words() {
        for (arguments, request) in [
            ("-f", "FlushTargets"),
            ("-d 2:8:20:ab:cd:ef", "RemoveTarget"),
            ("-s 2:8:20:ab:cd:ef=drop", "SetTarget"),
            ("-p mtu=1450", "SetOverlayProperties"),
            ("-p direct/dest_port=1,mtu=1450", "SetInstanceProperties"),
            ("-p mtu=1450", "Overlays"),
            ("-p direct/dest_port=1", "Instances"),
        ] {
            let mut twin = Twin::default();
            twin.fail_with(request, ErrorCode::Unsupported, "blue0 has one destination", Some("mend it"));
            let ran = twin.run(&format!("modify-overlay {arguments} blue0"));
            assert_eq!(ran.err, "dladm: cannot change overlay blue0: blue0 has one destination\nmend it\n");
            assert_eq!((ran.status, twin.asked.last().map(String::as_str)), (1, Some(request)));
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_where_to_look() {
        for (arguments, request, hint) in [
            ("-f", "FlushTargets", "what there is: dladm show-overlay -f"),
            ("-d 2:8:20:ab:cd:ef", "RemoveTarget", "what there is: dladm show-overlay -t"),
            ("-p mtu=1450", "SetOverlayProperties", "what there is: dladm show-overlay -f"),
        ] {
            let mut twin = Twin::default();
            twin.fail_with(request, ErrorCode::NotFound, "it is not there", None);
            let ran = twin.run(&format!("modify-overlay {arguments} blue0"));
            assert_eq!(ran.err, format!("dladm: cannot change overlay blue0: it is not there\n{hint}\n"));
        }
        let ran = Twin::default().run("modify-overlay -p mtu=1450 green0");
        let expected = "dladm: cannot change overlay green0: there is no such overlay\n\
                        what there is: dladm show-overlay -f\n";
        assert_eq!((ran.status, &*ran.err), (1, expected));
    }

    #[test]
    fn what_was_done_before_a_failure_is_told() {
        let mut twin = Twin::default();
        twin.fail("SetOverlayProperties", "it is broken");
        let ran = twin.run("modify-overlay -p direct/dest_ip=10.0.0.3,direct/dest_port=1,mtu=1450 blue0");
        assert_eq!(
            ran.err,
            "dladm: warning: a part of overlay blue0 is changed: direct/dest_ip, direct/dest_port; \
             not changed: mtu\n\
             dladm: cannot change overlay blue0: it is broken\nmend it\n"
        );
        assert_eq!(ran.status, 1);
    }

    #[test]
    fn what_overlayd_has_changes_while_varpd_is_down() {
        let mut twin = Twin { varpd_down: true, ..Twin::default() };
        let ran = twin.run("modify-overlay -p mtu=1450 blue0");
        assert_eq!((ran.status, &*ran.err), (0, ""));
        let ran = twin.run("modify-overlay -p mtu=1450,direct/dest_port=1 blue0");
        assert!(ran.err.starts_with("dladm: no varpd is running (/run/x: "), "{}", ran.err);
        assert!(ran.err.ends_with("start it as root: varpd &\n"), "{}", ran.err);
        assert_eq!(ran.status, 1);
    }

    #[test]
    fn a_broken_overlay_is_told_with_the_reason() {
        let mut twin = Twin { overlays: vec![twin::broken()], ..Twin::default() };
        for list in ["mtu=1450", "vxlan/listen_port=1", "direct/dest_port=1"] {
            let ran = twin.run(&format!("modify-overlay -p {list} red0"));
            let expected = "dladm: cannot change overlay red0: its record cannot be used\n";
            assert_eq!((ran.status, &*ran.err), (1, expected));
        }
        assert!(twin.asked.iter().all(|asked| asked == "Overlays"));
    }

    #[test]
    fn an_overlay_without_instance_has_no_search_properties() {
        let mut twin = Twin { instances: Vec::new(), ..Twin::default() };
        let ran = twin.run("modify-overlay -p direct/dest_port=1 blue0");
        assert_eq!(
            ran.err,
            "dladm: cannot change overlay blue0: property 'direct/dest_port' is none of overlayd's, and varpd has \
             no instance for it\nwhat is wrong: dladm show-overlay -f blue0\n"
        );
        assert_eq!(ran.status, 1);
    }
}
