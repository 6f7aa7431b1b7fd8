use super::Outcome;
use crate::weight;

/// Octets that are held of what one plugin says, as text, at most.
pub const HELD_MAX: usize = 16 * 1024 * 1024;

/// What a plugin has said that the driver cannot be told yet. It is told after every address has been called doubtful: so
/// news that are too many are forgotten, and of the rest the last word counts.
#[derive(Debug, Default)]
pub struct Held {
    news: Vec<Outcome>,
    octets: usize,
    ready: Option<Outcome>,
    health: Option<Outcome>,
}

impl Held {
    /// Takes what is to be told later.
    pub fn push(&mut self, outcome: Outcome) {
        match &outcome {
            Outcome::Ready => self.ready = Some(outcome),
            Outcome::Degrade(_) | Outcome::Restore => self.health = Some(outcome),
            Outcome::Answer(_, verdict) | Outcome::News(_, verdict) => {
                self.add(weight::verdict(verdict), outcome);
            }
            Outcome::Inject(frame) => self.add(weight::frame(frame), outcome),
        }
    }

    fn add(&mut self, octets: usize, outcome: Outcome) {
        if self.octets + octets > HELD_MAX {
            self.news = Vec::new();
            self.octets = 0;
        }
        self.octets += octets;
        self.news.push(outcome);
    }

    /// All of it, in the order in which it is to be told.
    pub fn release(self) -> impl Iterator<Item = Outcome> {
        self.ready.into_iter().chain(self.news).chain(self.health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay_core::lookup::{About, Verdict};
    use overlay_core::types::MacAddr;

    fn news(last: u8, ends: usize) -> Outcome {
        let ends = vec![([10, 0, 0, last], 4789).into(); ends];
        Outcome::News(About::Mac(MacAddr([2, 0, 0, 0, 0, last])), Verdict::Found(ends))
    }

    #[test]
    fn news_come_in_order_and_of_the_rest_the_last_word() {
        let mut held = Held::default();
        let degrade = |why: &str| Outcome::Degrade(why.to_owned());
        for outcome in [degrade("a"), news(1, 1), Outcome::Restore, Outcome::Ready, news(2, 1), degrade("b")]
        {
            held.push(outcome);
        }
        let told: Vec<_> = held.release().collect();
        assert_eq!(told, [Outcome::Ready, news(1, 1), news(2, 1), degrade("b")]);
    }

    #[test]
    fn news_for_ever_are_held_within_a_limit() {
        let mut held = Held::default();
        for number in 0..1_000 {
            held.push(news(number as u8, 4_096));
            assert!(held.octets <= HELD_MAX);
        }
        assert!(
            held.news.len() <= HELD_MAX / weight::verdict(&Verdict::Found(vec![([0; 4], 1).into(); 4_096]))
        );
    }
}
