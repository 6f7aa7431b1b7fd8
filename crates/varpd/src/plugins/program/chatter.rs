//! What a program writes to its standard error, as lines for varpd's log: bounded in length and in number.

use overlay_core::types::Moment;

use super::declaration::printable;

/// Octets of a line that are kept.
const LINE_MAX: usize = 1024;

/// Milliseconds for which lines are counted.
const WINDOW: u64 = 10_000;

/// Lines in that time.
const LINES_MAX: u32 = 50;

/// Octets become lines.
#[derive(Debug, Default)]
pub(super) struct Chatter {
    line: Vec<u8>,
    begun: Moment,
    lines: u32,
    left_out: u64,
    last: Option<String>,
}

impl Chatter {
    /// Takes what was written, and gives each whole line that is to be logged to `log`.
    pub(super) fn take(&mut self, octets: &[u8], now: Moment, log: &mut impl FnMut(&str)) {
        for piece in octets.split_inclusive(|octet| *octet == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = LINE_MAX - self.line.len();
            self.line.extend_from_slice(&text[..room.min(text.len())]);
            if text.len() < piece.len() {
                self.finish(now, log);
            }
        }
    }

    /// Takes the end of what was written; the last line that said anything.
    pub(super) fn end(mut self, now: Moment, log: &mut impl FnMut(&str)) -> Option<String> {
        self.finish(now, log);
        self.say_left_out(log);
        self.last
    }

    fn finish(&mut self, now: Moment, log: &mut impl FnMut(&str)) {
        let line = printable(String::from_utf8_lossy(&self.line).trim_end());
        self.line.clear();
        if line.is_empty() {
            return;
        }
        if now.since(self.begun) >= WINDOW {
            self.say_left_out(log);
            (self.begun, self.lines) = (now, 0);
        }
        if self.lines < LINES_MAX {
            self.lines += 1;
            log(&line);
        } else {
            self.left_out += 1;
        }
        self.last = Some(line);
    }

    fn say_left_out(&mut self, log: &mut impl FnMut(&str)) {
        if self.left_out > 0 {
            log(&format!("({} lines left out)", self.left_out));
            self.left_out = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(chatter: &mut Chatter, octets: &[u8], now: u64) -> Vec<String> {
        let mut lines = Vec::new();
        chatter.take(octets, Moment(now), &mut |line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_are_whole_and_plain() {
        let mut chatter = Chatter::default();
        assert!(taken(&mut chatter, b"one", 0).is_empty());
        assert_eq!(taken(&mut chatter, b"\n\n\x1b[2Jtwo\r\nthr", 0), ["one", "\\u{1b}[2Jtwo"]);
        assert_eq!(taken(&mut chatter, b"ee\xff\n", 0), ["three\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_takes_no_room() {
        let mut chatter = Chatter::default();
        (0..100).for_each(|_| assert!(taken(&mut chatter, &[b'a'; 4096], 0).is_empty()));
        assert!(chatter.line.capacity() <= 4096);
        assert_eq!(taken(&mut chatter, b"\nnext\n", 0).len(), 2);
    }

    #[test]
    fn too_many_lines_are_counted_in_place_of_logged() {
        let mut chatter = Chatter::default();
        assert_eq!(taken(&mut chatter, &b"x\n".repeat(120), 0).len(), LINES_MAX as usize);
        assert_eq!(taken(&mut chatter, b"later\n", WINDOW), ["(70 lines left out)", "later"]);
    }

    #[test]
    fn the_last_words_are_known_at_the_end() {
        let mut chatter = Chatter::default();
        taken(&mut chatter, b"first\nno such file", 0);
        let mut lines = Vec::new();
        let last = chatter.end(Moment(0), &mut |line| lines.push(line.to_owned()));
        assert_eq!((last.as_deref(), &*lines), (Some("no such file"), &["no such file".to_owned()][..]));
    }
}
