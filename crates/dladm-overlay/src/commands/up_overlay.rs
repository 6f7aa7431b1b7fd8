use overlay_core::control::ClientError;
use overlay_core::protocol::{ErrorCode, Request};
use overlay_core::types::LinkName;

use super::Outcome;
use crate::cli::UpOverlay;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Brings up stored overlays that are not there, and the VNICs stored on them. What cannot be brought up is told, and keeps
/// nothing else from being.
pub(super) fn run(arguments: &UpOverlay, session: &mut Session<'_>) -> Result<Outcome, Error> {
    let what = match &arguments.overlay {
        Some(name) => format!("cannot bring up overlay {name}"),
        None => "cannot bring up every overlay".to_owned(),
    };
    let name = arguments.overlay.as_deref().map(str::parse::<LinkName>).transpose();
    let name = name.map_err(|error| Failure::new(&what, error))?;
    let outcome = session.daemons.change_warned(Request::UpOverlays { name });
    let problems = outcome.map_err(|error| refused(&what, &error))?;
    problems.iter().for_each(|problem| session.warn(problem));
    Ok(if problems.is_empty() { Outcome::Whole } else { Outcome::Partial })
}

fn refused(what: &str, error: &ClientError) -> Failure {
    let failure = Failure::of_daemon(what, error);
    match error {
        ClientError::Refused(error) if error.code == ErrorCode::NotFound => {
            failure.or_hint("what is stored: dladm show-overlay -P")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use overlay_core::protocol::ErrorCode;

    #[test]
    fn one_overlay_or_every_one_is_brought_up() {
        let mut twin = Twin::default();
        for (arguments, request) in [
            ("up-overlay blue0", r#"{"up-overlays":{"name":"blue0"}}"#),
            ("up-overlay", r#"{"up-overlays":{"name":null}}"#),
        ] {
            let ran = twin.run(arguments);
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
            assert_eq!(twin.requests.pop().as_deref(), Some(request));
        }
    }

    #[test]
    fn what_could_not_be_brought_up_is_told_and_makes_the_status() {
        let problem = "VNIC web4 cannot be brought up: there is a device of that name";
        let mut twin = Twin { warnings: vec![problem.to_owned()], ..Twin::default() };
        let ran = twin.run("up-overlay");
        assert_eq!((ran.status, ran.err), (1, format!("dladm: warning: {problem}\n")));
    }

    #[test]
    fn a_failure_is_told() {
        for (arguments, code, expected) in [
            ("up-overlay", ErrorCode::Failed, "cannot bring up every overlay: no\n"),
            (
                "up-overlay x0",
                ErrorCode::NotFound,
                "cannot bring up overlay x0: no\nwhat is stored: dladm show-overlay -P\n",
            ),
        ] {
            let mut twin = Twin::default();
            twin.fail_with("UpOverlays", code, "no", None);
            let ran = twin.run(arguments);
            assert_eq!((ran.status, ran.err), (1, format!("dladm: {expected}")));
        }
        assert!(Twin::default().run("up-overlay x").err.contains("'x' is not a link name"));
        assert_eq!(Twin::default().run("up-overlay a0 b0").status, 2);
    }
}
