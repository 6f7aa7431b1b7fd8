use crate::figures::Series;
use crate::options::Extent;
use crate::rigs::{Cable, Kind, Rig};
use crate::rows::{self, Work};

/// What a run has found.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    figures: Vec<(Work, Kind, Series)>,
    /// Rigs that could not be set up, and why.
    pub(crate) left_out: Vec<(Kind, Cable, String)>,
}

impl Taken {
    /// The figures of a work on one kind of rig.
    pub(crate) fn figures(&self, work: Work, kind: Kind) -> Option<&Series> {
        let found = self.figures.iter().find(|(of, by, _)| (*of, *by) == (work, kind));
        found.map(|(_, _, series)| series)
    }

    #[cfg(test)]
    pub(crate) fn put(&mut self, work: Work, kind: Kind, rounds: &[f64]) {
        self.figures.push((work, kind, Series::new(rounds.to_vec())));
    }

    fn measure(&mut self, rigs: &[Rig], work: Work, extent: &Extent) {
        let kinds = rows::kinds(work);
        let rigs: Vec<&Rig> = rigs.iter().filter(|rig| kinds.contains(&rig.kind)).collect();
        let mut figures = vec![Vec::new(); rigs.len()];
        for round in 0..extent.rounds {
            // Whoever begins a round does not begin the next one.
            for place in (0..rigs.len()).map(|turn| (round + turn) % rigs.len()) {
                figures[place].push(work.measure.take(rigs[place], extent.length));
            }
        }
        println!("{}:", work.title());
        for (rig, rounds) in rigs.into_iter().zip(figures) {
            let series = Series::new(rounds);
            println!("    {:<16} {:>14}", rig.kind.title(), work.measure.show(series.median()));
            self.figures.push((work, rig.kind, series));
        }
    }
}

/// Takes every figure that the table needs: rigs on one kind of cable at a time, whose rounds take turns.
pub(crate) fn run(extent: &Extent) -> Taken {
    let mut taken = Taken::default();
    for cable in Cable::ALL {
        let works = rows::works(cable);
        let needed = |kind: &Kind| works.iter().any(|work| rows::kinds(*work).contains(kind));
        let mut rigs = Vec::new();
        for kind in Kind::ALL.into_iter().filter(needed) {
            match Rig::set_up(kind, cable) {
                Ok(rig) => rigs.push(rig),
                Err(why) => taken.left_out.push((kind, cable, why)),
            }
        }
        for work in works {
            taken.measure(&rigs, work, extent);
        }
    }
    taken
}
