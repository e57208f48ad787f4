//! Finds objects that an item contains twice: a change of the one must be a change of the other, so such an
//! item is pickled as a whole. Arrays and constants do not count.

use std::collections::HashSet;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyTuple, PyType};

/// Modules of classes whose objects cannot change.
const CONSTANT_MODULES: [&str; 10] = [
    "datetime",
    "decimal",
    "fractions",
    "numpy",
    "pathlib",
    "re",
    "types",
    "uuid",
    "zoneinfo",
    "ipaddress",
];
/// References to an object that occurs once: from its container, and from the reader.
const OF_ONE_OCCURRENCE: isize = 2;

/// The objects of an item that were read.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<usize>);

impl Seen {
    /// Whether the object was read before, and can change.
    pub(super) fn again(&mut self, object: &Bound<'_, PyAny>) -> bool {
        #[expect(deprecated, reason = "what replaces it is unsafe")]
        let is_alone = object.get_refcnt() <= OF_ONE_OCCURRENCE;
        !is_alone && !self.0.insert(object.as_ptr() as usize) && !is_constant(object)
    }
}

fn is_constant(object: &Bound<'_, PyAny>) -> bool {
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return tuple.iter().all(|element| is_constant(&element));
    }
    let can_change = object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PySet>();
    if can_change {
        return false;
    }
    let kind = object.get_type();
    let is_member = || kind.hasattr(intern!(object.py(), "_member_map_")).unwrap_or(false);
    let is_named = || object.hasattr(intern!(object.py(), "__qualname__")).unwrap_or(false);
    object.is_instance_of::<PyType>() || of_constants(&kind) || is_member() || is_named()
}

/// Whether objects of a class cannot change, as far as is known.
fn of_constants(kind: &Bound<'_, PyType>) -> bool {
    let Ok(module) = kind.module() else { return false };
    let module = module.to_string_lossy().into_owned();
    if module == "builtins" {
        return !kind.name().is_ok_and(|name| name == "bytearray");
    }
    CONSTANT_MODULES.contains(&module.split('.').next().unwrap_or_default())
}
