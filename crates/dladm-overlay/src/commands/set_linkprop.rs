use overlay_core::property::{Assignment, parse_assignments};
use overlay_core::protocol::Request;

use super::{Outcome, link_properties};
use crate::cli::SetLinkprop;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Sets properties of a link, each tried whatever becomes of the others.
pub(super) fn run(arguments: &SetLinkprop, session: &mut Session<'_>) -> Result<Outcome, Error> {
    let given = given(arguments)?;
    let link = link_properties::link(&what(arguments), &arguments.link, session)?;
    let mut outcome = Outcome::Whole;
    for property in given {
        let what = format!("cannot set {} of {link}", property.name);
        let (name, temporary) = (link.clone(), arguments.temporary);
        let request = Request::SetLinkProperties { name, properties: vec![property], temporary };
        outcome = outcome.and(link_properties::change(what, request, session)?);
    }
    Ok(outcome)
}

fn what(arguments: &SetLinkprop) -> String {
    format!("cannot set properties of {}", arguments.link)
}

fn given(arguments: &SetLinkprop) -> Result<Vec<Assignment>, Failure> {
    let lists = arguments.properties.iter().map(String::as_str);
    parse_assignments(lists).map_err(|error| Failure::new(what(arguments), error))
}

/// What is wrong with it whatever link it is for.
pub(super) fn check(arguments: &SetLinkprop) -> Result<(), Failure> {
    let what = what(arguments);
    link_properties::name(&what, &arguments.link)?;
    for property in given(arguments)? {
        let spec = link_properties::spec(&property.name).map_err(|error| Failure::new(&what, error))?;
        spec.parse(&property.value).map_err(|error| Failure::new(&what, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;
    use overlay_core::protocol::ErrorCode;

    #[test]
    fn each_property_is_asked_for_by_itself() {
        let mut twin = Twin::default();
        let ran = twin.run("set-linkprop -t -p mtu=1300,allowed-ips=192.0.2.1,192.0.2.2 -p maxbw=5 web0");
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
        assert_eq!(twin.asked, ["Links", "SetLinkProperties", "SetLinkProperties", "SetLinkProperties"]);
        let asked = r#"{"name":"allowed-ips","value":"192.0.2.1,192.0.2.2"}],"temporary":true"#;
        assert!(twin.requests[2].contains(asked), "{}", twin.requests[2]);
        twin.run("set-linkprop --prop mtu=1300 web0");
        assert!(twin.requests[5].contains(r#""temporary":false"#), "{}", twin.requests[5]);
    }

    #[test]
    fn a_property_that_fails_keeps_none_from_being_tried() {
        let mut twin = Twin::default();
        twin.fail_with("SetLinkProperties", ErrorCode::Invalid, "no", Some("mend it"));
        let ran = twin.run("set-linkprop -p mtu=1,maxbw=5 web0");
        let expected = "\
dladm: warning: cannot set mtu of web0: no
mend it
dladm: warning: cannot set maxbw of web0: no
mend it
";
        assert_eq!((ran.status, &*ran.err), (1, expected));
    }

    #[test]
    fn what_concerns_every_property_is_told_once() {
        let mut twin = Twin::default();
        twin.fail_with("SetLinkProperties", ErrorCode::Denied, "you may not", None);
        let ran = twin.run("set-linkprop -p mtu=1300,maxbw=5 web0");
        assert_eq!((ran.status, &*ran.err), (1, "dladm: cannot set mtu of web0: you may not\n"));
        for (arguments, line) in [
            ("-p mtu=1300,maxbw=5 x0", "cannot set properties of x0: there is no such link"),
            ("-p mtu=1300 x", "cannot set properties of x: 'x' is not a link name"),
            ("-p mtu web0", "cannot set properties of web0: 'mtu' is not of the form PROPERTY=VALUE"),
            (
                "-p mtu=1,mtu=2 web0",
                "cannot set properties of web0: property 'mtu' was given more than one value",
            ),
        ] {
            let ran = Twin::default().run(&format!("set-linkprop {arguments}"));
            assert!(ran.err.starts_with(&format!("dladm: {line}")), "{}", ran.err);
            assert_eq!((ran.status, ran.err.matches("dladm:").count()), (1, 1), "{}", ran.err);
        }
    }
}
