//! Converts numpy arrays and scalars to [`Array`]s and back, and decides which dtypes the protocol
//! has a form for.
//!
//! Object arrays, dtypes of extension packages (bfloat16, variable-width strings) and subclasses
//! of `ndarray` have none; they travel pickled, which keeps their type.

use std::collections::HashMap;
use std::sync::Mutex;

use ipc_protocol::memory::SharedBytes;
use ipc_protocol::{Array, Dtype, Order, Payload, PayloadMemory};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyImportError, PyModuleNotFoundError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::block::Block;
use super::{Converter, Lending, Surroundings, memory, whole};
use crate::numpy_types::Types;

/// Type numbers of numpy's own dtypes are below this; those of extension packages are higher.
const FIRST_FOREIGN_DTYPE: i32 = 24;
/// Most dtypes in the cache; a full cache is emptied.
const KNOWN_DTYPES_MAX: usize = 256;

/// Reads an exact numpy array or numpy scalar; `None` for everything else, and for arrays without
/// a wire form.
pub(super) fn read(
    object: &Bound<'_, PyAny>,
    converter: &Converter,
    lending: Lending,
) -> PyResult<Option<Array>> {
    let Some(types) = Types::if_loaded(object.py())? else { return Ok(None) };
    let is_map =
        || converter.reads_maps && object.is_exact_instance(types.memmap.bind(object.py()));
    if object.is_exact_instance(types.ndarray.bind(object.py())) || is_map() {
        return read_array(object.cast::<PyUntypedArray>()?, converter, lending);
    }
    if !object.is_instance(types.generic.bind(object.py()))? {
        return Ok(None);
    }
    read_scalar(object)
}

/// Imports numpy at the first array. A worker starts without numpy, and nodes that get no arrays do
/// not need it.
///
/// # Errors
/// `ModuleNotFoundError` where numpy cannot be imported: it is missing, or made for another Python
/// and found on the caller's path.
fn require_numpy(py: Python<'_>) -> PyResult<()> {
    static IMPORTED: PyOnceLock<()> = PyOnceLock::new();
    let import = || match without_collector(py, "numpy") {
        Ok(_) => Ok(()),
        Err(error) if error.is_instance_of::<PyImportError>(py) => {
            let program = py.import("sys")?.getattr(intern!(py, "executable"))?;
            let missing = PyModuleNotFoundError::new_err(format!(
                "an array arrived, but {program} has no numpy: pip install numpy there"
            ));
            missing.value(py).setattr(intern!(py, "name"), "numpy")?;
            missing.set_cause(py, Some(error));
            Err(missing)
        }
        Err(error) => Err(error),
    };
    IMPORTED.get_or_try_init(py, import).copied()
}

/// Imports a module. The garbage collector would look through what the module makes, all of which stays.
fn without_collector<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyModule>> {
    let collector = py.import("gc")?;
    let is_enabled = collector.call_method0("isenabled")?.is_truthy()?;
    collector.call_method0("disable")?;
    let imported = py.import(name);
    if is_enabled {
        collector.call_method0("enable")?;
    }
    imported
}

fn read_array(
    array: &Bound<'_, PyUntypedArray>,
    converter: &Converter,
    lending: Lending,
) -> PyResult<Option<Array>> {
    let Some(dtype) = dtype_of(&array.dtype())? else { return Ok(None) };
    let (order, data) = match order_of(array) {
        Some(order) => (order, contiguous(array, converter, lending)?),
        None => (Order::C, gathered(array, converter)?),
    };
    let shape = array.shape().iter().map(|&length| length as u64).collect();
    Ok(Some(Array { dtype, shape, order, scalar: false, data }))
}

/// The memory order of a contiguous array; `None` for any other array.
pub(super) fn order_of(array: &Bound<'_, PyUntypedArray>) -> Option<Order> {
    if array.is_c_contiguous() {
        Some(Order::C)
    } else {
        array.is_fortran_contiguous().then_some(Order::Fortran)
    }
}

pub(super) fn bytes_of(array: &Bound<'_, PyUntypedArray>) -> usize {
    array.len() * array.dtype().itemsize()
}

/// The memory of a contiguous array, without a copy if it is lent.
fn contiguous(
    array: &Bound<'_, PyUntypedArray>,
    converter: &Converter,
    lending: Lending,
) -> PyResult<Payload> {
    let bytes = bytes_of(array);
    let is_large = bytes > converter.inline_max_bytes;
    if is_large && let Some(shared) = shared_already(array, bytes, converter) {
        return Ok(shared.into());
    }
    Ok(match lending {
        Lending::Borrow => memory::borrow_array(array).into(),
        Lending::Copy if is_large => {
            converter.count_copy(bytes);
            let shared =
                converter.claim(bytes).and_then(|claim| memory::copy_array_to(array, claim));
            match shared {
                Some(shared) => shared.into(),
                None => memory::copy_array(array)?.into(),
            }
        }
        Lending::Copy => memory::copy_array(array)?.into(),
    })
}

/// The memory of an array that is in shared memory already, if it may be sent without a copy.
/// Whether something else still refers to it is checked when it is sent.
fn shared_already(
    array: &Bound<'_, PyUntypedArray>,
    bytes: usize,
    converter: &Converter,
) -> Option<SharedBytes> {
    let address = memory::address_of(array);
    match &converter.surroundings {
        Surroundings::Worker(arena) => match arena.claim_at(address, bytes) {
            Some((claim, offset)) => SharedBytes::claimed(claim, offset, bytes),
            None => Block::of(array)?.get().shared()?.part_at(address, bytes),
        },
        Surroundings::Caller => {
            let block = Block::of(array)?;
            let block = block.get();
            // Other results are private to the caller, who may change them while a node reads them.
            block.is_aliased().then_some(())?;
            block.shared()?.part_at(address, bytes).map(SharedBytes::aliased)
        }
    }
}

/// A copy of an array that is not contiguous. A large copy is made in shared memory, so that
/// sending needs no second copy.
fn gathered(array: &Bound<'_, PyUntypedArray>, converter: &Converter) -> PyResult<Payload> {
    let bytes = bytes_of(array);
    if bytes > converter.inline_max_bytes {
        converter.count_copy(bytes);
        if let Some(shared) = converter.claim(bytes).and_then(whole(bytes)) {
            memory::gather_into(array, Order::C, &shared)?;
            return Ok(shared.into());
        }
    }
    let copy = array.call_method0(intern!(array.py(), "copy"))?;
    // Nothing else refers to this copy, so it may be borrowed even under `Lending::Copy`.
    Ok(memory::borrow_array(copy.cast::<PyUntypedArray>()?).into())
}

fn read_scalar(object: &Bound<'_, PyAny>) -> PyResult<Option<Array>> {
    let py = object.py();
    let dtype = object.getattr(intern!(py, "dtype"))?;
    if !dtype.getattr(intern!(py, "type"))?.is(object.get_type()) {
        return Ok(None);
    }
    static AS_ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let array = AS_ARRAY.import(py, "numpy", "asarray")?.call1((object,))?;
    let array = array.cast::<PyUntypedArray>()?;
    let Some(dtype) = dtype_of(&array.dtype())? else { return Ok(None) };
    let data = memory::copy_array(array)?.into();
    Ok(Some(Array { dtype, shape: Vec::new(), order: Order::C, scalar: true, data }))
}

/// Makes a numpy array (or a numpy scalar) over the value's own memory if that is allowed, else
/// over a copy. In a worker it is read-only if the caller shares the memory deliberately, else
/// writable.
pub(super) fn write<'py>(
    py: Python<'py>,
    array: Array,
    converter: &Converter,
) -> PyResult<Bound<'py, PyAny>> {
    require_numpy(py)?;
    let descr = dtype_from(py, &array.dtype)?;
    let shape = checked_shape(&array)?;
    let scalar = array.scalar;
    let order = array.order;
    let copied = |descr, data: &[u8]| {
        if data.len() > converter.inline_max_bytes {
            converter.count_copy(data.len());
        }
        memory::array_with_copy(descr, &shape, order, data)
    };
    // Consumes the value's own handle, so that it does not count as another holder of the memory.
    let made = match array.data.into_memory() {
        PayloadMemory::Private(data) => match memory::writable_block(data, descr.alignment()) {
            Ok(block) => memory::array_over(descr, &shape, order, block)?,
            Err(shared) => copied(descr, &shared)?,
        },
        PayloadMemory::Owned(owned) => {
            match memory::array_over_owned(&descr, &shape, order, owned)? {
                Ok(made) => made,
                Err(owned) => copied(descr, owned.as_slice())?,
            }
        }
        PayloadMemory::Shared(shared) => {
            let is_aligned = shared.address().is_multiple_of(descr.alignment().max(1));
            // A worker maps memory with other holders copy-on-write, so its writes are private.
            let is_free = match converter.surroundings {
                Surroundings::Worker(_) => true,
                Surroundings::Caller => shared.is_writable() && shared.is_sole(),
            };
            if is_aligned && is_free {
                let is_writable = shared.is_writable();
                memory::array_over_shared(descr, &shape, order, shared, is_writable)?
            } else {
                copied(descr, shared.as_slice())?
            }
        }
    };
    if scalar { made.get_item(pyo3::types::PyTuple::empty(py)) } else { Ok(made) }
}

/// The shape in numpy's type, after a check that shape, dtype and memory agree: the value may come
/// from a broken worker.
fn checked_shape(array: &Array) -> PyResult<Vec<isize>> {
    let mut bytes = Some(array.dtype.item_bytes as usize);
    let mut shape = Vec::with_capacity(array.shape.len());
    for &length in &array.shape {
        let length = isize::try_from(length).map_err(|_| {
            PyValueError::new_err(format!("array axis of length {length} is too long"))
        })?;
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

/// The form of a dtype in the protocol; `None` when it has none.
pub(super) fn dtype_of(descr: &Bound<'_, PyArrayDescr>) -> PyResult<Option<Dtype>> {
    if descr.num() >= FIRST_FOREIGN_DTYPE || descr.has_object() || says_more(descr)? {
        return Ok(None);
    }
    let Some(item_bytes) = u32::try_from(descr.itemsize()).ok().filter(|&bytes| bytes > 0) else {
        return Ok(None);
    };
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
        // Not by `format!`, which takes longer: nearly every array has such a dtype.
        let mut text = item_bytes.to_string();
        text.insert(0, char::from(kind));
        text.insert(0, order);
        text
    } else {
        descr.getattr(intern!(descr.py(), "str"))?.extract()?
    };
    Ok(Some(Dtype { descr: text, item_bytes }))
}

/// Whether a dtype or a part of it has properties that its description lacks: metadata, or an
/// element type of its own (`numpy.record`).
fn says_more(descr: &Bound<'_, PyArrayDescr>) -> PyResult<bool> {
    let py = descr.py();
    if !descr.getattr(intern!(py, "metadata"))?.is_none() {
        return Ok(true);
    }
    if descr.has_subarray() {
        return says_more(&descr.base());
    }
    let Some(names) = descr.names() else { return Ok(false) };
    static VOID: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let void = VOID.import(py, "numpy", "void")?;
    if !descr.getattr(intern!(py, "type"))?.is(void) {
        return Ok(true);
    }
    for name in names {
        if says_more(&descr.get_field(&name)?.0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The Python literal for a structured dtype; `None` if the literal does not recreate the same
/// dtype (overlapping fields, alignment).
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

/// Makes the dtype of a description, or takes it from the cache.
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
        return Err(PyValueError::new_err(format!(
            "array of dtype {} holds objects, or does not have the announced element size",
            dtype.descr
        )));
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
