use overlay_core::control::{ClientError, Daemon};
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::{LinkId, LinkName};

use crate::cli::DeleteOverlay;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Deletes an overlay, at whatever step of its creation it is, and its varpd instance.
pub(super) fn run(arguments: &DeleteOverlay, session: &mut Session<'_>) -> Result<(), Error> {
    let (what, name) = (what(arguments), name(arguments)?);
    let keep_stored = arguments.temporary;
    let outcome = session.daemons.change_link(Request::DeleteOverlay { name: name.clone(), keep_stored });
    let link = outcome.map_err(|error| refused(&what, &name, &error))?;
    if !(keep_stored && is_stored(link, session)) {
        end_instance(&name, link, session);
    }
    Ok(())
}

fn what(arguments: &DeleteOverlay) -> String {
    format!("cannot delete overlay {}", arguments.overlay)
}

/// The overlay's name.
pub(super) fn name(arguments: &DeleteOverlay) -> Result<LinkName, Failure> {
    arguments.overlay.parse().map_err(|error| Failure::new(what(arguments), error))
}

/// Whether an overlay that is not there can be brought up again. Where that is not known, nothing of it is ended.
fn is_stored(link: LinkId, session: &mut Session<'_>) -> bool {
    session.daemons.stored_links().map_or(true, |stored| stored.iter().any(|one| one.id == link))
}

fn refused(what: &str, name: &LinkName, error: &ClientError) -> Failure {
    let failure = Failure::of_daemon(what, error);
    match error {
        ClientError::Refused(error) if error.code == ErrorCode::NotFound => {
            failure.or_hint("what there is: dladm show-overlay -f")
        }
        ClientError::Refused(error) if error.code == ErrorCode::Busy => {
            failure.or_hint(format!("delete the VNICs on it first: dladm show-vnic -l {name}"))
        }
        _ => failure,
    }
}

/// The overlay has gone; an instance that varpd does not end now it ends once overlayd has told it.
fn end_instance(name: &LinkName, link: LinkId, session: &mut Session<'_>) {
    match session.daemons.ask(Daemon::Varpd, Request::DestroyInstance { link }) {
        Err(ClientError::Refused(error)) if error.code == ErrorCode::NotFound => {}
        Err(ClientError::Refused(error)) => {
            session.warn(format!("the varpd instance of {name} is not ended yet: {error}"));
        }
        Err(error) => session.warn(format!("the varpd instance of {name} ends when varpd is back: {error}")),
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use overlay_core::protocol::ErrorCode;

    #[test]
    fn the_instance_ends_with_its_overlay() {
        let mut twin = Twin::default();
        let ran = twin.run("delete-overlay demo0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.asked, ["DeleteOverlay", "DestroyInstance"]);
        assert!(twin.requests[1].contains('7'), "{}", twin.requests[1]);
    }

    #[test]
    fn what_is_stored_stays_until_it_is_deleted_for_good() {
        let mut twin = Twin::default();
        let ran = twin.run("delete-overlay -t blue0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.asked, ["DeleteOverlay", "StoredLinks"]);
        assert!(twin.requests[0].contains(r#""keep_stored":true"#), "{}", twin.requests[0]);
        let mut twin = Twin { stored: Vec::new(), ..Twin::default() };
        assert_eq!(twin.run("delete-overlay --temporary demo0").status, 0);
        assert_eq!(twin.asked, ["DeleteOverlay", "StoredLinks", "DestroyInstance"]);
    }

    #[test]
    fn an_overlay_without_instance_is_deleted_too() {
        let mut twin = Twin::default();
        twin.fail_with("DestroyInstance", ErrorCode::NotFound, "no instance", None);
        let ran = twin.run("delete-overlay demo0");
        assert_eq!((ran.status, &*ran.err), (0, ""));
    }

    #[test]
    fn an_overlay_is_deleted_while_varpd_is_down() {
        let mut twin = Twin { varpd_down: true, ..Twin::default() };
        let ran = twin.run("delete-overlay demo0");
        assert_eq!(ran.status, 0);
        let expected =
            "dladm: warning: the varpd instance of demo0 ends when varpd is back: no varpd is running";
        assert!(ran.err.starts_with(expected), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1);
    }

    #[test]
    fn what_keeps_an_overlay_is_told_and_its_instance_stays() {
        for (code, why, hint) in [
            (ErrorCode::NotFound, "there is no overlay demo0", "what there is: dladm show-overlay -f"),
            (ErrorCode::Busy, "foo0 is on it", "delete the VNICs on it first: dladm show-vnic -l demo0"),
        ] {
            let mut twin = Twin::default();
            twin.fail_with("DeleteOverlay", code, why, None);
            let ran = twin.run("delete-overlay demo0");
            assert_eq!(ran.err, format!("dladm: cannot delete overlay demo0: {why}\n{hint}\n"));
            assert_eq!(ran.status, 1);
            assert_eq!(twin.asked, ["DeleteOverlay"]);
        }
    }
}
