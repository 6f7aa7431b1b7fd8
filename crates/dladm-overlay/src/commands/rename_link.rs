use overlay_core::control::{ClientError, Daemon};
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::LinkName;

use crate::cli::RenameLink;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Gives a link, and a VNIC's device, another name.
pub(super) fn run(arguments: &RenameLink, session: &mut Session<'_>) -> Result<(), Error> {
    let outcome = session.daemons.ask(Daemon::Overlayd, request(arguments)?);
    outcome.map_err(|error| refused(&what(arguments), &error))?;
    Ok(())
}

fn what(arguments: &RenameLink) -> String {
    format!("cannot rename {} to {}", arguments.link, arguments.to)
}

/// What is to be asked for.
pub(super) fn request(arguments: &RenameLink) -> Result<Request, Failure> {
    let name = |text: &str| text.parse::<LinkName>().map_err(|error| Failure::new(what(arguments), error));
    Ok(Request::RenameLink { name: name(&arguments.link)?, to: name(&arguments.to)? })
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
