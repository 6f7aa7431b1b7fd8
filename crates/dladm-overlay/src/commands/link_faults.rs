use overlay_core::protocol::LinkInfo;

use crate::session::Session;

/// Tells people what is wrong with VNICs that they are shown; who asks for fields can ask for FAULT.
pub(super) fn warn(links: &[LinkInfo], session: &mut Session<'_>) {
    for link in links {
        if let Some(fault) = link.vnic.as_ref().and_then(|vnic| vnic.fault.as_ref()) {
            session.warn(format!("VNIC {}: {fault}", link.name));
        }
    }
}
