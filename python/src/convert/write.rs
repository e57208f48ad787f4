//! Converts values of the protocol to Python objects.

use ipc_protocol::memory::Headroom;
use ipc_protocol::{Opaque, Payload, Value};
use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple};

use worker_shim::room;
use worker_shim::unopenable::Unopenable;
use worker_shim::unsendable::Down;

use super::error::{OpenError, type_name};
use super::read::{PORTABLE, interpreter_name};
use super::{Converter, Pickling, array};

/// Smaller objects always find memory, or nothing does.
const LARGE_BYTES: usize = 1 << 20;

type Written<'py> = Result<Bound<'py, PyAny>, OpenError>;

/// Converts one item from a [`Value`] to a Python object.
pub(super) struct Writer<'a, 'py> {
    py: Python<'py>,
    converter: &'a Converter,
    headroom: Headroom,
}

impl<'a, 'py> Writer<'a, 'py> {
    pub(super) fn new(py: Python<'py>, converter: &'a Converter) -> Self {
        Self { py, converter, headroom: Headroom::default() }
    }

    pub(super) fn write_root(&self, mut value: Value) -> Written<'py> {
        if matches!(value, Value::List(_) | Value::Tuple(_) | Value::Dict(_)) {
            self.leave_one_array_shared(&mut value);
        }
        self.write(value)
    }

    fn write(&self, value: Value) -> Written<'py> {
        let py = self.py;
        self.headroom.take(room::of_object(&value)).map_err(|refused| {
            Unopenable::here(value.type_name(), PyMemoryError::new_err(refused.to_string()))
        })?;
        match value {
            Value::List(values) => {
                made("list", PyList::new(py, self.write_all(values)?).map(Bound::into_any))
            }
            Value::Tuple(values) => {
                made("tuple", PyTuple::new(py, self.write_all(values)?).map(Bound::into_any))
            }
            Value::Set(values) => {
                made("set", PySet::new(py, self.write_members(values)?).map(Bound::into_any))
            }
            Value::FrozenSet(values) => {
                let members = self.write_members(values)?;
                made("frozenset", PyFrozenSet::new(py, members).map(Bound::into_any))
            }
            Value::Dict(entries) => self.write_dict(entries),
            Value::Array(array) => made("numpy.ndarray", array::write(py, array, self.converter)),
            Value::Audio(audio) => {
                let samples = array::write(py, audio.samples, self.converter);
                let samples =
                    made("numpy.ndarray", samples).map_err(|e| e.below(Down::Index(0)))?;
                let pair = (samples, audio.sample_rate_hz).into_pyobject(py);
                made("tuple", pair.map(Bound::into_any))
            }
            Value::Opaque(opaque) => made(&opaque.type_name, self.open(&opaque)),
            plain => {
                let kind = match &plain {
                    Value::Str(_) => "str",
                    Value::Bytes(_) => "bytes",
                    _ => "int",
                };
                made(kind, self.write_plain(plain))
            }
        }
    }

    /// Converts a value that contains no other value.
    fn write_plain(&self, value: Value) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match value {
            Value::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Value::Int(number) => number.into_pyobject(py)?.into_any(),
            Value::BigInt(number) => number.into_pyobject(py)?.into_any(),
            Value::Float(number) => number.into_pyobject(py)?.into_any(),
            Value::Str(text) => PyString::from_bytes(py, text.as_bytes())?.into_any(),
            Value::Bytes(payload) => bytes_of(py, payload.as_slice())?.into_any(),
            _ => py.None().into_bound(py),
        })
    }

    fn write_dict(&self, entries: Vec<(Value, Value)>) -> Written<'py> {
        let dict = PyDict::new(self.py);
        for (key, value) in entries {
            let key = self.write(key).map_err(|e| e.below(Down::KeyItself("?".to_owned())))?;
            let value = self.write(value).map_err(|e| e.below(Down::Key(shown(&key))))?;
            let kept = dict.set_item(&key, value);
            let failed = |raised| {
                Unopenable::here(type_name(&key), raised).below(Down::KeyItself(shown(&key)))
            };
            kept.map_err(failed)?;
        }
        Ok(dict.into_any())
    }

    fn write_all(&self, values: Vec<Value>) -> Result<Vec<Bound<'py, PyAny>>, OpenError> {
        let write = |(index, value)| self.write(value).map_err(|e| e.below(Down::Index(index)));
        values.into_iter().enumerate().map(write).collect()
    }

    fn write_members(&self, values: Vec<Value>) -> Result<Vec<Bound<'py, PyAny>>, OpenError> {
        let write = |value| self.write(value).map_err(|e| e.below(Down::Member));
        values.into_iter().map(write).collect()
    }

    /// Payloads inside a received frame are slices of the frame, and only the sole holder of a
    /// frame may write to it. If that copies fewer bytes, all payloads but the largest array are
    /// copied first. Then the largest array needs no copy and does not keep the others alive.
    fn leave_one_array_shared(&self, value: &mut Value) {
        let (mut payloads, mut total_bytes, mut largest_bytes) = (0_usize, 0_usize, 0_usize);
        for_each_payload(value, &mut |payload, is_array| {
            payloads += 1;
            total_bytes += payload.len();
            if is_array {
                largest_bytes = largest_bytes.max(payload.len());
            }
        });
        if payloads < 2 || total_bytes - largest_bytes > largest_bytes {
            return;
        }
        let mut largest_seen = false;
        for_each_payload(value, &mut |payload, is_array| {
            if is_array && !largest_seen && payload.len() == largest_bytes {
                largest_seen = true;
            } else {
                *payload = payload.as_slice().to_vec().into();
            }
        });
    }

    fn open(&self, opaque: &Opaque) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        if matches!(self.converter.pickling, Pickling::Forbidden) {
            return Err(PyTypeError::new_err(format!(
                "an object of type {} arrived pickled, and pickles are not allowed here \
                 (allow_pickle is off)",
                opaque.type_name
            )));
        }
        let ours = interpreter_name(py)?;
        if opaque.interpreter != ours && opaque.interpreter != PORTABLE {
            return Err(PyTypeError::new_err(format!(
                "an object of type {} was pickled by {}, and this interpreter ({ours}) \
                 cannot open it; pass plain data or arrays instead",
                opaque.type_name, opaque.interpreter
            )));
        }
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let loads = LOADS.import(py, "remotemedia._pickle", "loads")?;
        loads.call1((bytes_of(py, opaque.pickle.as_slice())?,))
    }
}

/// A `bytes` object, or MemoryError: `PyBytes::new` panics where a limit leaves no memory for it.
fn bytes_of<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    if data.len() < LARGE_BYTES {
        return Ok(PyBytes::new(py, data));
    }
    PyBytes::new_with(py, data.len(), |memory| {
        memory.copy_from_slice(data);
        Ok(())
    })
}

fn made<'py>(kind: &str, object: PyResult<Bound<'py, PyAny>>) -> Written<'py> {
    object.map_err(|raised| Unopenable::here(kind, raised))
}

/// A key in the form that paths use.
fn shown(key: &Bound<'_, PyAny>) -> String {
    key.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string())
}

/// Calls `visit` with every payload of a value that is not in shared memory; the flag is true for
/// payloads of arrays.
fn for_each_payload(value: &mut Value, visit: &mut dyn FnMut(&mut Payload, bool)) {
    let visit = &mut |payload: &mut Payload, is_array| {
        if !payload.is_shared() {
            visit(payload, is_array);
        }
    };
    match value {
        Value::Array(array) => visit(&mut array.data, true),
        Value::Audio(audio) => visit(&mut audio.samples.data, true),
        Value::Bytes(payload) => visit(payload, false),
        Value::Opaque(opaque) => visit(&mut opaque.pickle, false),
        Value::List(values)
        | Value::Tuple(values)
        | Value::Set(values)
        | Value::FrozenSet(values) => {
            values.iter_mut().for_each(|value| for_each_payload(value, visit));
        }
        Value::Dict(entries) => {
            for (key, value) in entries {
                for_each_payload(key, visit);
                for_each_payload(value, visit);
            }
        }
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Float(_)
        | Value::Str(_) => {}
    }
}
