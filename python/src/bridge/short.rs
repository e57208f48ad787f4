//! The caller's objects in short, for the lines of a session that is debugged: types, shapes and sizes,
//! and the beginning of texts and containers. Objects of the caller's own classes are shown by their
//! type, because their `repr` may be long, slow or fail.

use std::fmt::{self, Display, Formatter, Write};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyComplex, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple,
};

/// Elements of a container that are shown.
const ELEMENTS_MAX: usize = 6;
/// Characters of a text, and bytes of a bytes object, that are shown.
const CHARACTERS_MAX: usize = 60;
/// Containers within containers that are shown.
const DEPTH_MAX: usize = 3;
/// Largest number of bits of an integer that is shown.
const BITS_MAX: usize = 128;
/// Most texts are shorter, so that they need memory once.
const USUAL_BYTES: usize = 96;
/// Names of dtypes that are remembered.
const DTYPES_MAX: usize = 64;

/// Shows an object in short.
pub(super) struct Short<'a, 'py>(pub(super) &'a Bound<'py, PyAny>);

impl Display for Short<'_, '_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show(f, self.0, 0)
    }
}

/// The arguments of a call in short.
pub(super) fn arguments(given: &Bound<'_, PyTuple>) -> String {
    let mut text = String::with_capacity(USUAL_BYTES);
    for (index, argument) in given.iter_borrowed().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        // Writing to a string fails only for an object that cannot be shown; it shows nothing then.
        let _shown = write!(text, "{comma}{}", Short(&argument));
    }
    text
}

/// A text of something that is shown, after a beginning.
pub(super) fn text(begin: &str, shown: &dyn Display) -> String {
    let mut text = String::with_capacity(USUAL_BYTES);
    let _shown = write!(text, "{begin}{shown}");
    text
}

/// An object in short, on one line.
#[pyfunction]
pub(super) fn brief(value: &Bound<'_, PyAny>) -> String {
    Short(value).to_string()
}

fn show(f: &mut Formatter<'_>, object: &Bound<'_, PyAny>, depth: usize) -> fmt::Result {
    if object.is_none() {
        f.write_str("None")
    } else if let Ok(number) = object.cast_exact::<PyInt>() {
        show_integer(f, number)
    } else if let Ok(text) = object.cast_exact::<PyString>() {
        show_text(f, text)
    } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        match bytes.as_bytes().len() {
            0..=CHARACTERS_MAX => show_repr(f, bytes),
            size => write!(f, "bytes[{size}]"),
        }
    } else if object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyComplex>()
    {
        show_repr(f, object)
    } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        let close = if tuple.len() == 1 { ",)" } else { ")" };
        elements(f, ("(", close), tuple.len(), tuple.iter(), depth)
    } else if let Ok(list) = object.cast_exact::<PyList>() {
        elements(f, ("[", "]"), list.len(), list.iter(), depth)
    } else if let Ok(set) = object.cast_exact::<PySet>() {
        elements(f, ("{", "}"), set.len(), iterated(set), depth)
    } else if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
        elements(f, ("frozenset({", "})"), set.len(), iterated(set), depth)
    } else if let Ok(dict) = object.cast_exact::<PyDict>() {
        entries(f, dict, depth)
    } else if show_array(f, object)? {
        Ok(())
    } else {
        let name = object.get_type().qualname().map_err(|_| fmt::Error)?;
        write!(f, "<{}>", name.to_string_lossy())
    }
}

/// The elements of a container, as far as no other thread changes it meanwhile.
fn iterated<'py>(container: &Bound<'py, PyAny>) -> impl Iterator<Item = Bound<'py, PyAny>> {
    container.try_iter().into_iter().flatten().map_while(Result::ok)
}

fn show_integer(f: &mut Formatter<'_>, number: &Bound<'_, PyInt>) -> fmt::Result {
    if let Ok(small) = number.extract::<i64>() {
        return write!(f, "{small}");
    }
    let bits = number.call_method0(intern!(number.py(), "bit_length"));
    match bits.and_then(|bits| bits.extract::<usize>()) {
        Ok(0..=BITS_MAX) => show_repr(f, number),
        Ok(bits) => write!(f, "int of {bits} bits"),
        Err(_) => f.write_str("<int>"),
    }
}

fn show_text(f: &mut Formatter<'_>, text: &Bound<'_, PyString>) -> fmt::Result {
    let length = text.len().unwrap_or(0);
    if length <= CHARACTERS_MAX {
        return show_repr(f, text);
    }
    let begin = text.get_item(pyo3::types::PySlice::new(text.py(), 0, CHARACTERS_MAX as isize, 1));
    show_repr(f, &begin.map_err(|_| fmt::Error)?)?;
    write!(f, "... {length} characters")
}

/// The `repr` of an object of a builtin type.
fn show_repr(f: &mut Formatter<'_>, object: &Bound<'_, PyAny>) -> fmt::Result {
    let text = object.repr().map_err(|_| fmt::Error)?;
    f.write_str(&text.to_string_lossy())
}

fn elements<'py>(
    f: &mut Formatter<'_>,
    brackets: (&str, &str),
    length: usize,
    elements: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
) -> fmt::Result {
    let limits = Limits::of(length, depth);
    limits.some(f, brackets, elements, |f, element| show(f, &element, depth + 1))
}

/// How many parts a container has, and how many of them are shown.
struct Limits {
    length: usize,
    shown: usize,
}

impl Limits {
    fn of(length: usize, depth: usize) -> Self {
        Self { length, shown: if depth < DEPTH_MAX { ELEMENTS_MAX } else { 0 } }
    }

    fn some<T>(
        self,
        f: &mut Formatter<'_>,
        (open, close): (&str, &str),
        parts: impl Iterator<Item = T>,
        show: impl Fn(&mut Formatter<'_>, T) -> fmt::Result,
    ) -> fmt::Result {
        let Self { length, shown } = self;
        f.write_str(open)?;
        for (index, part) in parts.take(shown).enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            show(f, part)?;
        }
        if length > shown {
            write!(f, "{}... {length} in all", if shown > 0 { ", " } else { "" })?;
        }
        f.write_str(close)
    }
}

fn entries(f: &mut Formatter<'_>, dict: &Bound<'_, PyDict>, depth: usize) -> fmt::Result {
    let entries = iterated(dict).map_while(|key| {
        let value = dict.get_item(&key).ok().flatten()?;
        Some((key, value))
    });
    Limits::of(dict.len(), depth).some(f, ("{", "}"), entries, |f, (key, value)| {
        show(f, &key, depth + 1)?;
        f.write_str(": ")?;
        show(f, &value, depth + 1)
    })
}

/// Shows an array, or anything else with a shape and a dtype, by these. Returns whether it is one.
fn show_array(f: &mut Formatter<'_>, object: &Bound<'_, PyAny>) -> Result<bool, fmt::Error> {
    let py = object.py();
    let attribute = |name| object.getattr_opt(name).ok().flatten();
    let Some(shape) = attribute(intern!(py, "shape")) else { return Ok(false) };
    let Ok(shape) = shape.cast_exact::<PyTuple>() else { return Ok(false) };
    let Some(dtype) = attribute(intern!(py, "dtype")).filter(|dtype| !dtype.is_none()) else {
        return Ok(false);
    };
    let (Ok(name), Ok(dtype)) = (object.get_type().name(), dtype_name(&dtype)) else {
        return Ok(false);
    };
    write!(f, "{} {} ", name.to_string_lossy(), dtype.to_string_lossy())?;
    show(f, shape, 0)?;
    Ok(true)
}

/// The name of a dtype. To make one takes as long as all the rest of a line.
fn dtype_name<'py>(dtype: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    static NAMES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = dtype.py();
    let names = NAMES.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    if let Ok(Some(known)) = names.get_item(dtype) {
        return Ok(known.cast_into()?);
    }
    let name = dtype.str()?;
    if names.len() < DTYPES_MAX {
        // What cannot be a key is not remembered.
        let _remembered = names.set_item(dtype, &name);
    }
    Ok(name)
}
