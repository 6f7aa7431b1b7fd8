use overlay_core::encap::ENCAPS;
use overlay_core::property::{OVERLAY_PROPERTIES, Permission, PropertySpec, VNIC_LINK_PROPERTIES};

/// The end of the help on `create-overlay`.
pub(super) fn create_overlay() -> String {
    let encaps = ENCAPS.iter().flat_map(|encap| encap.properties());
    let given = |spec: &&PropertySpec| spec.permission == Permission::ReadWrite && spec.name != "vnetid";
    let rows: String = OVERLAY_PROPERTIES.iter().chain(encaps).filter(given).map(property_help).collect();
    format!(
        "Properties (those of the search plugins: dladm show-search):\n{rows}\nExample:\n  \
         dladm create-overlay -e vxlan -s direct -v 23 \\\n      \
         -p vxlan/listen_ip=10.0.0.1,direct/dest_ip=10.0.0.2,direct/dest_port=4789 demo0"
    )
}

/// The end of the help on `create-vnic`.
pub(super) fn create_vnic() -> String {
    format!(
        "Link properties:\n{}\nExamples:\n  \
         dladm create-vnic -l demo0 foo0\n  \
         dladm create-vnic -l demo0 -m 2:8:20:ab:cd:ef -v 7 foo1\n  \
         dladm create-vnic -l demo0 -p maxbw=100M,protection=mac-nospoof,ip-nospoof,allowed-ips=10.0.0.5 foo2",
        link_properties()
    )
}

/// The end of the help on `set-linkprop`.
pub(super) fn set_linkprop() -> String {
    format!(
        "Properties of a VNIC; of an overlay mtu:\n{}\nExamples:\n  \
         dladm set-linkprop -p maxbw=100M foo0\n  \
         dladm set-linkprop -p protection=mac-nospoof,ip-nospoof -p allowed-ips=10.0.0.5,2001:db8::/64 foo0\n  \
         dladm set-linkprop -t -p mtu=1300 foo0",
        link_properties()
    )
}

fn link_properties() -> String {
    let given = |spec: &&PropertySpec| spec.permission == Permission::ReadWrite;
    VNIC_LINK_PROPERTIES.iter().filter(given).map(link_property_help).collect()
}

fn link_property_help(spec: &PropertySpec) -> String {
    let possible = spec.possible.to_string();
    let possible = if possible.is_empty() { possible } else { format!(": {possible}") };
    property_line(spec, &possible)
}

/// A property in a list of those that can be given.
pub(crate) fn property_help(spec: &PropertySpec) -> String {
    property_line(spec, "")
}

fn property_line(spec: &PropertySpec, possible: &str) -> String {
    let note = match &spec.default {
        Some(default) => format!(" [default: {default}]"),
        None if spec.required => " [required]".to_owned(),
        None => String::new(),
    };
    format!("  {:<18} {}{possible}{note}\n", spec.name, spec.doc)
}
