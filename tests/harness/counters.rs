use std::collections::BTreeMap;

/// What an overlay has counted, by the counters' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// From the rows `COUNTER:VALUE` of `show-overlay -s -p -o counter,value`.
    ///
    /// # Panics
    /// A row has another form, or a counter appears twice.
    #[track_caller]
    pub fn parse(rows: &str) -> Self {
        let mut counters = BTreeMap::new();
        for row in rows.lines() {
            let (name, value) = row.split_once(':').unwrap_or_else(|| panic!("no counter: {row}"));
            let value = value.parse().unwrap_or_else(|_| panic!("no number of frames: {row}"));
            assert!(counters.insert(name.to_owned(), value).is_none(), "{name} appears twice:\n{rows}");
        }
        Self(counters)
    }

    /// The value of one; 0 where it is left out.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The frames dropped for one reason.
    pub fn dropped(&self, reason: &str) -> u64 {
        self.of(&format!("drop-{reason}"))
    }

    /// The frames dropped for whatever reason.
    pub fn drops(&self) -> u64 {
        self.0.iter().filter(|(name, _)| name.starts_with("drop-")).map(|(_, value)| value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name() {
        let rows = "from-devices:3\nfrom-wire:2\ncopies:1\nto-devices:2\nto-wire:3\ndrop-runt:1\n";
        let counters = Counters::parse(rows);
        assert_eq!((counters.drops(), counters.dropped("runt"), counters.dropped("too-big")), (1, 1, 0));
        assert_eq!((counters.of("from-wire"), counters.of("injected")), (2, 0));
    }
}
