use overlay_core::encap::ENCAPS;
use overlay_core::property::{OVERLAY_PROPERTIES, Permission, PropertySpec};

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

fn property_help(spec: &PropertySpec) -> String {
    let note = match &spec.default {
        Some(default) => format!(" [default: {default}]"),
        None if spec.required => " [required]".to_owned(),
        None => String::new(),
    };
    format!("  {:<18} {}{note}\n", spec.name, spec.doc)
}
