use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "usage: overlay-bench [lookups | scale | maxbw | micro] [--rounds N] [--seconds N] [--out PATH]\n\
     PATH.json and PATH.svg are written; without --out, target/bench.json and target/bench.svg";

/// How much is measured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
}

/// What is measured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Traffic,
    Lookups,
    Scale,
    Maxbw,
    Micro,
    /// One micro-benchmark's work, so many times: what the counter of instructions is started on.
    Work {
        name: String,
        times: u64,
    },
}

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) part: Part,
    pub(crate) extent: Extent,
    /// Where results go, but for the files' endings.
    pub(crate) out: PathBuf,
}

impl Options {
    /// Reads the words of a command line.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words.peekable();
        let part = match words.next_if(|word| !word.starts_with('-')) {
            None => Part::Traffic,
            Some(word) => part(&word, &mut words)?,
        };
        let extent = Extent { rounds: 5, length: Duration::from_secs(3) };
        let mut options = Self { part, extent, out: PathBuf::from("target/bench") };
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("'{option}' wants a value, or is unknown"))?;
            match option.as_str() {
                "--rounds" => options.extent.rounds = number(&option, &value)? as usize,
                "--seconds" => options.extent.length = Duration::from_secs(number(&option, &value)?.into()),
                "--out" => options.out = PathBuf::from(value),
                _ => return Err(format!("unknown option '{option}'")),
            }
        }
        Ok(options)
    }
}

fn part(word: &str, words: &mut impl Iterator<Item = String>) -> Result<Part, String> {
    match word {
        "lookups" => Ok(Part::Lookups),
        "scale" => Ok(Part::Scale),
        "maxbw" => Ok(Part::Maxbw),
        "micro" => match (words.next(), words.next()) {
            (None, _) => Ok(Part::Micro),
            (Some(name), times) => {
                let times = times.and_then(|times| times.parse().ok());
                Ok(Part::Work { times: times.ok_or_else(|| format!("'{name}': how many times?"))?, name })
            }
        },
        _ => Err(format!("'{word}' is nothing to measure")),
    }
}

fn number(option: &str, value: &str) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| format!("'{option} {value}': a number from 1 to 1000 is wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_words_traffic_is_measured_at_least_five_times() {
        let options = read("").unwrap();
        assert_eq!((options.part, options.extent.rounds >= 5), (Part::Traffic, true));
        assert_eq!(options.out.with_extension("json"), PathBuf::from("target/bench.json"));
    }

    #[test]
    fn parts_and_options_are_read() {
        let options = read("lookups --rounds 7 --seconds 2 --out /tmp/x").unwrap();
        let extent = Extent { rounds: 7, length: Duration::from_secs(2) };
        assert_eq!(options, Options { part: Part::Lookups, extent, out: PathBuf::from("/tmp/x") });
        assert_eq!(read("scale").unwrap().part, Part::Scale);
        assert_eq!(read("maxbw").unwrap().part, Part::Maxbw);
        assert_eq!(read("micro").unwrap().part, Part::Micro);
        assert_eq!(
            read("micro parse 100").unwrap().part,
            Part::Work { name: "parse".to_owned(), times: 100 }
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["--rounds", "--rounds 0", "--rounds many", "--fast 1", "everything", "micro parse"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
