//! Output that came through a worker's pipes and not through its link. It waits for the session in
//! memory, and only so much of it: the oldest lines are dropped.

use std::collections::VecDeque;

/// Most lines that wait for the session.
const MAX_LINES: usize = 4_096;
/// Most bytes that these may have: a line may be long.
const MAX_BYTES: usize = 4 << 20;

/// A line that came through a pipe of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// Whether the line came through stderr.
    pub is_stderr: bool,
    /// The line, without its newline.
    pub text: String,
}

/// The waiting lines.
#[derive(Debug, Default)]
pub(super) struct RawOutput {
    lines: VecDeque<RawLine>,
    bytes: usize,
    dropped: u64,
}

impl RawOutput {
    /// Adds a line, and drops the oldest ones if there are too many.
    pub(super) fn push(&mut self, line: RawLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
            self.dropped += 1;
        }
    }

    /// Takes the waiting lines, and the number of dropped ones.
    pub(super) fn take(&mut self) -> (Vec<RawLine>, u64) {
        let Self { lines, dropped, .. } = std::mem::take(self);
        (lines.into(), dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, MAX_LINES, RawLine, RawOutput};

    fn line(text: &str) -> RawLine {
        RawLine { is_stderr: false, text: text.to_owned() }
    }

    #[test]
    fn the_last_lines_wait_and_dropped_ones_are_counted() {
        // spec: CARD-08
        let mut output = RawOutput::default();
        (0..MAX_LINES + 5).for_each(|number| output.push(line(&number.to_string())));
        let (lines, dropped) = output.take();
        assert_eq!((lines.len(), dropped), (MAX_LINES, 5));
        assert_eq!(lines[0], line("5"));
        assert_eq!(output.take(), (Vec::new(), 0));
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        // spec: CARD-08
        let mut output = RawOutput::default();
        let long = line(&"x".repeat(MAX_BYTES / 8));
        (0..20).for_each(|_| output.push(long.clone()));
        let (lines, dropped) = output.take();
        assert_eq!((lines.len(), dropped), (8, 12));
        // Taking them makes room again.
        (0..8).for_each(|_| output.push(long.clone()));
        assert_eq!(output.take().1, 0);
    }
}
