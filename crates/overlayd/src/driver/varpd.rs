use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay_core::engine::Engine;
use overlay_core::lookup::{About, Answer, TargetMode, Verdict};
use overlay_core::protocol::{Association, ControlError, ErrorCode, Response};
use overlay_core::types::LinkId;

use super::{ConnectionId, Driver, Overlay};
use crate::lifecycle::Step;

/// Octets of a degradation's message (illumos: 256 with the terminator).
const MESSAGE_MAX: usize = 255;

/// How long varpd may take to claim its overlays once it has come.
const SETTLING: Duration = Duration::from_secs(5);

impl<E: Engine> Driver<E> {
    pub(super) fn attach(&mut self, caller: ConnectionId) -> Result<Response, ControlError> {
        if self.varpd.is_some_and(|varpd| varpd != caller) {
            return Err(ControlError::new(ErrorCode::Exists, "another varpd is attached to this overlayd"));
        }
        (self.varpd, self.attached) = (Some(caller), Some(Instant::now()));
        tracing::info!("varpd is attached");
        Ok(Response::Attached {
            // What is stored and not there keeps its instance.
            overlays: self.overlays.keys().chain(self.dormant.overlays.keys()).copied().collect(),
            deleted: self.deleted.clone(),
        })
    }

    /// Whether varpd has come so lately that it may still claim overlays.
    pub(super) fn is_settling(&self) -> bool {
        self.attached.is_some_and(|attached| attached.elapsed() < SETTLING)
    }

    pub(super) fn associate(
        &mut self,
        caller: ConnectionId,
        association: Association,
    ) -> Result<(), ControlError> {
        let (link, instance) = (association.link, association.instance);
        let overlay = self.overlay_of(link)?;
        check_reach(overlay, &association)?;
        overlay.step(Step::Associate)?;
        // The same instance comes again whenever its tunnel ends change.
        let news = overlay.claimed != Some(caller);
        overlay.association = Some(association);
        overlay.claimed = Some(caller);
        overlay.degraded = None;
        let (name, spec) = (overlay.record.name.clone(), overlay.spec());
        if self.dormant.has(link) {
            // It is of use once the overlay is brought up.
            return Ok(());
        }
        self.engine.set_overlay(link, &spec);
        if news {
            // Much may have changed since an earlier connection said what is known.
            self.engine.learn(vec![Answer { link, about: About::All, verdict: Verdict::Doubtful }]);
            // What waits was asked of nobody, or of one who has gone.
            self.unasked.insert(link);
            tracing::info!("overlay {name} is associated with varpd instance {instance}");
        }
        Ok(())
    }

    /// Frames go on as varpd said last.
    pub(super) fn disassociate(&mut self, link: LinkId) -> Result<(), ControlError> {
        self.overlay_of(link)?.step(Step::Disassociate)
    }

    pub(super) fn degrade(&mut self, link: LinkId, message: Option<String>) -> Result<(), ControlError> {
        let overlay = self.overlay_of(link)?;
        overlay.degraded = message.map(|message| message.chars().take(MESSAGE_MAX).collect());
        match &overlay.degraded {
            Some(message) => tracing::warn!("overlay {} is degraded: {message}", overlay.record.name),
            None => tracing::info!("overlay {} is restored", overlay.record.name),
        }
        Ok(())
    }

    pub(super) fn forget_deleted(&mut self, links: &[LinkId]) -> Result<(), ControlError> {
        self.deleted.retain(|deleted| !links.contains(deleted));
        self.records.save_deleted(&self.deleted)
    }

    fn overlay_of(&mut self, link: LinkId) -> Result<&mut Overlay, ControlError> {
        self.overlays
            .get_mut(&link)
            .or_else(|| self.dormant.overlays.get_mut(&link))
            .ok_or_else(|| ControlError::not_found(format!("there is no overlay with id {link}")))
    }
}

fn check_reach(overlay: &Overlay, association: &Association) -> Result<(), ControlError> {
    match association.mode {
        TargetMode::Point(end) => check_end(overlay, end),
        TargetMode::Dynamic => Ok(()),
    }
}

/// A socket that listens on an IPv4 address reaches IPv4 tunnel ends, one on an IPv6 address IPv6 ones; `::` both.
pub(super) fn check_end(overlay: &Overlay, end: SocketAddr) -> Result<(), ControlError> {
    if end.port() == 0 || end.ip().is_unspecified() || end.ip().is_multicast() {
        return Err(ControlError::invalid(format!("{end} is no tunnel end")));
    }
    let reached = match overlay.listen {
        SocketAddr::V4(_) => end.is_ipv4(),
        SocketAddr::V6(listen) => listen.ip().is_unspecified() || end.is_ipv6(),
    };
    if reached {
        return Ok(());
    }
    let (listen, to) = (overlay.listen.ip(), end.ip());
    Err(ControlError::invalid(format!("{to} cannot be reached from {listen}: one is IPv4, the other IPv6"))
        .with_hint("give both of one kind, or listen on :: for both kinds"))
}
