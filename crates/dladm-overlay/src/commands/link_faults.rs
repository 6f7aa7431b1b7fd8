use overlay_core::protocol::LinkInfo;

use crate::session::Session;

/// Tells what is wrong with VNICs that are shown.
pub(super) fn warn(links: &[LinkInfo], session: &mut Session<'_>) {
    for link in links {
        if let Some(fault) = link.vnic.as_ref().and_then(|vnic| vnic.fault.as_ref()) {
            session.warn(format!("VNIC {}: {fault}", link.name));
        }
    }
}
