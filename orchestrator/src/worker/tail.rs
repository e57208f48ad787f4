//! The last lines that a worker wrote to stderr, kept for error messages.

use std::collections::VecDeque;

/// Number of lines that are kept.
const MAX_LINES: usize = 40;
/// Longest part of a line that is kept, in bytes.
const MAX_LINE_BYTES: usize = 2_000;

/// The last 40 lines.
#[derive(Debug, Default)]
pub struct Tail(VecDeque<String>);

impl Tail {
    /// Adds a line, without its newline. Drops the oldest one if there are too many.
    pub fn push(&mut self, line: &str) {
        if self.0.len() == MAX_LINES {
            self.0.pop_front();
        }
        let end = line.floor_char_boundary(MAX_LINE_BYTES);
        self.0.push_back(line[..end].to_owned());
    }

    /// The lines, joined.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
