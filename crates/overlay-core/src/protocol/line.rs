/// A line grew past the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {0} octets")]
pub struct LineTooLong(pub usize);

/// Octets as they arrive, taken out again as whole lines.
#[derive(Debug)]
pub struct LineBuffer {
    octets: Vec<u8>,
    start: usize,
    searched: usize,
    limit: usize,
}

impl LineBuffer {
    /// Empty, for lines of at most `limit` octets.
    pub const fn new(limit: usize) -> Self {
        Self { octets: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Lines may have so many octets from now on.
    pub const fn allow(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes what arrived.
    pub fn push(&mut self, octets: &[u8]) {
        if self.start > 0 {
            self.octets.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// [`LineTooLong`], from then on for ever: nothing after an over-long line can be trusted.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        let found = self.octets[self.searched..].iter().position(|octet| *octet == b'\n');
        let end = found.map_or(self.octets.len(), |offset| self.searched + offset);
        if end - self.start > self.limit {
            return Err(LineTooLong(self.limit));
        }
        if found.is_none() {
            self.searched = end;
            return Ok(None);
        }
        let line = self.start..end;
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(&self.octets[line]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(buffer: &mut LineBuffer) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| buffer.next_line().unwrap().map(<[u8]>::to_vec)).collect()
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(octets in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), cut in 1usize..20) {
            let mut whole = LineBuffer::new(1000);
            whole.push(&octets);
            let mut pieces = LineBuffer::new(1000);
            let mut got = Vec::new();
            for piece in octets.chunks(cut) {
                pieces.push(piece);
                got.extend(lines(&mut pieces));
            }
            prop_assert_eq!(got, lines(&mut whole));
        }
    }

    #[test]
    fn an_overlong_line_is_refused_before_it_ends() {
        let mut buffer = LineBuffer::new(4);
        buffer.push(b"abcd\nabcde");
        assert_eq!(buffer.next_line(), Ok(Some(&b"abcd"[..])));
        assert_eq!(buffer.next_line(), Err(LineTooLong(4)));
        assert_eq!(buffer.next_line(), Err(LineTooLong(4)));
    }
}
