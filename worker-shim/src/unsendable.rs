//! Why an object could not become a value, and where in the item it sits: the same words whichever
//! interpreter it is an object of. Looking at objects, and raising, is the interpreter's.

use std::fmt::Write as _;

#[cfg(test)]
mod tests;

/// A part of an item that has no wire form. `E` is an exception of the interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsendable<E> {
    /// Python-like path from the item to the part, for instance `input[2]['x'].lock`.
    pub path: String,
    /// Qualified name of the part's type; bare for builtins.
    pub type_name: String,
    /// What is wrong with it.
    pub reason: Reason<E>,
}

/// What is wrong with a part of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason<E> {
    /// Pickles are not allowed here.
    PicklesForbidden,
    /// A container holds itself, and pickles are not allowed here.
    ContainsItself,
    /// It is nested too deep, and pickles are not allowed here.
    TooDeep {
        /// Levels that are allowed.
        limit: usize,
    },
    /// Pickling raised.
    Unpicklable {
        /// What pickle said.
        message: String,
    },
    /// Something that is not about the object: an interrupt, exhausted memory.
    Python(E),
}

/// One step down into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop<E> {
    /// The container with this identity contains itself.
    Cycle(usize),
    /// Nested deeper than the wire allows.
    Depth,
    /// No way to send it.
    Failed(Box<Failure<E>>),
}

/// A part that cannot be sent, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<E> {
    /// Innermost step first.
    steps: Vec<Down>,
    type_name: String,
    reason: Reason<E>,
}

/// What an exception says that was raised while an object was pickled: the message, and the place
/// inside the object if it names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its message.
    pub message: String,
    /// `path` of `remotemedia._pickle`'s exception.
    pub path: Option<String>,
    /// `type_name` of it.
    pub type_name: Option<String>,
    /// `reason` of it.
    pub reason: Option<String>,
}

impl<E> Stop<E> {
    /// A failure at the object itself, whose type has this name.
    #[must_use]
    pub fn here(type_name: String, reason: Reason<E>) -> Self {
        Self::Failed(Box::new(Failure { steps: Vec::new(), type_name, reason }))
    }

    /// A failure of pickling an object whose type has the name that `type_name` gives.
    pub fn unpicklable(said: Said, type_name: impl FnOnce() -> String) -> Self {
        let (Some(path), Some(kind)) = (said.path, said.type_name) else {
            return Self::here(type_name(), Reason::Unpicklable { message: said.message });
        };
        let message = said.reason.unwrap_or(said.message);
        let steps = if path.is_empty() { Vec::new() } else { vec![Down::Inside(path)] };
        let reason = Reason::Unpicklable { message };
        Self::Failed(Box::new(Failure { steps, type_name: kind, reason }))
    }

    /// Notes that the trouble lies below `step`, which is made only when it is needed.
    #[must_use]
    pub fn below(mut self, step: impl FnOnce() -> Down) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.steps.push(step());
        }
        self
    }

    /// What is wrong with the item, which is called `root` and whose type has the name that
    /// `type_name` gives.
    pub fn at_root(self, root: &str, type_name: impl FnOnce() -> String) -> Unsendable<E> {
        let failure = match self {
            Self::Failed(failure) => *failure,
            // A container answers both of these itself, so they cannot reach the top.
            Self::Cycle(_) | Self::Depth => Failure {
                steps: Vec::new(),
                type_name: type_name(),
                reason: Reason::ContainsItself,
            },
        };
        let path = path(root, &failure.steps);
        Unsendable { path, type_name: failure.type_name, reason: failure.reason }
    }
}

pub(crate) fn path(root: &str, steps: &[Down]) -> String {
    let mut path = root.to_owned();
    for step in steps.iter().rev() {
        // Writing to a string cannot fail.
        let _written = match step {
            Down::Index(index) => write!(path, "[{index}]"),
            Down::Key(key) => write!(path, "[{key}]"),
            Down::KeyItself(key) => write!(path, " key {key}"),
            Down::Member => path.write_str("{element}"),
            Down::Inside(rest) => path.write_str(rest),
        };
    }
    path
}

impl<E> Unsendable<E> {
    /// The exception for it: what Python raised, if it is not about the object, else what `raise`
    /// makes of the message.
    pub fn into_exception(self, raise: impl FnOnce(String) -> E) -> E {
        let message = self.message();
        match self.reason {
            Reason::Python(raised) => raised,
            _ => raise(message),
        }
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { path, type_name, reason } = self;
        format!("{path} of type {type_name} cannot be handed to another process: {}", reason.text())
    }
}

impl<E> Reason<E> {
    fn text(&self) -> String {
        match self {
            Self::PicklesForbidden => {
                "only None, bool, int, float, str, bytes, list, tuple, dict, \
                 set, frozenset and arrays are allowed here (allow_pickle is off)"
                    .to_owned()
            }
            Self::ContainsItself => {
                "it contains itself, and pickles are not allowed here (allow_pickle is off)"
                    .to_owned()
            }
            Self::TooDeep { limit } => format!(
                "it is nested more than {limit} levels deep, and pickles are not allowed here"
            ),
            Self::Unpicklable { message } => message.clone(),
            Self::Python(_) => "the interpreter was interrupted".to_owned(),
        }
    }
}
