use overlay_core::protocol::Request;
use overlay_core::types::LinkName;

use super::{Outcome, link_properties};
use crate::cli::ResetLinkprop;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Gives properties of a link back their defaults: those named, each tried whatever becomes of the others, or all that
/// can be set.
pub(super) fn run(arguments: &ResetLinkprop, session: &mut Session<'_>) -> Result<Outcome, Error> {
    let what = what(arguments);
    let link = link_properties::link(&what, &arguments.link, session)?;
    if arguments.properties.is_empty() {
        return link_properties::change(what, request(arguments, link, Vec::new()), session);
    }
    let mut outcome = Outcome::Whole;
    for property in link_properties::names(&arguments.properties) {
        let what = format!("cannot reset {property} of {link}");
        let request = request(arguments, link.clone(), vec![property]);
        outcome = outcome.and(link_properties::change(what, request, session)?);
    }
    Ok(outcome)
}

fn what(arguments: &ResetLinkprop) -> String {
    format!("cannot reset properties of {}", arguments.link)
}

/// What is wrong with it whatever link it is for.
pub(super) fn check(arguments: &ResetLinkprop) -> Result<(), Failure> {
    let what = what(arguments);
    link_properties::name(&what, &arguments.link)?;
    for name in link_properties::names(&arguments.properties) {
        link_properties::spec(&name).map_err(|error| Failure::new(&what, error))?;
    }
    Ok(())
}

fn request(arguments: &ResetLinkprop, name: LinkName, properties: Vec<String>) -> Request {
    Request::ResetLinkProperties { name, properties, temporary: arguments.temporary }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use overlay_core::protocol::ErrorCode;

    #[test]
    fn each_property_is_reset_by_itself_and_all_at_once() {
        let mut twin = Twin::default();
        let ran = twin.run("reset-linkprop -t -p mtu,maxbw web0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.asked, ["Links", "ResetLinkProperties", "ResetLinkProperties"]);
        assert!(twin.requests[2].contains(r#""properties":["maxbw"],"temporary":true"#));
        twin.run("reset-linkprop web0");
        assert!(twin.requests[4].contains(r#""properties":[],"temporary":false"#), "{}", twin.requests[4]);
    }

    #[test]
    fn a_property_that_fails_keeps_none_from_being_tried() {
        let mut twin = Twin::default();
        twin.fail_with("ResetLinkProperties", ErrorCode::Invalid, "no", None);
        let ran = twin.run("reset-linkprop -p mtu,maxbw web0");
        let expected = "\
dladm: warning: cannot reset mtu of web0: no
dladm: warning: cannot reset maxbw of web0: no
";
        assert_eq!((ran.status, &*ran.err), (1, expected));
        let ran = twin.run("reset-linkprop web0");
        assert_eq!((ran.status, &*ran.err), (1, "dladm: warning: cannot reset properties of web0: no\n"));
    }

    #[test]
    fn a_link_that_is_not_there_is_told() {
        let ran = Twin::default().run("reset-linkprop x0");
        let expected =
            "dladm: cannot reset properties of x0: there is no such link\nwhat there is: dladm show-link\n";
        assert_eq!((ran.status, &*ran.err), (1, expected));
    }
}
