use overlay_core::property::PropertySpec;
use overlay_core::protocol::{PluginInfo, StoredLink, StoredWhat};

use super::{Outcome, overlay_rows, show_overlay, stored};
use crate::error::{Error, Failure};
use crate::session::Session;
use crate::table::Cell;

/// The stored configuration of overlays: those of `names`, in that order, or all.
pub(super) fn rows(names: &[String], session: &mut Session<'_>) -> Result<(Vec<Vec<Cell>>, Outcome), Error> {
    let what = "cannot show overlays";
    let mut links = stored::links(what, session)?;
    links.retain(|link| matches!(link.what, StoredWhat::Overlay { .. }));
    let (links, outcome) = find(names, links, session);
    let encaps = session.daemons.encaps().map_err(|error| Failure::of_daemon(what, &error))?;
    let instances = show_overlay::instances(session);
    let row =
        |link: &StoredLink| overlay_rows::stored(link, declared(link, &encaps), instances.get(&link.id));
    Ok((links.iter().flat_map(row).collect(), outcome))
}

fn find(names: &[String], links: Vec<StoredLink>, session: &mut Session<'_>) -> (Vec<StoredLink>, Outcome) {
    if names.is_empty() {
        return (links, Outcome::Whole);
    }
    let (mut found, mut outcome) = (Vec::new(), Outcome::Whole);
    for name in names {
        match links.iter().find(|link| link.name.as_str() == name) {
            Some(link) => found.push(link.clone()),
            None => {
                let what = format!("cannot show overlay {name}");
                let failure = stored::not_stored(what, name, "overlay", session);
                session.warn_of(&failure);
                outcome = Outcome::Partial;
            }
        }
    }
    (found, outcome)
}

/// The properties that an overlay's encapsulation has.
fn declared<'a>(link: &StoredLink, encaps: &'a [PluginInfo]) -> &'a [PropertySpec] {
    let StoredWhat::Overlay { encap, .. } = &link.what else { return &[] };
    encaps.iter().find(|plugin| plugin.name == *encap).map_or(&[], |plugin| &plugin.properties)
}

#[cfg(test)]
mod tests {
    use super::super::twin::Twin;

    const STORED: &str = "\
LINK               PROPERTY           PERM REQ VALUE      DEFAULT   POSSIBLE
blue0              mtu                rw   -   --         1400      auto,576-8900
blue0              vnetid             rw   -   23         --        --
blue0              encap              r-   -   vxlan      --        --
blue0              varpd/id           r-   -   1          --        --
blue0              target/maximum     rw   -   --         65536     1-4194304
blue0              target/ageing      rw   -   --         300       0-86400
blue0              target/negative    rw   -   --         1         0-3600
blue0              target/timeout     rw   -   --         3         1-60
blue0              vxlan/listen_ip    rw   y   192.0.2.10 --        --
blue0              vxlan/listen_port  rw   y   --         4789      1-65535
blue0              search             r-   -   direct     --        --
blue0              direct/dest_ip     rw   y   192.0.2.20 --        --
blue0              direct/dest_port   rw   y   4789       --        0-65535
";

    #[test]
    fn the_stored_configuration_is_shown() {
        for arguments in ["show-overlay -P", "show-overlay --persistent blue0"] {
            let ran = Twin::default().run(arguments);
            assert_eq!((ran.status, &*ran.out, &*ran.err), (0, STORED, ""));
        }
        let ran = Twin::default().run("show-overlay -P --json -o property,value blue0");
        assert!(ran.out.contains(r#"{"property": "mtu", "value": null}"#), "{}", ran.out);
    }

    #[test]
    fn what_is_not_stored_is_told_and_the_rest_shown() {
        let ran = Twin::default().run("show-overlay -P -o link,property x0 blue0");
        assert_eq!(
            ran.err,
            "dladm: warning: cannot show overlay x0: no such overlay is stored\nwhat is stored: dladm show-overlay -P\n"
        );
        assert_eq!((ran.status, ran.out.lines().count()), (1, 14));
        let mut twin = Twin { varpd_down: true, ..Twin::default() };
        let ran = twin.run("show-overlay -P");
        assert!(ran.err.starts_with("dladm: warning: the search properties are left out: "), "{}", ran.err);
        assert_eq!((ran.status, ran.out.lines().count()), (0, 12));
        let ran = Twin::default().run("show-overlay -P -f");
        assert!(ran.err.contains("'--persistent' cannot be used with '--fma'"), "{}", ran.err);
    }
}
