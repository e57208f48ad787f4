//! Problems of a configuration, as data.

use std::fmt;
use std::path::PathBuf;

use crate::choice::UnknownWord;

/// Where settings came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Text handed over by a program.
    Text,
    /// A file that was named explicitly, or one at a known place.
    File(PathBuf),
    /// A file that `REMOTEMEDIA_CONFIG` names.
    EnvironmentFile(PathBuf),
    /// Environment variables themselves.
    Environment,
    /// Arguments `--set` of the command line.
    Set,
    /// Arguments of the caller.
    Arguments,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => out.write_str("environment"),
            Self::Set => out.write_str("--set"),
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

/// Settings that cannot be used, with all of their problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Every problem, source by source and in the order of each; never empty.
    pub problems: Vec<ConfigProblem>,
}

impl ConfigError {
    /// The error for a variable or an argument called `name` with an unknown value.
    #[must_use]
    pub fn unknown_word(origin: Origin, name: &str, word: UnknownWord) -> Self {
        let kind = ConfigProblemKind::UnknownWord(word);
        let problem = ConfigProblem { origin, line: None, at: name.to_owned(), kind };
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, others @ ..] = self.problems.as_slice() else { return Ok(()) };
        if others.is_empty() {
            return write!(out, "{}: {first}", first.origin);
        }
        if others.iter().any(|problem| problem.origin != first.origin) {
            write!(out, "configuration: {} problems", self.problems.len())?;
            return self
                .problems
                .iter()
                .try_for_each(|problem| write!(out, "\n  - {}: {problem}", problem.origin));
        }
        write!(out, "{}: {} problems", first.origin, self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(out, "\n  - {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// One problem and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The source that has it.
    pub origin: Origin,
    /// Its line in a text, from 1.
    pub line: Option<usize>,
    /// The key or section, such as `[workers] max`; empty for the whole text.
    pub at: String,
    /// What is wrong.
    pub kind: ConfigProblemKind,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        if !self.at.is_empty() {
            write!(out, "{}: ", self.at)?;
        }
        write!(out, "{}", self.kind)
    }
}

/// Something about settings that their author should know, and that is no error.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ConfigWarning {
    /// A key that has another name now.
    #[error("{place}: `{old}` in [{section}] is called `{new}` now; the old name still works")]
    Renamed {
        /// Where it stands.
        place: String,
        /// Its section.
        section: &'static str,
        /// The name as written.
        old: &'static str,
        /// The name that it has now.
        new: &'static str,
    },
    /// A file in a folder above the working directory that belongs to another user.
    #[error(
        "configuration file {} is left out, because it belongs to another user; name it in {} to use it",
        path.display(), super::env::CONFIG_VARIABLE
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// No key has an environment variable of that name.
    #[error("{name} is set and has no effect{}", did_you_mean(.nearest.as_deref(), &[]))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The most similar known variable.
        nearest: Option<String>,
    },
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
    /// The place has something else than a file.
    #[error("is {found}, and a file with TOML is wanted")]
    NotAFile {
        /// What it is.
        found: &'static str,
    },
    /// The file is not UTF-8.
    #[error("column {column}: byte {byte:#04x} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Column in characters, from 1.
        column: usize,
        /// The first byte that does not fit.
        byte: u8,
    },
    /// A setting of the command line or the caller does not have the form that it needs.
    #[error("expected {expected}")]
    Form {
        /// The form, with an example.
        expected: &'static str,
    },
    /// The text is not TOML.
    #[error("column {column}: not valid TOML: {message}")]
    Syntax {
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
        None if known.is_empty() => String::new(),
        None => format!("; known are {}", known.join(", ")),
    }
}
