//! Problems of a configuration, as data.

use std::fmt;
use std::path::PathBuf;

use crate::choice::UnknownWord;

/// Where a configuration came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Text handed over by a program.
    Text,
    /// A file that was named explicitly.
    File(PathBuf),
    /// A file that `REMOTEMEDIA_CONFIG` names.
    EnvironmentFile(PathBuf),
    /// Environment variables themselves.
    Environment,
    /// Arguments of the caller.
    Arguments,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => out.write_str("environment"),
            Self::Arguments => out.write_str("arguments"),
            Self::Text => out.write_str("configuration"),
            Self::File(path) => write!(out, "configuration file {}", path.display()),
            Self::EnvironmentFile(path) => write!(
                out,
                "configuration file {} (named by {})",
                path.display(),
                super::env::CONFIG_VARIABLE
            ),
        }
    }
}

/// A configuration that cannot be used, with all of its problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the configuration came from.
    pub origin: Origin,
    /// Every problem, in the order of the text; never empty.
    pub problems: Vec<ConfigProblem>,
}

impl ConfigError {
    pub(super) fn unreadable(origin: Origin, cause: &std::io::Error) -> Self {
        let kind = ConfigProblemKind::Unreadable { cause: cause.to_string() };
        Self { origin, problems: vec![ConfigProblem { at: String::new(), kind }] }
    }

    /// The error for a variable or an argument called `name` with an unknown value.
    #[must_use]
    pub fn unknown_word(origin: Origin, name: &str, word: UnknownWord) -> Self {
        let kind = ConfigProblemKind::UnknownWord(word);
        Self { origin, problems: vec![ConfigProblem { at: name.to_owned(), kind }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.origin)?;
        if let [only] = self.problems.as_slice() {
            return write!(out, "{only}");
        }
        write!(out, "{} problems", self.problems.len())?;
        for problem in &self.problems {
            write!(out, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// One problem and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Place of the problem, such as `[workers] max`; empty for the whole text.
    pub at: String,
    /// What is wrong.
    pub kind: ConfigProblemKind,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(out, "{}: ", self.at)?;
        }
        write!(out, "{}", self.kind)
    }
}

/// What is wrong at one place of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblemKind {
    /// The file cannot be read.
    #[error("cannot be read: {cause}")]
    Unreadable {
        /// Error text of the operating system.
        cause: String,
    },
    /// The text is not TOML.
    #[error("line {line}, column {column}: not valid TOML: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// No section of that name exists.
    #[error("unknown section [{name}]{}", did_you_mean(.nearest.as_deref(), .known))]
    UnknownSection {
        /// The name as written.
        name: String,
        /// The most similar known name.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// No key of that name exists in its section.
    #[error("unknown key `{name}`{}", did_you_mean(.nearest.as_deref(), .known))]
    UnknownKey {
        /// The name as written.
        name: String,
        /// The most similar known name.
        nearest: Option<String>,
        /// All known names of the section.
        known: Vec<String>,
    },
    /// The value does not have the type of the key.
    #[error("expected {expected}, got {found}")]
    WrongType {
        /// Description of the allowed values, with an example.
        expected: String,
        /// Type and value found in the text.
        found: String,
    },
    /// A text is not a size or a duration in the form that the key takes.
    #[error("`{text}` is not {expected}")]
    NotAQuantity {
        /// The text.
        text: String,
        /// Description of the allowed values, with an example.
        expected: String,
    },
    /// The value lies outside the range of the key.
    #[error("{value} is out of range: allowed is {allowed}")]
    OutOfRange {
        /// The value as written.
        value: String,
        /// The range in words.
        allowed: String,
    },
    /// An environment variable or an argument has an unknown value.
    #[error(transparent)]
    UnknownWord(UnknownWord),
    /// `min` is larger than `max`.
    #[error("min = {min} is more than max = {max}; lower min or raise max")]
    MinAboveMax {
        /// `workers.min`.
        min: usize,
        /// `workers.max`, resolved if automatic.
        max: usize,
    },
}

fn did_you_mean(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(name) => format!(", did you mean `{name}`?"),
        None => format!("; known are {}", known.join(", ")),
    }
}
