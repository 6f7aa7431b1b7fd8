use overlay_core::lookup::Answer;
use overlay_core::protocol::LINE_MAX;

use crate::weight;

/// Answers in one call to the driver, at most.
const ANSWERS_MAX: usize = 1_000;

/// Answers on their way to the driver, gathered so that many go in one call, and cut so that none becomes too long a
/// line. One answer that is too long by itself goes as it is.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    answers: Vec<Answer>,
    octets: usize,
}

impl Outbox {
    /// Takes an answer; what is to be sent before it, if anything is.
    pub(super) fn push(&mut self, answer: Answer) -> Option<Vec<Answer>> {
        let octets = weight::verdict(&answer.verdict);
        let full = self.answers.len() >= ANSWERS_MAX || self.octets + octets > LINE_MAX;
        let before = if full { self.take() } else { None };
        self.octets += octets;
        self.answers.push(answer);
        before
    }

    /// All that is to be sent.
    pub(super) fn take(&mut self) -> Option<Vec<Answer>> {
        self.octets = weight::FRAME;
        Some(std::mem::take(&mut self.answers)).filter(|answers| !answers.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::lookup::{About, Octets, Verdict};
    use overlay_core::protocol::{Call, Request};
    use overlay_core::types::{LinkId, MacAddr};

    fn answer(verdict: Verdict) -> Answer {
        let link = LinkId(u32::MAX.try_into().unwrap());
        Answer { link, about: About::Mac(MacAddr([0xaa; 6])), verdict }
    }

    fn batches(answers: impl Iterator<Item = Answer>) -> Vec<Vec<Answer>> {
        let mut outbox = Outbox::default();
        let mut batches: Vec<_> = answers.filter_map(|answer| outbox.push(answer)).collect();
        batches.extend(outbox.take());
        assert_eq!(outbox.take(), None);
        batches
    }

    fn line(answers: Vec<Answer>) -> usize {
        let call = Call { id: u64::MAX, request: Request::Answers { answers } };
        serde_json::to_vec(&call).unwrap().len()
    }

    #[test]
    fn a_huge_batch_is_cut_in_order() {
        let ends = |port| vec![([10, 0, 0, 1], port).into()];
        let answers = (1..=2_500).map(|port| answer(Verdict::Found(ends(port))));
        let batches = batches(answers);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        let all: Vec<_> = batches.concat();
        assert!(all.iter().zip(1..).all(|(answer, port)| answer.verdict == Verdict::Found(ends(port))));
    }

    #[test]
    fn no_line_is_longer_than_the_driver_takes() {
        let end = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        let found = answer(Verdict::Found(vec![end; 100]));
        let reply = answer(Verdict::Reply(Octets(vec![0xff; 9_000])));
        let doubt = answer(Verdict::Redirect(MacAddr([0xff; 6])));
        for batch in batches([found, reply, doubt].into_iter().cycle().take(3_000)) {
            assert!(line(batch) <= LINE_MAX);
        }
    }

    #[test]
    fn an_answer_that_fills_a_line_alone_goes_alone() {
        let large = answer(Verdict::Found(vec!["[::1]:1".parse().unwrap(); 100_000]));
        let batches = batches([answer(Verdict::Absent), large, answer(Verdict::Absent)].into_iter());
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
