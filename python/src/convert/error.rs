//! Why an object could not become a value, and where in the item it sits.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use thiserror::Error;

/// A part of an item has no wire form.
#[derive(Debug, Error)]
#[error("{path} of type {type_name} cannot be handed to another process: {reason}")]
pub(crate) struct MarshalError {
    /// Python-like path from the item to the part, for instance `input[2]['x'].lock`.
    pub(crate) path: String,
    /// Qualified name of the part's type; bare for builtins.
    pub(crate) type_name: String,
    /// What is wrong with it.
    pub(crate) reason: Reason,
}

/// What is wrong with a part of an item.
#[derive(Debug, Error)]
pub(crate) enum Reason {
    /// Pickles are not allowed here.
    #[error(
        "only None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset and numpy \
         arrays are allowed here (allow_pickle is off)"
    )]
    PicklesForbidden,
    /// A container holds itself, and pickles are not allowed here.
    #[error("it contains itself, and pickles are not allowed here (allow_pickle is off)")]
    ContainsItself,
    /// It is nested too deep, and pickles are not allowed here.
    #[error("it is nested more than {limit} levels deep, and pickles are not allowed here")]
    TooDeep {
        /// Levels that the wire allows.
        limit: usize,
    },
    /// Pickling raised.
    #[error("{message}")]
    Unpicklable {
        /// What pickle said.
        message: String,
    },
    /// Something that is not about the object: an interrupt, exhausted memory.
    #[error("{0}")]
    Python(PyErr),
}

impl From<MarshalError> for PyErr {
    /// A `TypeError` with path and type, but for exceptions that are not about the object.
    fn from(error: MarshalError) -> Self {
        match error.reason {
            Reason::Python(raised) => raised,
            _ => PyTypeError::new_err(error.to_string()),
        }
    }
}

/// One step down into a container.
#[derive(Debug)]
pub(super) enum Step {
    /// Element of a list or tuple.
    Index(usize),
    /// Value in a dict, under the key with this `repr`.
    Key(String),
    /// A key of a dict itself.
    KeyItself(String),
    /// Element of a set.
    Member,
    /// Steps that pickle found inside an opaque object, already formatted.
    Inside(String),
}

/// Why reading stopped, on the way back up to the item.
#[derive(Debug)]
pub(super) enum Stop {
    /// The container with this address contains itself.
    Cycle(usize),
    /// Nested deeper than the wire allows.
    Depth,
    /// No way to send it.
    Failed(Box<Failure>),
}

/// A part that cannot be sent, with the steps to it, innermost first.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) steps: Vec<Step>,
    pub(super) type_name: String,
    pub(super) reason: Reason,
}

impl Stop {
    /// Notes that the trouble lies below `step`, which is made only when it is needed.
    pub(super) fn below(mut self, step: impl FnOnce() -> Step) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.steps.push(step());
        }
        self
    }

    /// A failure at the object itself.
    pub(super) fn here(object: &Bound<'_, PyAny>, reason: Reason) -> Self {
        let type_name = type_name(object);
        Self::Failed(Box::new(Failure { steps: Vec::new(), type_name, reason }))
    }

    /// Turns an exception of Python, raised while `object` was looked at, into a stop.
    pub(super) fn raised(object: &Bound<'_, PyAny>, raised: PyErr) -> Self {
        let py = object.py();
        if !raised.is_instance_of::<PyException>(py) {
            return Self::here(object, Reason::Python(raised));
        }
        let value = raised.value(py);
        let text = |name: &str| value.getattr(name).ok()?.extract::<String>().ok();
        let (Some(path), Some(kind)) = (text("path"), text("type_name")) else {
            return Self::here(object, Reason::Unpicklable { message: raised.to_string() });
        };
        let message = text("reason").unwrap_or_else(|| raised.to_string());
        let steps = if path.is_empty() { Vec::new() } else { vec![Step::Inside(path)] };
        let reason = Reason::Unpicklable { message };
        Self::Failed(Box::new(Failure { steps, type_name: kind, reason }))
    }
}

impl Failure {
    pub(super) fn into_error(self, root: &str) -> MarshalError {
        let mut path = root.to_owned();
        for step in self.steps.iter().rev() {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) => path.push_str(&format!("[{key}]")),
                Step::KeyItself(key) => path.push_str(&format!(" key {key}")),
                Step::Member => path.push_str("{element}"),
                Step::Inside(rest) => path.push_str(rest),
            }
        }
        MarshalError { path, type_name: self.type_name, reason: self.reason }
    }
}

/// Qualified name of the object's type; bare for builtins.
pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let kind = object.get_type();
    let name = kind.qualname().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    match kind.module() {
        Ok(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}
