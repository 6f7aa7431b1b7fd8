use overlay_core::protocol::LinkInfo;

use crate::session::Session;
use crate::table::Style;

/// Tells people what is wrong with VNICs that they are shown; scripts and programs ask for the field FAULT.
pub(super) fn warn(links: &[LinkInfo], style: Style, session: &mut Session<'_>) {
    if style != Style::Human {
        return;
    }
    for link in links {
        if let Some(fault) = link.vnic.as_ref().and_then(|vnic| vnic.fault.as_ref()) {
            session.warn(format!("VNIC {}: {fault}", link.name));
        }
    }
}
