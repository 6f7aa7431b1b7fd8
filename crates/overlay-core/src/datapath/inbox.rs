use std::net::IpAddr;

use super::{Device, Inner, Overlay};
use crate::offload::{Member, RUN_SEGMENTS, Run};
use crate::wire::Ethernet;

/// Flows of which a run can be in the making at once.
const FLOWS: usize = 8;

/// What arrives in one batch, in which runs of a flow's frames become one before they are carried on.
///
/// Frames of one flow keep their order: one that does not join its flow's run sends that on first.
pub struct Inbox<'a, D> {
    open: [Option<Open<'a, D>>; FLOWS],
    next: usize,
}

/// A run in the making.
struct Open<'a, D> {
    overlay: &'a Overlay<D>,
    sender: IpAddr,
    ethernet: Ethernet,
    first: &'a [u8],
    run: Run,
    payloads: [&'a [u8]; RUN_SEGMENTS],
}

impl<D> Default for Inbox<'_, D> {
    fn default() -> Self {
        Self { open: [const { None }; FLOWS], next: 0 }
    }
}

impl<'a, D: Device> Inbox<'a, D> {
    /// Takes a frame that the tunnel end `sender` sent to `overlay`, its header taken off.
    pub fn take(&mut self, overlay: &'a Overlay<D>, sender: IpAddr, frame: &'a [u8]) {
        let Some(ethernet) = Ethernet::parse(frame) else {
            return overlay.receive(sender, frame, None);
        };
        let member = Member::new(frame, &ethernet).filter(|member| member.is_intact(frame));
        for place in 0..FLOWS {
            let Some(open) = &mut self.open[place] else { continue };
            if !open.is_of(overlay, sender) || !open.run.is_of_flow(frame, &ethernet) {
                continue;
            }
            if member.is_some_and(|member| open.join(frame, member)) {
                return;
            }
            self.send_on(place);
        }
        match member {
            Some(member) => self.begin(overlay, sender, ethernet, frame, member),
            None => overlay.receive(sender, frame, None),
        }
    }

    /// Takes a super-frame of datagrams of `datagram_len` octets, which never was on a wire.
    pub fn take_super(
        &mut self,
        overlay: &'a Overlay<D>,
        sender: IpAddr,
        frame: &'a [u8],
        datagram_len: usize,
    ) {
        self.finish();
        overlay.receive(sender, frame, Some(datagram_len));
    }

    /// Carries on everything that is in the making.
    pub fn finish(&mut self) {
        (0..FLOWS).for_each(|place| self.send_on(place));
    }

    fn begin(
        &mut self,
        overlay: &'a Overlay<D>,
        sender: IpAddr,
        ethernet: Ethernet,
        first: &'a [u8],
        member: Member,
    ) {
        let free = self.open.iter().position(Option::is_none);
        let place = free.unwrap_or(self.next);
        self.send_on(place);
        self.next = (place + 1) % FLOWS;
        let mut payloads = [&first[..0]; RUN_SEGMENTS];
        payloads[0] = &first[member.payload()];
        let run = Run::new(first, member);
        self.open[place] = Some(Open { overlay, sender, ethernet, first, run, payloads });
    }

    fn send_on(&mut self, place: usize) {
        let Some(mut open) = self.open[place].take() else { return };
        let count = open.run.segments();
        let inner = match count {
            1 => Inner::intact(open.first, open.ethernet),
            count => Inner::run(&mut open.run, &open.payloads[..count], open.ethernet),
        };
        open.overlay.receive_inner(open.sender, &inner);
    }
}

impl<'a, D> Open<'a, D> {
    fn is_of(&self, overlay: &Overlay<D>, sender: IpAddr) -> bool {
        std::ptr::eq(self.overlay, overlay) && self.sender == sender
    }

    fn join(&mut self, frame: &'a [u8], member: Member) -> bool {
        let place = self.run.segments();
        let joined = self.run.join(frame, member);
        if joined {
            self.payloads[place] = &frame[member.payload()];
        }
        joined
    }
}

#[cfg(test)]
mod order;
#[cfg(test)]
mod tests;
