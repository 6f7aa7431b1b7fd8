//! From a frame that is for elsewhere to what goes to tunnel ends, now or after a lookup.

use super::{Device, Direction, DropReason, FrameBuf, Inner, Load, Overlay, Waiting};
use crate::encap::Stamp;
use crate::lookup::{Asker, Ends, Fate, Refusal, Released, TargetMode};
use crate::offload::{Cut, finish_checksum};
use crate::types::{LinkId, Moment};
use crate::wire::{Ethernet, FlowHasher, IpHead, is_question};

/// A frame that is to go to one tunnel end or several, as one datagram or several for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The tunnel ends.
    pub ends: Ends,
    /// The hash of its flow, for its source port.
    pub flow: u64,
    /// How it is cut; none when it goes as it is, with the encapsulation's header before it already.
    pub cut: Option<Cut>,
    /// What it counts for, at each tunnel end.
    pub load: Load,
    /// What the outer IP header of its datagrams says.
    pub stamp: Stamp,
}

/// What the data path needs beside the frame: the secret of flows, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Outward<'a> {
    /// Spreads flows over source ports.
    pub hasher: &'a FlowHasher,
    /// The time, as target tables have it.
    pub now: Moment,
}

/// Where a frame goes that is for elsewhere.
pub(super) enum Way {
    /// To these tunnel ends.
    To(Ends),
    /// Its address has to be asked for.
    Unknown,
    /// It is a question itself.
    Question,
    /// Nowhere.
    Lost(DropReason),
}

impl Way {
    /// How many places that is; what is not known yet is one.
    pub(super) fn places(&self) -> usize {
        match self {
            Self::To(ends) => ends.all().len(),
            Self::Unknown | Self::Question | Self::Lost(_) => 1,
        }
    }
}

impl From<Refusal> for DropReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Absent => Self::LookupAbsent,
            Refusal::Unknown => Self::LookupUnknown,
            Refusal::Expired => Self::LookupTimeout,
            Refusal::Full => Self::LookupFull,
            Refusal::Fixed => Self::TargetDrop,
        }
    }
}

impl<D: Device> Overlay<D> {
    /// Where a frame goes that is for no VNIC here, or for more than those.
    pub(super) fn way(&self, inner: &Inner<'_>, now: Moment) -> Way {
        match &self.settings.target {
            None => Way::Lost(DropReason::NoTarget),
            Some(TargetMode::Point(end)) => Way::To(Ends::One(*end)),
            Some(TargetMode::Dynamic)
                if inner.cut().is_none() && is_question(inner.frame, &inner.ethernet) =>
            {
                Way::Question
            }
            Some(TargetMode::Dynamic) => match self.targets.look(inner.ethernet.destination, now) {
                Fate::Send(ends) => Way::To(ends),
                Fate::Lose(why) => Way::Lost(why.into()),
                Fate::Wait => Way::Unknown,
            },
        }
    }

    /// Sends a frame of the VNIC `port` on its way, which has been counted as so many places.
    pub(super) fn go(
        &self,
        way: Way,
        port: LinkId,
        frame: &mut FrameBuf,
        outward: Outward<'_>,
    ) -> Result<Option<Departure>, DropReason> {
        match way {
            Way::Lost(reason) => Err(reason),
            Way::To(ends) => self.depart(frame, ends, outward.hasher),
            Way::Question => self.ask(port, frame, outward.now).map(|()| None),
            Way::Unknown => match self.wait(port, frame, outward.now)? {
                Some(ends) => {
                    let load = Inner::sent(frame)?.load;
                    self.counters.became(ends.all().len(), load.frames);
                    if ends.all().is_empty() {
                        Err(DropReason::NoReceiver)
                    } else {
                        self.depart(frame, ends, outward.hasher)
                    }
                }
                None => Ok(None),
            },
        }
    }

    /// Makes a frame ready for tunnel ends; for none, it is nothing.
    fn depart(
        &self,
        frame: &mut FrameBuf,
        ends: Ends,
        hasher: &FlowHasher,
    ) -> Result<Option<Departure>, DropReason> {
        if ends.all().is_empty() {
            return Ok(None);
        }
        let inner = Inner::sent(frame)?;
        let flow = hasher.hash(inner.frame, &inner.ethernet);
        let stamp = self.settings.outer.stamp(IpHead::read(inner.frame, &inner.ethernet));
        let departure = Departure { ends, flow, cut: inner.cut(), load: inner.load, stamp };
        if departure.cut.is_none()
            && let Err(reason) = self.pack(frame)
        {
            // The caller counts one; the copies for the other tunnel ends are lost with it.
            let others = departure.ends.all().len() - 1;
            self.counters.lose(Direction::Out, reason, others * departure.load.frames);
            return Err(reason);
        }
        Ok(Some(departure))
    }

    /// Lets a frame wait for its address to be found. The tunnel ends, where that has happened meanwhile.
    fn wait(&self, port: LinkId, frame: &FrameBuf, now: Moment) -> Result<Option<Ends>, DropReason> {
        let inner = Inner::sent(frame)?;
        let Ethernet { destination, source, vid, .. } = inner.ethernet;
        let load = inner.load;
        let make = || self.park(frame, port, load);
        let out = &mut |released| self.discard(released);
        match self.targets.wait(destination, Asker { source, vid }, now, (load.bytes, make), out) {
            Fate::Send(ends) => Ok(Some(ends)),
            Fate::Lose(why) => Err(why.into()),
            Fate::Wait => Ok(None),
        }
    }

    /// Lets a frame wait that is a question itself.
    fn ask(&self, port: LinkId, frame: &FrameBuf, now: Moment) -> Result<(), DropReason> {
        let load = Inner::sent(frame)?.load;
        let mut octets = frame.octets().to_vec();
        finish_checksum(&mut octets, &frame.vnet()).map_err(|_| DropReason::BadSuperFrame)?;
        Ok(self.targets.ask_frame(octets, || self.park(frame, port, load), now)?)
    }

    fn park(&self, frame: &FrameBuf, port: LinkId, load: Load) -> Waiting {
        self.counters.wait(load.frames);
        Waiting::new(frame, port, load)
    }

    /// Sends a frame that has waited, and has been put into `frame`.
    pub fn release(
        &self,
        waited: &Waiting,
        ends: Ends,
        frame: &mut FrameBuf,
        hasher: &FlowHasher,
    ) -> Option<Departure> {
        self.counters.waited(waited.load.frames);
        self.counters.became(ends.all().len(), waited.load.frames);
        let departed = match ends.all() {
            [] => Err(DropReason::NoReceiver),
            _ => self.depart(frame, ends, hasher),
        };
        departed.unwrap_or_else(|reason| {
            self.lose_sent(waited.port, waited.load, reason);
            None
        })
    }

    /// Sends a frame that has waited and has a new destination, and has been put into `frame`.
    pub fn resend(&self, waited: &Waiting, frame: &mut FrameBuf, outward: Outward<'_>) -> Option<Departure> {
        self.counters.waited(waited.load.frames);
        self.try_resend(waited, frame, outward).unwrap_or_else(|reason| {
            self.lose_sent(waited.port, waited.load, reason);
            None
        })
    }

    fn try_resend(
        &self,
        waited: &Waiting,
        frame: &mut FrameBuf,
        outward: Outward<'_>,
    ) -> Result<Option<Departure>, DropReason> {
        let inner = Inner::sent(frame)?;
        if self.owner(&inner.ethernet).is_some() {
            // It was for all, so its owner here has had it.
            return Err(DropReason::Proxied);
        }
        let way = self.way(&inner, outward.now);
        self.counters.became(way.places(), inner.load.frames);
        if way.places() == 0 {
            return Err(DropReason::NoReceiver);
        }
        self.go(way, waited.port, frame, outward)
    }

    /// Counts a frame that has waited and is not sent.
    pub fn refuse(&self, waited: &Waiting, reason: DropReason) {
        self.counters.waited(waited.load.frames);
        self.lose_sent(waited.port, waited.load, reason);
    }

    /// What a worker's own look-up throws out of the table: entries that had to make room.
    fn discard(&self, released: Released<Waiting>) {
        let (waited, why) = match released {
            Released::Lose(waited, why) => (waited, why),
            Released::Go(waited, _) => (waited, Refusal::Full),
        };
        self.refuse(&waited, why.into());
    }

    /// Counts a frame that a VNIC sent, perhaps one that is no longer here.
    fn lose_sent(&self, port: LinkId, load: Load, reason: DropReason) {
        self.counters.lose(Direction::Out, reason, load.frames);
        if let Some(port) = self.ports().iter().find(|one| one.settings.link == port) {
            port.counters().lost(load.frames);
        }
    }

    /// Gives VNICs a frame that the lookup side has made.
    pub fn inject(&self, octets: &[u8]) {
        let inner = match Inner::arrived(octets, None) {
            Ok(inner) => inner,
            Err(reason) => {
                self.counters.inject(Load { frames: 1, bytes: octets.len() });
                return self.counters.lose(Direction::In, reason, 1);
            }
        };
        self.counters.inject(inner.load);
        // Whoever it speaks of must not take it for another one with its address.
        if let Err(reason) = self.deliver(&inner, Some(inner.ethernet.source)) {
            self.counters.lose(Direction::In, reason, inner.load.frames);
        }
    }

    /// Makes a datagram of a frame that goes as it is.
    fn pack(&self, frame: &mut FrameBuf) -> Result<(), DropReason> {
        let vnet = frame.vnet();
        finish_checksum(frame.octets_mut(), &vnet).map_err(|_| DropReason::BadSuperFrame)?;
        self.write_header(frame.prepend(self.settings.encap.header_len()));
        Ok(())
    }

    /// Writes the header that each of the overlay's datagrams begins with.
    pub fn write_header(&self, header: &mut [u8]) {
        self.settings.encap.write(self.settings.vnetid, header);
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{ANY, Bench, frame_to, point};
    use super::*;
    use crate::lookup::{About, Question, Verdict};
    use crate::types::MacAddr;

    const AWAY: MacAddr = MacAddr([2, 9, 9, 9, 9, 9]);

    fn dynamic(vnics: usize) -> Bench {
        Bench::with(&vec![None; vnics], |settings| settings.target = Some(TargetMode::Dynamic))
    }

    fn ends(count: u16) -> Vec<std::net::SocketAddr> {
        (1..=count).map(|port| ([10, 0, 0, 2], port).into()).collect()
    }

    /// An ARP request for 10.8.0.2 from 10.8.0.1, whose sender is the bench's frame sender.
    fn arp() -> Vec<u8> {
        let mut frame = frame_to(ANY, 42);
        frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame
    }

    impl Bench {
        /// Tells the table, and sends what it lets go; as datagrams.
        fn learn(&self, about: About, verdict: &Verdict) -> Vec<(Vec<std::net::SocketAddr>, Vec<u8>)> {
            let mut sent = Vec::new();
            self.targets.learn(about, verdict, self.now, &mut |released| match released {
                Released::Go(waited, ends) => sent.extend(self.release(&waited, ends)),
                Released::Lose(waited, why) => self.overlay.refuse(&waited, why.into()),
            });
            sent
        }

        fn release(&self, waited: &Waiting, ends: Ends) -> Option<(Vec<std::net::SocketAddr>, Vec<u8>)> {
            let mut frame = FrameBuf::default();
            waited.restore(&mut frame);
            let departure = self.overlay.release(waited, ends, &mut frame, &self.hasher)?;
            departure.ends.all().iter().for_each(|_| self.overlay.counters().sent(departure.load));
            Some((departure.ends.all().to_vec(), frame.octets().to_vec()))
        }

        pub(in crate::datapath) fn waiting(&self) -> u64 {
            self.overlay.counters().info().waiting
        }
    }

    #[test]
    fn the_first_frame_waits_and_leaves_with_the_answer_as_later_ones_do() {
        let bench = dynamic(1);
        let frame = frame_to(AWAY, 100);
        assert_eq!(bench.transmit(0, &frame), None);
        assert_eq!(bench.waiting(), 1);
        bench.check_counters();
        let source = MacAddr([2, 0, 0, 0, 0, 0xfe]);
        let link = LinkId(99.try_into().unwrap());
        assert_eq!(bench.desk.take(), [Question::Target { link, mac: AWAY, source, vid: None }]);
        let sent = bench.learn(About::Mac(AWAY), &Verdict::Found(vec![point()]));
        let (departure, datagram) = bench.transmit(0, &frame).unwrap();
        bench.sent(100);
        assert_eq!(sent, [(departure.ends.all().to_vec(), datagram)]);
        assert_eq!(bench.waiting(), 0);
        bench.check_counters();
    }

    #[test]
    fn a_frame_to_a_group_goes_to_each_of_its_tunnel_ends() {
        let bench = dynamic(3);
        bench.learn(About::Mac(ANY), &Verdict::Learned(ends(3)));
        let (departure, _) = bench.transmit(0, &frame_to(ANY, 60)).unwrap();
        assert_eq!(departure.ends.all(), ends(3));
        (0..3).for_each(|_| bench.sent(60));
        assert_eq!((bench.taken(1).len(), bench.taken(2).len()), (1, 1));
        assert_eq!(bench.overlay.counters().info().copies, 4);
        bench.check_counters();
    }

    #[test]
    fn a_waiting_frame_to_a_group_is_copied_when_its_ends_are_known() {
        let bench = dynamic(2);
        bench.transmit(0, &frame_to(ANY, 60));
        assert_eq!(bench.learn(About::Mac(ANY), &Verdict::Found(ends(2))).len(), 1);
        bench.check_counters();
        assert_eq!(bench.overlay.counters().info().to_wire, 2);
    }

    #[test]
    fn a_group_without_tunnel_ends_elsewhere_is_no_loss_while_somebody_hears_it_here() {
        for (vnics, drops) in [(2, vec![]), (1, vec![("no-receiver", 1)])] {
            let bench = dynamic(vnics);
            bench.learn(About::Mac(ANY), &Verdict::Learned(vec![]));
            assert_eq!(bench.transmit(0, &frame_to(ANY, 60)), None);
            assert_eq!(bench.drops(), drops);
            bench.check_counters();
        }
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let bench = dynamic(1);
        for (number, verdict) in [(1, Verdict::Absent), (2, Verdict::Unknown)] {
            let mac = MacAddr([2, 9, 9, 9, 9, number]);
            bench.transmit(0, &frame_to(mac, 60));
            bench.learn(About::Mac(mac), &verdict);
            bench.transmit(0, &frame_to(mac, 60));
        }
        bench.targets.fix(AWAY, None, bench.now, &mut |_| ());
        bench.transmit(0, &frame_to(AWAY, 60));
        bench.transmit(0, &frame_to(MacAddr([2, 9, 9, 9, 9, 3]), 60));
        let out = &mut |released| match released {
            Released::Lose(waited, why) => bench.overlay.refuse(&waited, Refusal::into(why)),
            Released::Go(..) => panic!("nobody has answered"),
        };
        bench.targets.expire(Moment(3000), out);
        let expected =
            [("lookup-absent", 2), ("lookup-unknown", 2), ("lookup-timeout", 1), ("target-drop", 1)];
        assert_eq!(bench.drops(), expected);
        bench.check_counters();
    }

    #[test]
    fn a_question_of_its_own_waits_by_itself_and_is_answered_in_place() {
        let bench = dynamic(2);
        (0..2).for_each(|_| drop(bench.transmit(0, &arp())));
        assert_eq!(bench.taken(1).len(), 2, "neighbours here hear it at once");
        let ids: Vec<_> = bench
            .desk
            .take()
            .into_iter()
            .map(|question| match question {
                Question::Frame { id, frame, .. } => {
                    assert_eq!(frame.0, arp());
                    id
                }
                Question::Target { .. } => panic!("{question:?}"),
            })
            .collect();
        let waited = bench.targets.answered_frame(ids[0]).unwrap();
        bench.overlay.inject(&frame_to(bench.mac(0), 60));
        bench.overlay.refuse(&waited, DropReason::Proxied);
        assert_eq!((bench.taken(0).len(), bench.drops(), bench.waiting()), (1, vec![("proxied", 1)], 1));
        bench.check_counters();
        let waited = bench.targets.answered_frame(ids[1]).unwrap();
        assert_eq!(bench.release(&waited, Ends::from(ends(2))).unwrap().0, ends(2));
        bench.check_counters();
    }

    #[test]
    fn a_redirected_frame_goes_to_its_new_destination_unless_that_has_had_it() {
        let bench = dynamic(2);
        (0..2).for_each(|_| drop(bench.transmit(0, &arp())));
        let resend = |id: u64, to: MacAddr| {
            let mut waited = bench.targets.answered_frame(id).unwrap();
            waited.redirect(to);
            let mut frame = FrameBuf::default();
            waited.restore(&mut frame);
            let outward = Outward { hasher: &bench.hasher, now: bench.now };
            bench.overlay.resend(&waited, &mut frame, outward)
        };
        assert_eq!(resend(1, bench.mac(1)), None);
        assert_eq!((bench.taken(1).len(), bench.drops()), (2, vec![("proxied", 1)]), "it has had it already");
        assert_eq!(resend(2, AWAY), None);
        assert_eq!(bench.waiting(), 1, "its new destination is asked for");
        let sent = bench.learn(About::Mac(AWAY), &Verdict::Found(vec![point()]));
        assert_eq!(sent[0].1[8..14], AWAY.0);
        bench.check_counters();
    }

    #[test]
    fn a_made_up_frame_that_nobody_hears_is_counted() {
        let bench = dynamic(1);
        bench.overlay.inject(&[0; 13]);
        bench.overlay.inject(&frame_to(AWAY, 60));
        assert_eq!(bench.drops(), [("runt", 1), ("unknown-mac", 1)]);
        bench.check_counters();
    }
}
