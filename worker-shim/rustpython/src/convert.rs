//! Python objects to [`Value`]s and back, with the same rules as in the CPython guest: exact builtin
//! types and audio views have a form of their own, every other object travels pickled, so that its
//! type survives.

mod arrays;
mod problem;
mod read;
mod write;

use std::cell::Cell;

use ipc_protocol::Value;
use ipc_protocol::from_worker::Traffic;
use rustpython_vm::builtins::PyBaseExceptionRef;
use rustpython_vm::{PyObject, PyResult, VirtualMachine};

use crate::native::audio::supply;

/// How values are converted: the choices of a session.
#[derive(Debug)]
pub(crate) struct Converter {
    /// Whether objects without a wire form of their own may travel pickled.
    allows_pickles: bool,
    copies: Cell<Traffic>,
}

impl Converter {
    /// A converter for a session.
    pub(crate) fn new(allows_pickles: bool) -> Self {
        Self { allows_pickles, copies: Cell::default() }
    }

    /// The copies that were made of large arrays since this was asked last.
    pub(crate) fn take_traffic(&self) -> Traffic {
        self.copies.take()
    }

    fn count_copy(&self, bytes: usize) {
        if supply().is_worth(bytes) {
            let mut copies = self.copies.get();
            copies.copies += 1;
            copies.copied_bytes += bytes as u64;
            self.copies.set(copies);
        }
    }

    /// Makes the Python object that `value` stands for.
    ///
    /// # Errors
    /// With the path to the part: `TypeError` for an object that another kind of interpreter pickled, or any pickled one where
    /// pickles are forbidden; `ValueError` for an array whose parts disagree; what a pickle raises.
    pub(crate) fn to_object(&self, vm: &VirtualMachine, value: Value) -> PyResult {
        write::write(self, vm, value).map_err(|error| {
            let (part, raised) = error.at_root("input");
            problem::marked(raised, "unopenable", part, vm)
        })
    }

    /// Makes the [`Value`] of a Python object.
    ///
    /// # Errors
    /// `TypeError` with the path to the part that has no wire form and cannot be pickled.
    pub(crate) fn to_value(
        &self,
        vm: &VirtualMachine,
        object: &PyObject,
    ) -> Result<Value, PyBaseExceptionRef> {
        read::Reader::new(self, vm).read_root(object)
    }
}

/// How a pickle begins that any interpreter may open, see `remotemedia._pickle`.
const PORTABLE_PREFIX: &[u8] = b"RMP1";
/// What stands for the interpreter of such a pickle.
const PORTABLE: &str = "portable";

/// The kind of interpreter that may open the pickles of this process.
fn interpreter_name() -> String {
    use rustpython_vm::version::{MAJOR, MINOR};
    format!("rustpython-{MAJOR}.{MINOR}")
}
