use overlay_core::control::{ClientError, Daemon};
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::{LinkName, LinkNameError};

use crate::cli::RenameLink;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Gives a link, and a VNIC's device, another name.
pub(super) fn run(arguments: &RenameLink, session: &mut Session<'_>) -> Result<(), Error> {
    let what = format!("cannot rename {} to {}", arguments.link, arguments.to);
    let request = request(arguments).map_err(|error| Failure::new(&what, error))?;
    session.daemons.ask(Daemon::Overlayd, request).map_err(|error| refused(&what, &error))?;
    Ok(())
}

fn request(arguments: &RenameLink) -> Result<Request, LinkNameError> {
    let name: LinkName = arguments.link.parse()?;
    Ok(Request::RenameLink { name, to: arguments.to.parse()? })
}

fn refused(what: &str, error: &ClientError) -> Failure {
    let failure = Failure::of_daemon(what, error);
    match error {
        ClientError::Refused(error) if matches!(error.code, ErrorCode::NotFound | ErrorCode::Exists) => {
            failure.or_hint("what there is: dladm show-link")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use overlay_core::protocol::ErrorCode;

    #[test]
    fn a_link_is_renamed_silently() {
        let mut twin = Twin::default();
        let ran = twin.run("rename-link web0 www0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.requests, [r#"{"rename-link":{"name":"web0","to":"www0"}}"#]);
    }

    #[test]
    fn what_keeps_a_link_from_its_new_name_is_told() {
        for (code, hint) in [
            (ErrorCode::NotFound, "what there is: dladm show-link\n"),
            (ErrorCode::Exists, "what there is: dladm show-link\n"),
            (ErrorCode::Busy, ""),
        ] {
            let mut twin = Twin::default();
            twin.fail_with("RenameLink", code, "no", None);
            let ran = twin.run("rename-link web0 www0");
            assert_eq!((ran.status, ran.err), (1, format!("dladm: cannot rename web0 to www0: no\n{hint}")));
        }
        for (arguments, why) in [("web0 www", "'www' is not a link name"), ("web www0", "'web' is not a")] {
            let mut twin = Twin::default();
            let ran = twin.run(&format!("rename-link {arguments}"));
            assert!(ran.err.contains(why), "{}", ran.err);
            assert_eq!((ran.status, twin.asked.len()), (1, 0));
        }
    }
}
