//! Which interpreter Python nodes get, and whether they may move to CPython: one setting with several
//! sources. Pure: the caller reads arguments, environment and configuration.
//!
//! Highest precedence first: the node's own hint (see [`crate::catalog`]), the argument of the
//! pipeline or the run, the environment, the configuration, the default.

use crate::placement::{Engine, Origin};

#[cfg(test)]
mod tests;

/// Names of interpreters, in upper or lower case; `None` is the default interpreter. In a hint
/// `rust` means a native node; here it means RustPython, as this setting only chooses between
/// interpreters.
const SPELLINGS: [(&str, Option<Engine>); 8] = [
    ("cpython", Some(Engine::CPython)),
    ("python", Some(Engine::CPython)),
    ("cpython_wasm", Some(Engine::CPython)),
    ("wasm", Some(Engine::CPython)),
    ("rustpython", Some(Engine::RustPython)),
    ("rust_python", Some(Engine::RustPython)),
    ("rust", Some(Engine::RustPython)),
    ("auto", None),
];

const FLAG_SPELLINGS: [(&str, bool); 8] = [
    ("true", true),
    ("false", false),
    ("1", true),
    ("0", false),
    ("yes", true),
    ("no", false),
    ("on", true),
    ("off", false),
];

/// A value that is not one of the known words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown value `{value}`; known are {}", .known.join(", "))]
pub struct UnknownWord {
    /// The value as written.
    pub value: String,
    /// The words that are known.
    pub known: Vec<&'static str>,
}

/// Parses the name of an interpreter; `None` for `auto`.
///
/// # Errors
/// [`UnknownWord`] for any other text.
pub fn parse_runtime(text: &str) -> Result<Option<Engine>, UnknownWord> {
    parse(text, &SPELLINGS)
}

/// Parses a word for true or false, such as `yes` or `off`.
///
/// # Errors
/// [`UnknownWord`] for any other text.
pub fn parse_flag(text: &str) -> Result<bool, UnknownWord> {
    parse(text, &FLAG_SPELLINGS)
}

fn parse<T: Copy>(text: &str, spellings: &[(&'static str, T)]) -> Result<T, UnknownWord> {
    let wanted = text.trim();
    let found = spellings.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| UnknownWord {
        value: wanted.to_owned(),
        known: spellings.iter().map(|(name, _)| *name).collect(),
    })
}

/// The interpreter of Python nodes whose hint does not name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The interpreter.
    pub runtime: Engine,
    /// The source that chose it.
    pub origin: Origin,
}

impl Default for Choice {
    fn default() -> Self {
        Self { runtime: Engine::CPython, origin: Origin::Default }
    }
}

/// One setting from several sources, highest precedence first. `None`: not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<T> {
    /// From the argument of the pipeline or the run.
    pub argument: Option<T>,
    /// From the environment.
    pub environment: Option<T>,
    /// From the configuration.
    pub configuration: Option<T>,
}

impl<T> Setting<T> {
    /// The value with the highest precedence, and its source.
    pub fn effective(self) -> Option<(T, Origin)> {
        let Self { argument, environment, configuration } = self;
        let argument = argument.map(|value| (value, Origin::Argument));
        argument
            .or_else(|| environment.map(|value| (value, Origin::Environment)))
            .or_else(|| configuration.map(|value| (value, Origin::Configuration)))
    }
}

impl Setting<Option<Engine>> {
    /// The interpreter of Python nodes. `auto` from one source overrides sources of lower precedence.
    #[must_use]
    pub fn choice(self) -> Choice {
        match self.effective() {
            Some((Some(runtime), origin)) => Choice { runtime, origin },
            Some((None, origin)) => Choice { origin, ..Choice::default() },
            None => Choice::default(),
        }
    }
}
