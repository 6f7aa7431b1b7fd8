//! Octets that wait to be written.

/// What is kept of the memory when nothing waits.
const KEPT: usize = 64 * 1024;

/// Octets in order, of which the first may have been written already. Each is moved twice at most, however small the
/// pieces are in which they are written.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    octets: Vec<u8>,
    written: usize,
}

impl Backlog {
    /// What is to be written.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.octets[self.written..]
    }

    /// Forgets the first octets, which have been written.
    pub(crate) fn written(&mut self, count: usize) {
        self.written = (self.written + count).min(self.octets.len());
        if self.written == self.octets.len() {
            self.octets.clear();
            self.octets.shrink_to(KEPT);
            self.written = 0;
        }
    }

    /// Where more is added, at the end.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.written > self.octets.len() / 2 {
            self.octets.drain(..self.written);
            self.written = 0;
        }
        &mut self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_comes_out_in_order_whatever_the_pieces() {
        let (mut backlog, mut out) = (Backlog::default(), Vec::new());
        let all: Vec<u8> = (0..1_000_u32).map(|number| number as u8).collect();
        for piece in all.chunks(7) {
            backlog.end().extend_from_slice(piece);
            let count = backlog.unwritten().len().min(5);
            out.extend_from_slice(&backlog.unwritten()[..count]);
            backlog.written(count);
        }
        out.extend_from_slice(backlog.unwritten());
        assert_eq!(out, all);
    }

    #[test]
    fn a_long_line_is_not_moved_while_it_is_written_and_its_memory_is_given_back() {
        let mut backlog = Backlog::default();
        backlog.end().resize(10 * KEPT, 0);
        let end = backlog.unwritten().as_ptr_range().end;
        for _ in 1..10 {
            backlog.written(KEPT);
            assert_eq!(backlog.unwritten().as_ptr_range().end, end);
        }
        backlog.written(KEPT);
        assert!(backlog.unwritten().is_empty() && backlog.octets.capacity() <= KEPT);
    }
}
