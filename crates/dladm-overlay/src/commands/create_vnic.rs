use overlay_core::property::{
    Assignment, Properties, PropertyError, VNIC_LINK_PROPERTIES, parse_assignments,
};
use overlay_core::protocol::{MacChoice, Request};
use overlay_core::types::{LinkName, LinkNameError, MacAddr, MacError, VlanIdError};

use crate::cli::CreateVnic;
use crate::error::{Error, Failure};
use crate::session::Session;

/// Why a VNIC cannot be created as asked.
#[derive(Debug, thiserror::Error)]
enum ValueError {
    #[error(transparent)]
    Name(#[from] LinkNameError),
    #[error(transparent)]
    Mac(#[from] MacError),
    #[error("an overlay has no {0} MAC addresses: it takes one that is given, auto or random")]
    NoSuchMacs(&'static str),
    #[error(transparent)]
    Vid(#[from] VlanIdError),
    #[error(transparent)]
    Property(#[from] PropertyError),
}

/// Creates a VNIC on an overlay.
pub(super) fn run(arguments: &CreateVnic, session: &mut Session<'_>) -> Result<(), Error> {
    let request = request(arguments)?;
    session.daemons.change_link(request).map_err(|error| Failure::of_daemon(what(arguments), &error))?;
    Ok(())
}

fn what(arguments: &CreateVnic) -> String {
    format!("cannot create VNIC {}", arguments.vnic)
}

/// What is to be asked for.
pub(super) fn request(arguments: &CreateVnic) -> Result<Request, Failure> {
    for (option, given, word) in [
        ("-r", &arguments.mac_prefix, "random"),
        ("-n", &arguments.slot, "factory"),
        ("-V", &arguments.vrid, "vrrp"),
        ("-A", &arguments.address_family, "vrrp"),
    ] {
        if given.is_some() && arguments.mac_address.as_deref() != Some(word) {
            return Err(Failure::usage(Some("create-vnic"), format!("{option} goes with -m {word} only")));
        }
    }
    read(arguments).map_err(|error| Failure::new(what(arguments), error))
}

fn read(arguments: &CreateVnic) -> Result<Request, ValueError> {
    Ok(Request::CreateVnic {
        name: arguments.vnic.parse::<LinkName>()?.for_device()?,
        over: arguments.link.parse()?,
        mac: mac(arguments)?,
        vid: arguments.vid.as_deref().map(str::parse).transpose()?,
        properties: properties(&arguments.properties)?,
        temporary: arguments.temporary,
    })
}

/// `auto` is a free address of the card's own or else a random one (libdlvnic.c); an overlay has none of its own.
fn mac(arguments: &CreateVnic) -> Result<MacChoice, ValueError> {
    match arguments.mac_address.as_deref() {
        None | Some("auto") => Ok(MacChoice::Random { prefix: None }),
        Some("random") => {
            let prefix = arguments.mac_prefix.as_deref().map(str::parse).transpose()?;
            Ok(MacChoice::Random { prefix })
        }
        Some("factory") => Err(ValueError::NoSuchMacs("factory")),
        Some("vrrp") => Err(ValueError::NoSuchMacs("VRRP")),
        Some(text) => Ok(MacChoice::Fixed(text.parse::<MacAddr>()?.unicast()?)),
    }
}

fn properties(lists: &[String]) -> Result<Vec<Assignment>, PropertyError> {
    let given = parse_assignments(lists.iter().map(String::as_str))?;
    Properties::check(VNIC_LINK_PROPERTIES, &given)?;
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;

    #[test]
    fn a_vnic_is_asked_for_as_given() {
        for (options, fragment) in [
            ("-l demo0", r#""mac":{"random":{"prefix":null}},"vid":null,"properties":[],"temporary":false"#),
            ("-l demo0 -m auto", r#""mac":{"random":{"prefix":null}}"#),
            ("-l demo0 -m random -r 2:9", r#""mac":{"random":{"prefix":"2:9"}}"#),
            ("-l demo0 -m 2:8:20:AB:1:2", r#""mac":{"fixed":"2:8:20:ab:1:2"}"#),
            ("-l demo0 -v 7 -f", r#""vid":7"#),
            ("--link demo0 -v 4094 -t", r#""vid":4094,"properties":[],"temporary":true"#),
            ("-l demo0 -p mtu=1000", r#""properties":[{"name":"mtu","value":"1000"}]"#),
            ("-l demo0 -p zone=db", r#""properties":[{"name":"zone","value":"db"}]"#),
            ("-l demo0 -p maxbw=2G,priority=low", r#"[{"name":"maxbw","value":"2G"},{"name":"priority","#),
            (
                "-l demo0 -p allowed-ips=192.0.2.1,192.0.2.2 -p protection=ip-nospoof",
                r#"[{"name":"allowed-ips","value":"192.0.2.1,192.0.2.2"},{"name":"protection","#,
            ),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&format!("create-vnic {options} foo0"));
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""), "{options}");
            assert!(twin.requests[0].contains(fragment), "{} has no {fragment}", twin.requests[0]);
        }
    }

    #[test]
    fn nothing_is_asked_of_overlayd_for_a_bad_value() {
        let own = "it takes one that is given, auto or random";
        let mac = "is not a MAC address (six hexadecimal octets, like 2:8:20:ab:cd:ef)";
        for (options, why) in [
            ("-l demo0 -v 0", "VLAN id '0' is not a number from 1 to 4094".to_owned()),
            ("-l demo0 -v 4095", "VLAN id '4095' is not a number from 1 to 4094".to_owned()),
            ("-l demo0 -v -1", "VLAN id '-1' is not a number from 1 to 4094".to_owned()),
            ("-l demo0 -m factory", format!("an overlay has no factory MAC addresses: {own}")),
            ("-l demo0 -m factory -n 1", format!("an overlay has no factory MAC addresses: {own}")),
            ("-l demo0 -m vrrp -V 1 -A inet", format!("an overlay has no VRRP MAC addresses: {own}")),
            ("-l demo0 -m vrrp", format!("an overlay has no VRRP MAC addresses: {own}")),
            ("-l demo0 -m fixed", format!("'fixed' {mac}")),
            ("-l demo0 -m 2:8", format!("'2:8' {mac}")),
            ("-l demo0 -m random -r 2:x", "'2:x' is not a MAC prefix".to_owned()),
            ("-l demo0 -m ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff is a multicast address".to_owned()),
            ("-l demo0 -m 0:0:0:0:0:0", "the all-zero MAC address cannot be a card's own".to_owned()),
            ("-l demo", "'demo' is not a link name".to_owned()),
            ("-l demo0 -p mtu=1", "property 'mtu' cannot be '1': it is not in 576-8900".to_owned()),
            (
                "-l demo0 -p pool=a",
                "unknown property 'pool' (known ones: zone, mtu, secondary-macs".to_owned(),
            ),
            ("-l demo0 -p state=up", "property 'state' is read-only".to_owned()),
            (
                "-l demo0 -p protection=mac-nospoof,all",
                "property 'protection' cannot be 'all': it is none of mac-nospoof, restricted, ip-nosp"
                    .to_owned(),
            ),
        ] {
            let mut twin = Twin::default();
            let ran = twin.run(&format!("create-vnic {options} foo0"));
            let expected = format!("dladm: cannot create VNIC foo0: {why}");
            assert!(ran.err.starts_with(&expected), "{}", ran.err);
            assert_eq!((ran.status, twin.asked.len()), (1, 0), "{options}");
        }
    }

    #[test]
    fn a_vnics_name_is_a_devices() {
        let ran = Twin::default().run("create-vnic -l demo0 averylongname_x1");
        assert!(ran.err.contains("is too long: 16 characters, 15 at most"), "{}", ran.err);
        assert_eq!(ran.status, 1);
    }

    #[test]
    fn overlayds_refusal_is_told() {
        let mut twin = Twin::default();
        twin.fail("CreateVnic", "there is no overlay demo0");
        let ran = twin.run("create-vnic -l demo0 foo0");
        assert_eq!(ran.err, "dladm: cannot create VNIC foo0: there is no overlay demo0\nmend it\n");
        assert_eq!(ran.status, 1);
    }
}
