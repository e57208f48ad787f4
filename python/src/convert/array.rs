//! Numpy arrays and scalars to [`Array`]s and back: which dtypes have a wire form, and how.
//!
//! Object arrays, dtypes of extension packages (bfloat16, variable-width strings) and subclasses
//! of `ndarray` have none; they travel pickled, which keeps their type.

use std::collections::HashMap;
use std::sync::Mutex;

use ipc_protocol::{Array, Dtype, Order};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::{Converter, Memory, memory};

/// Numbers of numpy's own dtypes are below this; extension packages get higher ones.
const FIRST_FOREIGN_DTYPE: i32 = 24;
/// Dtypes remembered by their description; when full, the memory is emptied and fills again.
const KNOWN_DTYPES_MAX: usize = 256;

/// Reads an exact numpy array or numpy scalar; `None` for everything else, and for arrays without
/// a wire form.
pub(super) fn read(object: &Bound<'_, PyAny>, converter: &Converter) -> PyResult<Option<Array>> {
    let Some(types) = Types::if_loaded(object.py())? else { return Ok(None) };
    if object.is_exact_instance(types.ndarray.bind(object.py())) {
        return read_array(object.cast::<PyUntypedArray>()?, converter.memory);
    }
    if !object.is_instance(types.generic.bind(object.py()))? {
        return Ok(None);
    }
    read_scalar(object)
}

fn read_array(array: &Bound<'_, PyUntypedArray>, memory: Memory) -> PyResult<Option<Array>> {
    let Some(dtype) = dtype_of(&array.dtype())? else { return Ok(None) };
    let order = if array.is_c_contiguous() {
        Order::C
    } else if array.is_fortran_contiguous() {
        Order::Fortran
    } else {
        let copy = array.call_method0(intern!(array.py(), "copy"))?;
        let copy = copy.cast_into::<PyUntypedArray>()?;
        // Nobody else knows this copy, so it may be lent even where copies are asked for.
        return read_array(&copy, Memory::Borrow);
    };
    let data = match memory {
        Memory::Borrow => memory::borrow_array(array),
        Memory::Copy => memory::copy_array(array),
    };
    let shape = array.shape().iter().map(|&length| length as u64).collect();
    Ok(Some(Array { dtype, shape, order, scalar: false, data: data.into() }))
}

fn read_scalar(object: &Bound<'_, PyAny>) -> PyResult<Option<Array>> {
    let py = object.py();
    let dtype = object.getattr(intern!(py, "dtype"))?;
    if !dtype.getattr(intern!(py, "type"))?.is(object.get_type()) {
        return Ok(None);
    }
    static AS_ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let array = AS_ARRAY.import(py, "numpy", "asarray")?.call1((object,))?;
    let array = read_array(array.cast::<PyUntypedArray>()?, Memory::Copy)?;
    Ok(array.map(|array| Array { scalar: true, ..array }))
}

/// Makes a writable numpy array (or a numpy scalar). Its memory is the value's own where nobody
/// else holds that, else a copy.
pub(super) fn write(py: Python<'_>, array: Array) -> PyResult<Bound<'_, PyAny>> {
    let descr = dtype_from(py, &array.dtype)?;
    let shape = checked_shape(&array)?;
    let scalar = array.scalar;
    let order = array.order;
    let data = array.data.to_bytes();
    // The value's own handle would look like another holder of the memory.
    drop(array.data);
    let made = match memory::writable_block(data, descr.alignment()) {
        Ok(block) => memory::array_over(descr, &shape, order, block)?,
        Err(shared) => memory::array_with_copy(descr, &shape, order, &shared)?,
    };
    if scalar { made.get_item(pyo3::types::PyTuple::empty(py)) } else { Ok(made) }
}

/// The shape as numpy wants it, after a check that shape, dtype and memory agree: the value may
/// come from a broken worker.
fn checked_shape(array: &Array) -> PyResult<Vec<isize>> {
    let mut bytes = Some(array.dtype.item_bytes as usize);
    let mut shape = Vec::with_capacity(array.shape.len());
    for &length in &array.shape {
        let length = isize::try_from(length)
            .map_err(|_| PyValueError::new_err(format!("array axis of length {length}")))?;
        bytes = bytes.and_then(|bytes| bytes.checked_mul(length.unsigned_abs()));
        shape.push(length);
    }
    if bytes != Some(array.data.len()) || (array.scalar && !shape.is_empty()) {
        return Err(PyValueError::new_err(format!(
            "array of shape {:?} and dtype {} does not fit its {} bytes",
            array.shape,
            array.dtype.descr,
            array.data.len()
        )));
    }
    Ok(shape)
}

/// The wire form of a dtype; `None` when it has none.
fn dtype_of(descr: &Bound<'_, PyArrayDescr>) -> PyResult<Option<Dtype>> {
    if descr.num() >= FIRST_FOREIGN_DTYPE || descr.has_object() {
        return Ok(None);
    }
    let Ok(item_bytes) = u32::try_from(descr.itemsize()) else { return Ok(None) };
    let kind = descr.kind();
    let text = if descr.has_fields() {
        let Some(text) = structured_text(descr)? else { return Ok(None) };
        text
    } else if matches!(kind, b'b' | b'i' | b'u' | b'f' | b'c') {
        let native = if cfg!(target_endian = "little") { '<' } else { '>' };
        let order = match descr.byteorder() {
            b'=' => native,
            other => char::from(other),
        };
        format!("{order}{}{item_bytes}", char::from(kind))
    } else {
        descr.getattr(intern!(descr.py(), "str"))?.extract()?
    };
    Ok(Some(Dtype { descr: text, item_bytes }))
}

/// The Python literal for a structured dtype; `None` where it would not give the same dtype again
/// (overlapping fields, alignment, metadata).
fn structured_text(descr: &Bound<'_, PyArrayDescr>) -> PyResult<Option<String>> {
    if descr.is_aligned_struct() {
        return Ok(None);
    }
    let py = descr.py();
    let format = py.import("numpy.lib.format")?;
    let Ok(literal) = format.call_method1(intern!(py, "dtype_to_descr"), (descr,)) else {
        return Ok(None);
    };
    let again = format.call_method1(intern!(py, "descr_to_dtype"), (&literal,))?;
    if !again.eq(descr)? {
        return Ok(None);
    }
    Ok(Some(literal.repr()?.extract()?))
}

/// The dtype that a description stands for.
fn dtype_from<'py>(py: Python<'py>, dtype: &Dtype) -> PyResult<Bound<'py, PyArrayDescr>> {
    static KNOWN: Mutex<Option<HashMap<String, Py<PyArrayDescr>>>> = Mutex::new(None);
    let known = |text: &str| {
        let guard = KNOWN.lock().ok()?;
        guard.as_ref()?.get(text).map(|descr| descr.bind(py).clone())
    };
    let descr = match known(&dtype.descr) {
        Some(descr) => descr,
        None => {
            let descr = parse_dtype(py, &dtype.descr)?;
            let forgotten = KNOWN.lock().ok().and_then(|mut guard| {
                let map = guard.get_or_insert_default();
                let full = map.len() >= KNOWN_DTYPES_MAX;
                let forgotten = full.then(|| std::mem::take(map));
                map.insert(dtype.descr.clone(), descr.clone().unbind());
                forgotten
            });
            drop(forgotten);
            descr
        }
    };
    if descr.has_object() || descr.itemsize() != dtype.item_bytes as usize {
        return Err(PyValueError::new_err(format!("array of unexpected dtype {}", dtype.descr)));
    }
    Ok(descr)
}

fn parse_dtype<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyArrayDescr>> {
    let made = if text.starts_with(['[', '(']) {
        let literal = py.import("ast")?.call_method1(intern!(py, "literal_eval"), (text,))?;
        py.import("numpy.lib.format")?.call_method1(intern!(py, "descr_to_dtype"), (literal,))?
    } else {
        py.import("numpy")?.call_method1(intern!(py, "dtype"), (text,))?
    };
    Ok(made.cast_into::<PyArrayDescr>()?)
}

/// Numpy's types that a value is compared with.
struct Types {
    ndarray: Py<PyType>,
    generic: Py<PyType>,
}

impl Types {
    /// The types, when numpy is loaded; where it is not, no object can be an array.
    fn if_loaded(py: Python<'_>) -> PyResult<Option<&'static Self>> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        if let Some(types) = TYPES.get(py) {
            return Ok(Some(types));
        }
        let modules = py.import("sys")?.getattr(intern!(py, "modules"))?.cast_into::<PyDict>()?;
        let Some(numpy) = modules.get_item("numpy")? else { return Ok(None) };
        // While numpy is being imported (in another thread) its names may not be there yet.
        let (Ok(ndarray), Ok(generic)) = (numpy.getattr("ndarray"), numpy.getattr("generic"))
        else {
            return Ok(None);
        };
        let ndarray = ndarray.cast_into::<PyType>()?.unbind();
        let generic = generic.cast_into::<PyType>()?.unbind();
        Ok(Some(TYPES.get_or_init(py, || Types { ndarray, generic })))
    }
}
