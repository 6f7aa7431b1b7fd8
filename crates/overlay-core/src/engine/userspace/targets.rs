//! What the lookup side says, carried to target tables and to the frames that wait there.

use std::net::SocketAddr;
use std::sync::Arc;

use super::engine::{Member, UserspaceEngine};
use super::released::Outgoing;
use crate::datapath::{DropReason, Overlay, Waiting};
use crate::device::TapDevice;
use crate::engine::OverlaySpec;
use crate::lookup::{About, Answer, Ends, Question, Released, Verdict};
use crate::protocol::TargetPage;
use crate::socket::check_local;
use crate::types::{LinkId, MacAddr};

/// An overlay whose frames have waited, and the way to the workers that send them.
struct Release<'a> {
    engine: &'a UserspaceEngine,
    link: LinkId,
    member: &'a Member,
    overlay: Arc<Overlay<TapDevice>>,
}

impl UserspaceEngine {
    pub(super) fn take_questions(&self) -> Vec<Question> {
        // It fails only when nothing was written.
        let _ = self.attention.read();
        self.desk.take()
    }

    pub(super) fn unanswered(&self, link: LinkId) -> Vec<Question> {
        self.overlays.get(&link).map(|member| member.targets.outstanding()).unwrap_or_default()
    }

    pub(super) fn take_answers(&self, answers: Vec<Answer>) {
        for Answer { link, about, verdict } in answers {
            let Some(release) = self.release(link) else { continue };
            let verdict = release.without_itself(verdict);
            match about {
                About::Frame(number) => release.answer_frame(number, verdict),
                about => release.member.targets.learn(about, &verdict, self.clock.now(), &mut release.out()),
            }
        }
        self.workers.wake_senders();
    }

    pub(super) fn fix(&self, link: LinkId, mac: MacAddr, ends: Option<Ends>) {
        let Some(release) = self.release(link) else { return };
        release.member.targets.fix(mac, ends, self.clock.now(), &mut release.out());
        self.workers.wake_senders();
    }

    pub(super) fn unfix(&self, link: LinkId, mac: MacAddr) -> bool {
        self.release(link)
            .is_some_and(|release| release.member.targets.remove(mac, self.clock.now(), &mut release.out()))
    }

    pub(super) fn flush(&self, link: LinkId) {
        if let Some(release) = self.release(link) {
            release.member.targets.flush(self.clock.now(), &mut release.out());
        }
    }

    pub(super) fn target_page(&self, link: LinkId, page: u32) -> TargetPage {
        let page = self.overlays.get(&link).map(|member| member.targets.page(page, self.clock.now()));
        page.unwrap_or(TargetPage { targets: Vec::new(), next: None })
    }

    pub(super) fn end_waiting(&self) {
        let now = self.clock.now();
        let due = |member: &Member| member.targets.next_expiry().is_some_and(|next| next <= now);
        let links: Vec<_> =
            self.overlays.iter().filter(|(_, member)| due(member)).map(|(link, _)| *link).collect();
        for release in links.into_iter().filter_map(|link| self.release(link)) {
            release.member.targets.expire(now, &mut release.out());
        }
    }

    /// Lets an overlay's table last and hold what its properties say.
    pub(super) fn tune(&self, link: LinkId, spec: &OverlaySpec) {
        if let Some(release) = self.release(link) {
            let now = self.clock.now();
            release.member.targets.tune(spec.timing, spec.targets_max, now, &mut release.out());
        }
    }

    fn release(&self, link: LinkId) -> Option<Release<'_>> {
        let member = self.overlays.get(&link)?;
        let overlay = Arc::clone(member.current.as_ref()?);
        Some(Release { engine: self, link, member, overlay })
    }
}

impl Release<'_> {
    /// Where frames go that wait no longer.
    fn out(&self) -> impl FnMut(Released<Waiting>) + '_ {
        |released| match released {
            Released::Go(frame, ends) => self.send(frame, Some(ends)),
            Released::Lose(frame, why) => self.overlay.refuse(&frame, why.into()),
        }
    }

    fn send(&self, frame: Waiting, ends: Option<Ends>) {
        let worker = self.member.worker_of(frame.port);
        self.engine.workers.send(worker, Outgoing { overlay: self.link, frame, ends });
    }

    fn answer_frame(&self, number: u64, verdict: Verdict) {
        let Some(mut frame) = self.member.targets.answered_frame(number) else { return };
        let reason = match verdict {
            Verdict::Found(ends) | Verdict::Learned(ends) => return self.send(frame, Some(ends.into())),
            Verdict::Redirect(to) => {
                frame.redirect(to);
                return self.send(frame, None);
            }
            Verdict::Reply(reply) => {
                self.overlay.inject(&reply.0);
                DropReason::Proxied
            }
            Verdict::Absent => DropReason::LookupAbsent,
            Verdict::Unknown | Verdict::Doubtful => DropReason::LookupUnknown,
        };
        self.overlay.refuse(&frame, reason);
    }

    /// A verdict without this host's own tunnel end: one file serves all hosts, and a frame sent to oneself comes back.
    fn without_itself(&self, verdict: Verdict) -> Verdict {
        let others = |ends: Vec<SocketAddr>| ends.into_iter().filter(|end| !self.is_itself(*end)).collect();
        match verdict {
            Verdict::Found(ends) => Verdict::Found(others(ends)),
            Verdict::Learned(ends) => Verdict::Learned(others(ends)),
            other => other,
        }
    }

    fn is_itself(&self, end: SocketAddr) -> bool {
        let listen = self.member.listen;
        end.port() == listen.port()
            && (end.ip() == listen.ip()
                || listen.ip().is_unspecified() && check_local(SocketAddr::new(end.ip(), 0)).is_ok())
    }
}
