//! Converts Python objects to [`Value`]s and back, with the same rules as the CPython guest:
//! objects of exact builtin types and views have a wire form of their own; all other objects travel
//! as pickles, so that their type is preserved.

mod arrays;
mod problem;
mod read;
mod write;

use std::cell::Cell;

use ipc_protocol::Value;
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::memory::Headroom;
use rustpython_vm::builtins::PyBaseExceptionRef;
use rustpython_vm::{PyObject, PyResult, VirtualMachine};

use crate::native::audio::supply;

/// Converts the values of one session.
#[derive(Debug)]
pub(crate) struct Converter {
    /// Whether objects without a wire form of their own may travel as pickles.
    allows_pickles: bool,
    copies: Cell<Traffic>,
    /// Memory for the objects of the value that is being converted.
    headroom: Headroom,
}

impl Converter {
    /// Makes the converter of a session.
    pub(crate) fn new(allows_pickles: bool) -> Self {
        Self { allows_pickles, copies: Cell::default(), headroom: Headroom::default() }
    }

    /// Counts of the copies of large arrays since the last call of this method.
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

    /// Converts a value to a Python object.
    ///
    /// # Errors
    /// `TypeError` for a pickle of another kind of interpreter, or for any pickle if pickles are
    /// forbidden; `ValueError` for an inconsistent array; any exception that loading a pickle
    /// raises. Each carries the path to the part.
    pub(crate) fn to_object(&self, vm: &VirtualMachine, value: Value) -> PyResult {
        self.headroom.renew();
        write::write(self, vm, value).map_err(|error| {
            let (part, raised) = error.at_root("input");
            problem::marked(raised, "unopenable", part, vm)
        })
    }

    /// Converts a Python object to a value.
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

/// First bytes of a pickle that any interpreter can load, see `remotemedia._pickle`.
const PORTABLE_PREFIX: &[u8] = b"RMP1";
/// The interpreter's name in a message that carries such a pickle.
const PORTABLE: &str = "portable";

/// The kind of interpreter that can load the pickles of this process.
fn interpreter_name() -> String {
    use rustpython_vm::version::{MAJOR, MINOR};
    format!("rustpython-{MAJOR}.{MINOR}")
}
