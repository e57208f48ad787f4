//! The lines about crossings that wait to be shown. They are written while calls are under way and
//! shown many at a time: a log record for each line would cost more than a small call.

use std::fmt::{self, Write};

/// Bytes of lines that do not wait any longer.
const FULL_BYTES: usize = 32 << 10;

/// Lines of text that wait.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    /// Whether a host was told that lines wait, and has not taken them since.
    is_told: bool,
}

/// When a host is to show the lines that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// There are none, or a host was told already.
    Never,
    /// In a moment, together with those that follow until then.
    Soon,
    /// At once.
    Now,
}

impl Lines {
    /// Adds a line.
    pub(super) fn add(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a string fails only if a part of the line refuses to be shown.
        let _shown = self.text.write_fmt(line);
        self.text.push('\n');
    }

    /// Whether there are lines.
    pub(super) fn wait(&self) -> bool {
        !self.text.is_empty()
    }

    /// When they are to be shown. `Soon` is said once, until [`Lines::take_told`].
    pub(super) fn due(&mut self) -> Due {
        if self.text.len() >= FULL_BYTES {
            Due::Now
        } else if self.text.is_empty() || self.is_told {
            Due::Never
        } else {
            self.is_told = true;
            Due::Soon
        }
    }

    /// Takes the lines, without the last line break.
    pub(super) fn take(&mut self) -> Option<String> {
        self.text.pop()?;
        // As many will follow, mostly.
        let next = String::with_capacity(self.text.capacity());
        Some(std::mem::replace(&mut self.text, next))
    }

    /// As [`Lines::take`], for the host that was told that lines wait.
    pub(super) fn take_told(&mut self) -> Option<String> {
        self.is_told = false;
        self.take()
    }
}
