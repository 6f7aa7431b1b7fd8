use overlay_core::control::{ClientError, Daemon, how_to_start};
use overlay_core::property::Assignment;
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::{LinkId, LinkName};

use super::overlay_plan::{Plan, PlanError, Wish, plugin};
use crate::cli::CreateOverlay;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Creates an overlay in both daemons, or in neither.
pub(super) fn run(arguments: &CreateOverlay, session: &mut Session<'_>) -> Result<(), Error> {
    let what = what(arguments);
    let refused = |error: PlanError| Failure::new(&what, error);
    let wish = Wish::read(arguments).map_err(refused)?;
    let (encaps, searches) = match (session.daemons.encaps(), session.daemons.searches()) {
        (Ok(encaps), Ok(searches)) => (encaps, searches),
        (Err(driver), Err(lookup)) => return Err(both(&what, &driver, &lookup).into()),
        (Err(one), Ok(_)) | (Ok(_), Err(one)) => return Err(Failure::of_daemon(&what, &one).into()),
    };
    let encap = plugin(&encaps, "encapsulation", &arguments.encap).map_err(refused)?;
    let search = plugin(&searches, "search", &arguments.search).map_err(refused)?;
    let plan = Plan::check(&wish, encap, search).map_err(refused)?;
    Ok(make(arguments, &wish, plan, session).map_err(|error| Failure::of_daemon(&what, &error))?)
}

fn what(arguments: &CreateOverlay) -> String {
    format!("cannot create overlay {}", arguments.overlay)
}

/// What is wrong with it whatever search plugins there are.
pub(super) fn check(arguments: &CreateOverlay) -> Result<(), Failure> {
    let wish = Wish::read(arguments);
    let plan = wish.and_then(|wish| Plan::check_alone(&wish, &arguments.encap, &arguments.search));
    plan.map(drop).map_err(|error| Failure::new(what(arguments), error))
}

/// Neither daemon answers; where neither runs, one hint says how to start both.
fn both(what: &str, driver: &ClientError, lookup: &ClientError) -> Failure {
    match (driver, lookup) {
        (ClientError::NotRunning { socket, error, .. }, ClientError::NotRunning { .. }) => {
            let why = format!("{}: {error}", socket.display());
            Failure::new("neither overlayd nor varpd is running", why)
                .or_hint(how_to_start(&[Daemon::Overlayd, Daemon::Varpd], socket))
                .unanswered()
        }
        _ => Failure::of_daemon(what, driver),
    }
}

fn make(
    arguments: &CreateOverlay,
    wish: &Wish,
    plan: Plan,
    session: &mut Session<'_>,
) -> Result<(), ClientError> {
    let link = session.daemons.change_link(Request::CreateOverlay {
        name: wish.name.clone(),
        encap: arguments.encap.clone(),
        vnetid: wish.vnetid,
        search: arguments.search.clone(),
        properties: plan.driver,
        temporary: arguments.temporary,
    })?;
    let attached = attach(arguments, wish, link, plan.search, session);
    attached.inspect_err(|_| undo(&wish.name, link, session))
}

/// Gives the overlay its instance, and lets both carry frames.
fn attach(
    arguments: &CreateOverlay,
    wish: &Wish,
    link: LinkId,
    properties: Vec<Assignment>,
    session: &mut Session<'_>,
) -> Result<(), ClientError> {
    let (plugin, temporary) = (arguments.search.clone(), arguments.temporary);
    let create = Request::CreateInstance { link, vnetid: wish.vnetid, plugin, properties, temporary };
    let instance = session.daemons.create_instance(create)?;
    session.daemons.ask(Daemon::Varpd, Request::ActivateInstance { instance })?;
    let warnings = session.daemons.change_warned(Request::ActivateOverlay { name: wish.name.clone() })?;
    warnings.iter().for_each(|warning| session.warn(format!("overlay {}: {warning}", wish.name)));
    Ok(())
}

/// Takes back what was made. An instance that stays because varpd has gone is ended when it is back:
/// overlayd tells it which overlays are deleted.
fn undo(name: &LinkName, link: LinkId, session: &mut Session<'_>) {
    let _ = session.daemons.ask(Daemon::Varpd, Request::DestroyInstance { link });
    match session.daemons.change_link(Request::DeleteOverlay { name: name.clone(), keep_stored: false }) {
        Err(ClientError::Refused(error)) if error.code == ErrorCode::NotFound => {}
        Err(error) => session.warn(format!("a part of overlay {name} is left: {error}")),
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;

    const CREATE: &str = "create-overlay -e vxlan -s direct -p vxlan/listen_ip=10.0.0.1 \
        -p direct/dest_ip=10.0.0.2 -p direct/dest_port=4789 -v 23 demo0";
    const QUESTIONS: [&str; 2] = ["Encaps", "Plugins"];
    const STEPS: [&str; 4] = ["CreateOverlay", "CreateInstance", "ActivateInstance", "ActivateOverlay"];
    const UNDO: [&str; 2] = ["DestroyInstance", "DeleteOverlay"];

    #[test]
    fn an_overlay_is_created_in_illumos_order_and_silently() {
        let mut twin = Twin::default();
        let ran = twin.run(CREATE);
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.asked, [&QUESTIONS[..], &STEPS[..]].concat());
        assert!(twin.requests[2].contains("vxlan/listen_ip"));
        assert!(!twin.requests[2].contains("direct/dest_ip") && twin.requests[3].contains("direct/dest_ip"));
    }

    #[test]
    fn what_may_be_wrong_with_it_is_told_and_is_no_failure() {
        let mut twin = Twin { warnings: vec!["mtu 1500 is too large".to_owned()], ..Twin::default() };
        let ran = twin.run(CREATE);
        let expected = "dladm: warning: overlay demo0: mtu 1500 is too large\n";
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", expected));
    }

    #[test]
    fn a_failure_at_any_step_is_undone_and_told() {
        for (at, step) in STEPS.iter().enumerate() {
            let mut twin = Twin::default();
            twin.fail(step, "it is broken");
            let ran = twin.run(CREATE);
            assert_eq!(ran.err, "dladm: cannot create overlay demo0: it is broken\nmend it\n");
            assert_eq!(ran.status, 1);
            let undone = if at == 0 { &UNDO[..0] } else { &UNDO[..] };
            assert_eq!(twin.asked, [&QUESTIONS[..], &STEPS[..=at], undone].concat());
        }
    }

    #[test]
    fn what_cannot_be_undone_is_told_before_the_first_error() {
        let mut twin = Twin::default();
        twin.fail("ActivateInstance", "it is broken");
        twin.fail("DestroyInstance", "no instance");
        twin.fail("DeleteOverlay", "it hangs");
        let ran = twin.run(CREATE);
        assert_eq!(
            ran.err,
            "dladm: warning: a part of overlay demo0 is left: it hangs\n\
             dladm: cannot create overlay demo0: it is broken\nmend it\n"
        );
    }

    #[test]
    fn nothing_is_asked_of_the_daemons_for_a_bad_value() {
        for (from, to, why) in [
            ("demo0", "demo", "'demo' is not a link name"),
            ("-v 23", "-v 16777216", "vnetid '16777216' is not a number from 0 to 16777215"),
            ("-v 23", "-v -1", "vnetid '-1' is not a number"),
            ("-v 23", "-v x", "vnetid 'x' is not a number"),
            ("vxlan/listen_ip=10.0.0.1", "mtu", "'mtu' is not of the form PROPERTY=VALUE"),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&CREATE.replace(from, to));
            let name = if from == "demo0" { to } else { "demo0" };
            let expected = format!("dladm: cannot create overlay {name}: {why}");
            assert!(ran.err.starts_with(&expected), "{}", ran.err);
            assert_eq!((ran.status, twin.asked.len()), (1, 0));
        }
    }

    #[test]
    fn nothing_is_made_for_an_unknown_plugin_or_property() {
        for (from, to, why) in [
            ("-e vxlan", "-e gre", "unknown encapsulation plugin 'gre' (known ones: vxlan)"),
            ("-s direct", "-s svp", "unknown search plugin 'svp' (known ones: direct)"),
            ("direct/dest_ip", "direct/ip", "unknown property 'direct/ip' (known ones: mtu, target/maximum"),
            ("4789", "65536", "property 'direct/dest_port' cannot be '65536': it is not in 1-65535"),
            ("-p direct/dest_port=4789", "", "required properties are missing: direct/dest_port"),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&CREATE.replace(from, to));
            assert!(
                ran.err.starts_with(&format!("dladm: cannot create overlay demo0: {why}")),
                "{}",
                ran.err
            );
            assert_eq!(ran.status, 1);
            assert_eq!(twin.asked, QUESTIONS);
        }
    }

    #[test]
    fn the_missing_daemon_is_named_with_how_to_start_it() {
        let mut twin = Twin { varpd_down: true, ..Twin::default() };
        let ran = twin.run(CREATE);
        assert!(ran.err.starts_with("dladm: no varpd is running (/run/x: "), "{}", ran.err);
        assert!(ran.err.ends_with("start it as root: varpd &\n"), "{}", ran.err);
        let mut twin = Twin { overlayd_down: true, ..Twin::default() };
        assert!(twin.run(CREATE).err.starts_with("dladm: no overlayd is running (/run/x: "));
        let mut twin = Twin { overlayd_down: true, varpd_down: true, ..Twin::default() };
        let ran = twin.run(CREATE);
        assert!(ran.err.starts_with("dladm: neither overlayd nor varpd is running: "), "{}", ran.err);
        assert!(ran.err.ends_with("start them as root: overlayd & varpd &\n"), "{}", ran.err);
        assert_eq!((ran.status, ran.err.lines().count()), (1, 2));
    }
}
