//! Target tables: what administrators set in them, what varpd is asked, and what it answers.

use std::net::SocketAddr;

use overlay_core::engine::Engine;
use overlay_core::lookup::{Answer, Ends, Question, TargetMode};
use overlay_core::protocol::{
    ControlError, ErrorCode, Event, FixedTarget, TargetDestination, TargetInfo, TargetOrigin, TargetPage,
    TargetState,
};
use overlay_core::types::{LinkId, LinkName, MacAddr};

use super::varpd::check_end;
use super::{ConnectionId, Driver, Overlay};
use crate::records::FixedEntry;

/// Entries of one overlay that can be set by hand; each is stored.
const FIXED_MAX: usize = 4096;

/// Tunnel ends of one entry that is set by hand.
const FIXED_ENDS_MAX: usize = 64;

/// How much varpd takes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It has taken all that it was told.
    All,
    /// It takes more.
    Some,
    /// It does not take what it was told already, or is not there.
    None,
}

/// Questions in one line to varpd: a frame among them can have 18,000 digits.
const QUESTIONS_MAX: usize = 256;

impl<E: Engine> Driver<E> {
    pub(super) fn set_target(
        &mut self,
        name: &LinkName,
        mac: MacAddr,
        target: FixedTarget,
    ) -> Result<(), ControlError> {
        let id = self.dynamic(name)?;
        let Some(overlay) = self.overlays.get_mut(&id) else { return Ok(()) };
        check_target(overlay, &target)?;
        let mut record = overlay.record.clone();
        record.targets.retain(|entry| entry.mac != mac);
        if record.targets.len() >= FIXED_MAX {
            let problem = format!("overlay {name} has {FIXED_MAX} targets set by hand, and can have no more");
            return Err(ControlError::new(ErrorCode::Failed, problem));
        }
        record.targets.push(FixedEntry { mac, target: target.clone() });
        self.records.save_overlay(&record)?;
        overlay.record = record;
        self.engine.fix_target(id, mac, ends(target));
        self.show_sources(id);
        Ok(())
    }

    pub(super) fn remove_target(&mut self, name: &LinkName, mac: MacAddr) -> Result<(), ControlError> {
        let id = self.dynamic(name)?;
        self.forget_fixed(id, |entry| entry.mac == mac)?;
        match self.engine.remove_target(id, mac) {
            true => Ok(()),
            false => Err(ControlError::not_found(format!("overlay {name} has no target {mac}"))),
        }
    }

    pub(super) fn flush_targets(&mut self, name: &LinkName) -> Result<(), ControlError> {
        let id = self.dynamic(name)?;
        self.forget_fixed(id, |_| true)?;
        self.engine.flush_targets(id);
        Ok(())
    }

    /// Takes entries set by hand out of an overlay's record.
    fn forget_fixed(&mut self, id: LinkId, which: impl Fn(&FixedEntry) -> bool) -> Result<(), ControlError> {
        let Some(overlay) = self.overlays.get_mut(&id) else { return Ok(()) };
        if !overlay.record.targets.iter().any(&which) {
            return Ok(());
        }
        let mut record = overlay.record.clone();
        record.targets.retain(|entry| !which(entry));
        self.records.save_overlay(&record)?;
        overlay.record = record;
        self.show_sources(id);
        Ok(())
    }

    /// Lets the tunnel ends send that entries set by hand go to.
    fn show_sources(&mut self, id: LinkId) {
        if let Some(spec) = self.overlays.get(&id).map(Overlay::spec) {
            self.engine.set_overlay(id, &spec);
        }
    }

    /// Puts what was set by hand into the target table of a restored overlay.
    pub(super) fn restore_targets(&mut self, id: LinkId) {
        let Some(overlay) = self.overlays.get(&id) else { return };
        for FixedEntry { mac, target } in &overlay.record.targets {
            self.engine.fix_target(id, *mac, ends(target.clone()));
        }
    }

    /// An overlay that has a target table, or may have one once varpd has said so.
    fn dynamic(&self, name: &LinkName) -> Result<LinkId, ControlError> {
        let id = self.overlay_named(name)?;
        match self.overlays.get(&id).and_then(Overlay::mode) {
            Some(TargetMode::Point(end)) => {
                let problem = format!("operation not supported: all frames of {name} go to {end}");
                let hint = "its search plugin knows one destination for all; targets are for dynamic ones, like files";
                Err(ControlError::new(ErrorCode::Unsupported, problem).with_hint(hint))
            }
            Some(TargetMode::Dynamic) | None => Ok(id),
        }
    }

    /// A page of an overlay's target table.
    pub(super) fn show_targets(&self, name: &LinkName, page: u32) -> Result<TargetPage, ControlError> {
        let id = self.overlay_named(name)?;
        match self.overlays.get(&id).and_then(Overlay::mode) {
            Some(TargetMode::Point(end)) => {
                let destination = TargetDestination::Ends(vec![*end]);
                let (state, origin) = (TargetState::Known, TargetOrigin::Point);
                let point = TargetInfo { mac: None, state, destination, origin, age: 0 };
                Ok(TargetPage { targets: vec![point], next: None })
            }
            Some(TargetMode::Dynamic) | None => Ok(self.engine.targets(id, page)),
        }
    }

    /// Takes what varpd knows.
    pub(super) fn learn(&mut self, caller: ConnectionId, answers: Vec<Answer>) -> Result<(), ControlError> {
        self.check_varpd(caller)?;
        self.engine.learn(answers);
        Ok(())
    }

    /// Gives VNICs a frame of varpd's.
    pub(super) fn inject(
        &mut self,
        caller: ConnectionId,
        link: LinkId,
        frame: &[u8],
    ) -> Result<(), ControlError> {
        self.check_varpd(caller)?;
        if !self.overlays.contains_key(&link) {
            return Err(ControlError::not_found(format!("there is no overlay with id {link}")));
        }
        self.engine.inject(link, frame);
        Ok(())
    }

    fn check_varpd(&self, caller: ConnectionId) -> Result<(), ControlError> {
        match self.varpd == Some(caller) {
            true => Ok(()),
            false => Err(ControlError::new(ErrorCode::Denied, "only the attached varpd answers lookups")),
        }
    }

    /// Asks varpd what it has not been asked before. What it does not take now it is asked once it has taken all else, if
    /// it still matters then.
    pub(crate) fn ask(&mut self, room: Room) {
        let fresh = self.engine.questions();
        let Some(varpd) = self.varpd else { return };
        let claimed = |link: &LinkId| self.overlays.get(link).is_some_and(|one| one.claimed == Some(varpd));
        let mut fresh: Vec<_> = fresh.into_iter().filter(|question| claimed(&question.link())).collect();
        if room == Room::None {
            self.unasked.extend(fresh.iter().map(Question::link));
            return;
        }
        if room == Room::All {
            let unasked = std::mem::take(&mut self.unasked);
            fresh.retain(|question| !unasked.contains(&question.link()));
            fresh.extend(
                unasked.iter().filter(|link| claimed(link)).flat_map(|link| self.engine.outstanding(*link)),
            );
        }
        self.put(varpd, fresh);
    }

    fn put(&mut self, varpd: ConnectionId, questions: Vec<Question>) {
        let lines = questions.chunks(QUESTIONS_MAX).map(|questions| Event::Lookups(questions.to_vec()));
        self.events.extend(lines.map(|event| (varpd, event)));
    }

    /// Ends what has waited too long.
    pub(crate) fn expire(&mut self) {
        self.engine.expire();
    }

    /// Whether anything waits for varpd.
    pub(crate) fn is_asking(&self) -> bool {
        self.engine.is_asking()
    }

    /// Readable when varpd is to be asked something.
    pub(crate) fn attention(&self) -> std::os::fd::BorrowedFd<'_> {
        self.engine.attention()
    }
}

fn ends(target: FixedTarget) -> Option<Ends> {
    match target {
        FixedTarget::Drop => None,
        FixedTarget::Ends(ends) => Some(ends.into()),
    }
}

fn check_target(overlay: &Overlay, target: &FixedTarget) -> Result<(), ControlError> {
    let FixedTarget::Ends(ends) = target else { return Ok(()) };
    if ends.is_empty() || ends.len() > FIXED_ENDS_MAX {
        let problem = format!("a target goes to 1 to {FIXED_ENDS_MAX} tunnel ends, not {}", ends.len());
        return Err(ControlError::invalid(problem));
    }
    ends.iter().try_for_each(|end: &SocketAddr| check_end(overlay, *end))
}
