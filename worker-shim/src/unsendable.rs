//! Why a part of an item could not be sent, and the path to that part. The message is the same for
//! every interpreter; each interpreter's own code reads the objects and raises the exception.

use std::fmt::Write as _;

use ipc_protocol::memory::NoMemory;

#[cfg(test)]
mod tests;

/// A part of an item that has no wire form. `E` is the interpreter's exception type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsendable<E> {
    /// Python-like path from the item to the part, for instance `input[2]['x'].lock`.
    pub path: String,
    /// Qualified name of the part's type; bare for builtins.
    pub type_name: String,
    /// Why it cannot be sent.
    pub reason: Reason<E>,
}

/// Why a part of an item cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason<E> {
    /// The part needs a pickle, and `allow_pickle` is off.
    PicklesForbidden,
    /// A container contains itself, and `allow_pickle` is off.
    ContainsItself,
    /// Containers are nested too deep, and `allow_pickle` is off.
    TooDeep {
        /// Highest number of levels that the wire format allows.
        limit: usize,
    },
    /// Pickling raised an exception.
    Unpicklable {
        /// Message of that exception.
        message: String,
    },
    /// There is no memory for its form in a message.
    NoMemory(NoMemory),
    /// An exception that has nothing to do with the object: an interrupt, exhausted memory.
    Python(E),
}

/// One step of a path, from a container down to one of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// Element of a list or tuple.
    Index(usize),
    /// Value in a dict, under the key with this `repr`.
    Key(String),
    /// Key of a dict, with this `repr`.
    KeyItself(String),
    /// Element of a set.
    Member,
    /// Further steps inside an object that pickle took apart, already formatted.
    Inside(String),
}

/// Why the conversion of an object to a value stopped, while it unwinds from the part to the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop<E> {
    /// The container with this `id()` contains itself.
    Cycle(usize),
    /// The containers are nested deeper than the wire format allows.
    Depth,
    /// An object that can change occurs twice.
    Shared,
    /// A part cannot be sent.
    Failed(Box<Failure<E>>),
}

/// A part that cannot be sent, and the path to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<E> {
    /// The path from the item to the part, innermost step first.
    steps: Vec<Down>,
    type_name: String,
    reason: Reason<E>,
}

/// Data of an exception that was raised while an object was pickled. The exception of
/// `remotemedia._pickle` also names the part inside the object; others have a message only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Message of the exception.
    pub message: String,
    /// Attribute `path`: from the pickled object to the part.
    pub path: Option<String>,
    /// Attribute `type_name` of the exception: the part's type.
    pub type_name: Option<String>,
    /// Attribute `reason`: why the part cannot be pickled.
    pub reason: Option<String>,
}

impl<E> Stop<E> {
    /// A failure of the object itself; `type_name` is the name of its type.
    #[must_use]
    pub fn here(type_name: String, reason: Reason<E>) -> Self {
        Self::Failed(Box::new(Failure { steps: Vec::new(), type_name, reason }))
    }

    /// A failure to pickle an object; `type_name` returns the name of the object's type.
    pub fn unpicklable(said: Said, type_name: impl FnOnce() -> String) -> Self {
        let (Some(path), Some(kind)) = (said.path, said.type_name) else {
            return Self::here(type_name(), Reason::Unpicklable { message: said.message });
        };
        let message = said.reason.unwrap_or(said.message);
        let steps = if path.is_empty() { Vec::new() } else { vec![Down::Inside(path)] };
        let reason = Reason::Unpicklable { message };
        Self::Failed(Box::new(Failure { steps, type_name: kind, reason }))
    }

    /// Adds the result of `step` as the next outer step of the path, if there is a path.
    #[must_use]
    pub fn below(mut self, step: impl FnOnce() -> Down) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.steps.push(step());
        }
        self
    }

    /// Ends the path at the item: `root` is the item's name, `type_name` returns its type's name.
    pub fn at_root(self, root: &str, type_name: impl FnOnce() -> String) -> Unsendable<E> {
        let failure = match self {
            Self::Failed(failure) => *failure,
            // Unreachable: the container that causes one of these is pickled, or makes a `Failed`.
            Self::Cycle(_) | Self::Depth | Self::Shared => Failure {
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
    /// The exception to raise: the one in [`Reason::Python`], otherwise `raise(message)`.
    pub fn into_exception(self, raise: impl FnOnce(String) -> E) -> E {
        let message = self.message();
        match self.reason {
            Reason::Python(raised) => raised,
            _ => raise(message),
        }
    }

    /// The error message.
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
            Self::NoMemory(refused) => refused.to_string(),
            Self::Python(_) => "the interpreter was interrupted".to_owned(),
        }
    }
}
