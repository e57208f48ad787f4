//! Texts of users in messages, short enough for one line. Data keep the whole text.

use std::fmt;

/// Characters of a user's text that a message repeats.
const MAX_CHARACTERS: usize = 40;

/// Shows the beginning of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brief<'a>(pub(crate) &'a str);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_CHARACTERS) {
            Some((end, _)) => write!(f, "{}...", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Brief;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(Brief("rate").to_string(), "rate");
        assert_eq!(Brief(&"ä".repeat(40)).to_string(), "ä".repeat(40));
        assert_eq!(Brief(&"ä".repeat(41)).to_string(), "ä".repeat(40) + "...");
    }
}
