use overlay_core::control::{ClientError, Daemon};
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::LinkName;

use crate::cli::DeleteVnic;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Deletes a VNIC and its device.
pub(super) fn run(arguments: &DeleteVnic, session: &mut Session<'_>) -> Result<(), Error> {
    let outcome = session.daemons.ask(Daemon::Overlayd, request(arguments)?);
    outcome.map_err(|error| refused(&what(arguments), &error))?;
    Ok(())
}

fn what(arguments: &DeleteVnic) -> String {
    format!("cannot delete VNIC {}", arguments.vnic)
}

/// What is to be asked for.
pub(super) fn request(arguments: &DeleteVnic) -> Result<Request, Failure> {
    let name = arguments.vnic.parse::<LinkName>().map_err(|error| Failure::new(what(arguments), error))?;
    Ok(Request::DeleteVnic { name, keep_stored: arguments.temporary })
}

fn refused(what: &str, error: &ClientError) -> Failure {
    let failure = Failure::of_daemon(what, error);
    match error {
        ClientError::Refused(error) if error.code == ErrorCode::NotFound => {
            failure.or_hint("what there is: dladm show-vnic")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use overlay_core::protocol::ErrorCode;

    #[test]
    fn a_vnic_is_deleted_silently() {
        let mut twin = Twin::default();
        let ran = twin.run("delete-vnic foo0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.asked, ["DeleteVnic"]);
        assert!(twin.requests[0].contains(r#""keep_stored":false"#), "{}", twin.requests[0]);
        twin.run("delete-vnic -t foo0");
        assert!(twin.requests[1].contains(r#""keep_stored":true"#), "{}", twin.requests[1]);
    }

    #[test]
    fn a_vnic_that_is_not_there_is_told() {
        let mut twin = Twin::default();
        twin.fail_with("DeleteVnic", ErrorCode::NotFound, "there is no VNIC foo0", None);
        let ran = twin.run("delete-vnic foo0");
        let hint = "what there is: dladm show-vnic";
        assert_eq!(ran.err, format!("dladm: cannot delete VNIC foo0: there is no VNIC foo0\n{hint}\n"));
        assert_eq!(ran.status, 1);
    }
}
