//! Problems of the parameters of a node, as data.

use crate::brief::Brief;

/// What is wrong with a parameter, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamProblem {
    /// The node type has no parameter of that name.
    #[error(
        "{node} has no parameter '{}'{}",
        Brief(.param), unknown_hint(.nearest.as_deref(), .known)
    )]
    Unknown {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The name that was probably meant.
        nearest: Option<String>,
        /// Canonical names of all parameters.
        known: Vec<&'static str>,
    },
    /// The value is of the wrong type.
    #[error("{node}: parameter '{param}' must be {expected}, got {got}")]
    WrongType {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// Description of the parameter's type.
        expected: &'static str,
        /// The type and value that were written.
        got: String,
    },
    /// The number is outside the parameter's range.
    #[error(
        "{node}: parameter '{param}' must be between {min} and {max}{}, got {}",
        unit_suffix(.unit), short(*.value)
    )]
    OutOfRange {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The value that was written.
        value: f64,
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
        /// Unit of the three numbers, or empty.
        unit: &'static str,
    },
    /// The word is not one of the choices.
    #[error(
        "{node}: parameter '{param}' must be one of {}, got '{}'{}",
        choices.join(", "), Brief(.value), did_you_mean(.nearest.as_deref())
    )]
    NotAChoice {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The word that was written.
        value: String,
        /// The words that are allowed.
        choices: &'static [&'static str],
        /// The word that was probably meant.
        nearest: Option<String>,
    },
    /// Two spellings of one parameter were both given.
    #[error(
        "{node}: '{first}' and '{second}' are the same parameter; give only one of them, \
         preferably '{canonical}'"
    )]
    GivenTwice {
        /// The node type.
        node: &'static str,
        /// The parameter's own name.
        canonical: &'static str,
        /// One spelling that was written.
        first: String,
        /// Another spelling that was written.
        second: String,
    },
    /// Two parameters that contradict each other were both given.
    #[error("{node}: give either '{first}' or '{second}', not both")]
    Exclusive {
        /// The node type.
        node: &'static str,
        /// Canonical name of the first.
        first: &'static str,
        /// Canonical name of the second.
        second: &'static str,
    },
    /// The code of a node reads a parameter that its type does not declare: a bug in this crate.
    #[error("{node} reads a parameter '{param}' of type {kind} that it does not declare")]
    Undeclared {
        /// The node type.
        node: &'static str,
        /// The parameter that the code reads.
        param: &'static str,
        /// The type that the code expects.
        kind: &'static str,
    },
}

fn unknown_hint(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(_) => did_you_mean(nearest),
        None if known.is_empty() => "; it takes none".to_owned(),
        None => format!("; it takes {}", known.join(", ")),
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// A number without hundreds of zeros.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-6..1e16 => value.to_string(),
        _ => format!("{value:e}"),
    }
}

fn unit_suffix(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}
