//! Converts Python objects to values of the protocol.

use ipc_protocol::memory::Headroom;
use ipc_protocol::{Opaque, Value};
use num_bigint::BigInt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};
use worker_shim::room;
use worker_shim::unsendable::Down;

use super::error::{Reason, Stop, here, raised, type_name};
use super::identity::Seen;
use super::{Converter, Lending, MarshalError, Pickling, array, memory};

/// Deepest nesting of containers in a value; well below the limit of the codec.
const MAX_DEPTH: usize = 128;
/// From this size in bytes on, keeping a `bytes` object alive costs less than copying it.
const BORROWED_BYTES_MIN: usize = 4096;

/// Converts one item from a Python object to a [`Value`].
pub(super) struct Reader<'a, 'py> {
    py: Python<'py>,
    converter: &'a Converter,
    lending: Lending,
    /// Addresses of the containers that are being read, outermost first.
    ancestors: Vec<usize>,
    /// `None` where objects that occur twice become two.
    seen: Option<Seen>,
    headroom: Headroom,
}

impl<'a, 'py> Reader<'a, 'py> {
    pub(super) fn new(py: Python<'py>, converter: &'a Converter, lending: Lending) -> Self {
        let seen = converter.keeps_identity.then(Seen::default);
        let headroom = Headroom::default();
        Self { py, converter, lending, ancestors: Vec::new(), seen, headroom }
    }

    pub(super) fn read_root(&mut self, object: &Bound<'py, PyAny>) -> Result<Value, MarshalError> {
        let root = self.converter.root;
        let read = match self.read(object) {
            Err(Stop::Shared) => self.opaque(object),
            read => read,
        };
        read.map_err(|stop| stop.at_root(root, || type_name(object)))
    }

    fn read(&mut self, object: &Bound<'py, PyAny>) -> Result<Value, Stop> {
        if let Ok(text) = object.cast_exact::<PyString>() {
            return match text.to_str() {
                Ok(text) => {
                    self.take(object, room::of_text(text.len()))?;
                    Ok(Value::Str(text.to_owned()))
                }
                Err(_) => self.opaque(object),
            };
        }
        if let Ok(number) = object.cast_exact::<PyFloat>() {
            return Ok(Value::Float(number.value()));
        }
        if object.is_exact_instance_of::<PyInt>() {
            return self.int(object);
        }
        if object.is_none() {
            return Ok(Value::None);
        }
        if let Ok(truth) = object.cast_exact::<PyBool>() {
            return Ok(Value::Bool(truth.is_true()));
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.take(object, room::of_elements(tuple.len()))?;
            return self.nested(object, |reader| {
                reader.sequence(tuple.iter(), tuple.len()).map(Value::Tuple)
            });
        }
        if let Ok(list) = object.cast_exact::<PyList>() {
            self.take(object, room::of_elements(list.len()))?;
            return self.nested(object, |reader| {
                reader.sequence(list.iter(), list.len()).map(Value::List)
            });
        }
        if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.take(object, room::of_entries(dict.len()))?;
            return self.nested(object, |reader| reader.dict(dict));
        }
        self.read_rarer(object)
    }

    fn read_rarer(&mut self, object: &Bound<'py, PyAny>) -> Result<Value, Stop> {
        if let Some(array) = array::read(object, self.converter, self.lending)
            .map_err(|error| raised(object, error))?
        {
            self.take(object, room::ARRAY_BYTES)?;
            return Ok(Value::Array(array));
        }
        if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            let data = bytes.as_bytes();
            let lend = self.lending == Lending::Borrow && data.len() >= BORROWED_BYTES_MIN;
            if lend {
                return Ok(Value::Bytes(memory::borrow_bytes(bytes).into()));
            }
            self.take(object, room::of_text(data.len()))?;
            return Ok(Value::Bytes(data.to_vec().into()));
        }
        // The elements are listed first: pickling one may run Python code that changes the set.
        self.note(object)?;
        if let Ok(set) = object.cast_exact::<PySet>() {
            self.take(object, room::of_elements(set.len()))?;
            let elements: Vec<_> = set.iter().collect();
            return self.members(elements).map(Value::Set);
        }
        if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
            self.take(object, room::of_elements(set.len()))?;
            let elements: Vec<_> = set.iter().collect();
            return self.members(elements).map(Value::FrozenSet);
        }
        self.opaque(object)
    }

    /// Asks for memory for the value of an object.
    fn take(&self, object: &Bound<'py, PyAny>, bytes: usize) -> Result<(), Stop> {
        self.headroom.take(bytes).map_err(|refused| here(object, Reason::NoMemory(refused)))
    }

    fn int(&self, object: &Bound<'py, PyAny>) -> Result<Value, Stop> {
        if let Ok(number) = object.extract::<i64>() {
            return Ok(Value::Int(number));
        }
        object.extract::<BigInt>().map(Value::BigInt).map_err(|error| raised(object, error))
    }

    /// Reads a container. A container that contains itself is pickled as a whole, as is an item
    /// that is nested too deeply.
    fn nested(
        &mut self,
        object: &Bound<'py, PyAny>,
        read: impl FnOnce(&mut Self) -> Result<Value, Stop>,
    ) -> Result<Value, Stop> {
        let address = object.as_ptr() as usize;
        if self.ancestors.contains(&address) {
            return Err(Stop::Cycle(address));
        }
        if self.ancestors.len() == MAX_DEPTH {
            return Err(Stop::Depth);
        }
        self.note(object)?;
        self.ancestors.push(address);
        let outcome = read(self);
        self.ancestors.pop();
        match outcome {
            Err(Stop::Cycle(target)) if target == address => {
                self.whole(object, Reason::ContainsItself)
            }
            Err(Stop::Depth) if self.ancestors.is_empty() => {
                self.whole(object, Reason::TooDeep { limit: MAX_DEPTH })
            }
            outcome => outcome,
        }
    }

    /// Notes an object that can change.
    fn note(&mut self, object: &Bound<'py, PyAny>) -> Result<(), Stop> {
        let is_part = !self.ancestors.is_empty();
        let is_second = self.seen.as_mut().is_some_and(|seen| is_part && seen.again(object));
        if is_second { Err(Stop::Shared) } else { Ok(()) }
    }

    fn whole(&self, object: &Bound<'py, PyAny>, reason: Reason) -> Result<Value, Stop> {
        if matches!(self.converter.pickling, Pickling::Forbidden) {
            return Err(here(object, reason));
        }
        self.opaque(object)
    }

    fn sequence(
        &mut self,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
        length: usize,
    ) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::with_capacity(length);
        for (index, element) in elements.enumerate() {
            values.push(self.read(&element).map_err(|stop| stop.below(|| Down::Index(index)))?);
        }
        Ok(values)
    }

    fn members(&mut self, elements: Vec<Bound<'py, PyAny>>) -> Result<Vec<Value>, Stop> {
        elements
            .iter()
            .map(|element| self.read(element).map_err(|stop| stop.below(|| Down::Member)))
            .collect()
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>) -> Result<Value, Stop> {
        // The entries are listed first: pickling a value may run Python code that changes the dict.
        let entries: Vec<_> = dict.iter().collect();
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in &entries {
            let name = || key.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
            let key_value =
                self.read(key).map_err(|stop| stop.below(|| Down::KeyItself(name())))?;
            let value = self.read(value).map_err(|stop| stop.below(|| Down::Key(name())))?;
            values.push((key_value, value));
        }
        Ok(Value::Dict(values))
    }

    fn opaque(&self, object: &Bound<'py, PyAny>) -> Result<Value, Stop> {
        let pickled = match &self.converter.pickling {
            Pickling::Forbidden => return Err(here(object, Reason::PicklesForbidden)),
            Pickling::Default => default_dumps(self.py).and_then(|dumps| dumps.call1((object,))),
            Pickling::With(dumps) => dumps.bind(self.py).call1((object,)),
        };
        let pickle = pickled
            .and_then(|bytes| Ok(bytes.cast_into::<PyBytes>()?))
            .map_err(|error| raised(object, error))?;
        let interpreter = if pickle.as_bytes().starts_with(PORTABLE_PREFIX) {
            PORTABLE
        } else {
            interpreter_name(self.py).map_err(|error| raised(object, error))?
        };
        Ok(Value::Opaque(Opaque {
            type_name: type_name(object),
            interpreter: interpreter.to_owned(),
            pickle: memory::borrow_bytes(&pickle).into(),
        }))
    }
}

/// The first bytes of pickles that any interpreter may open, as in `remotemedia._pickle`.
const PORTABLE_PREFIX: &[u8] = b"RMP1";
/// The name that stands for any interpreter, for a pickle with this prefix.
pub(super) const PORTABLE: &str = "portable";

fn default_dumps(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    DUMPS.import(py, "remotemedia._pickle", "dumps")
}

/// The kind of interpreter that may open the pickles of this process, for instance `cpython-3.11`.
pub(super) fn interpreter_name(py: Python<'_>) -> PyResult<&'static str> {
    static NAME: PyOnceLock<String> = PyOnceLock::new();
    NAME.get_or_try_init(py, || {
        let implementation = py.import("sys")?.getattr(intern!(py, "implementation"))?;
        let kind: String = implementation.getattr(intern!(py, "name"))?.extract()?;
        let version = py.version_info();
        Ok(format!("{kind}-{}.{}", version.major, version.minor))
    })
    .map(String::as_str)
}
