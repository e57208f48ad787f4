//! Converts Python objects to values.

use bytes::Bytes;
use ipc_protocol::memory::Headroom;
use ipc_protocol::{Opaque, Part, Payload, Value};
use num_bigint::BigInt;
use rustpython_vm::builtins::{
    PyBaseExceptionRef, PyBytes, PyBytesRef, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet,
    PyStr, PyTuple,
};
use rustpython_vm::{AsObject, Py, PyObject, PyObjectRef, VirtualMachine};
use worker_shim::room;
use worker_shim::unsendable::Down;

use super::problem::{Reason, Stop, exception, here, marked, raised, type_name};
use super::{Converter, PORTABLE, PORTABLE_PREFIX, arrays, interpreter_name};

/// Highest nesting of containers in a value; the same as in the CPython guest.
const MAX_DEPTH: usize = 128;
/// Size, in bytes, from which keeping a `bytes` object alive costs less than copying it.
const BORROWED_BYTES_MIN: usize = 4096;

/// Converts one item.
pub(super) struct Reader<'a> {
    converter: &'a Converter,
    vm: &'a VirtualMachine,
    /// `id()` of the containers that are being read, outermost first; finds containers that contain
    /// themselves.
    ancestors: Vec<usize>,
    headroom: Headroom,
}

/// Keeps a `bytes` object alive while a payload uses its memory.
struct Lent(PyBytesRef);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(converter: &'a Converter, vm: &'a VirtualMachine) -> Self {
        Self { converter, vm, ancestors: Vec::new(), headroom: Headroom::default() }
    }

    pub(super) fn read_root(&mut self, object: &PyObject) -> Result<Value, PyBaseExceptionRef> {
        let vm = self.vm;
        self.read(object).map_err(|stop| {
            let unsendable = stop.at_root("output", || type_name(object, vm));
            let (path, type_name) = (unsendable.path.clone(), unsendable.type_name.clone());
            marked(exception(unsendable, vm), "unsendable", Part { path, type_name }, vm)
        })
    }

    fn read(&mut self, object: &PyObject) -> Result<Value, Stop> {
        let (vm, types) = (self.vm, &self.vm.ctx.types);
        let kind = object.class();
        if kind.is(types.str_type) {
            let text = object.downcast_ref::<PyStr>().and_then(|text| text.to_str());
            return match text {
                Some(text) => {
                    self.take(object, room::of_text(text.len()))?;
                    Ok(Value::Str(text.to_owned()))
                }
                None => self.opaque(object),
            };
        }
        if kind.is(types.float_type)
            && let Some(number) = object.downcast_ref::<PyFloat>()
        {
            return Ok(Value::Float(number.to_f64()));
        }
        if kind.is(types.int_type)
            && let Some(number) = object.downcast_ref::<PyInt>()
        {
            return Ok(int(number));
        }
        if vm.is_none(object) {
            return Ok(Value::None);
        }
        if kind.is(types.bool_type) {
            return Ok(Value::Bool(object.is(&vm.ctx.true_value)));
        }
        if kind.is(types.tuple_type)
            && let Some(tuple) = object.downcast_ref::<PyTuple>()
        {
            self.take(object, room::of_elements(tuple.as_slice().len()))?;
            return self
                .nested(object, |reader| reader.sequence(tuple.as_slice()).map(Value::Tuple));
        }
        if kind.is(types.list_type)
            && let Some(list) = object.downcast_ref::<PyList>()
        {
            self.take(object, room::of_elements(list.borrow_vec().len()))?;
            // Copies the list first: pickling an element may run Python code that changes it.
            let elements = list.borrow_vec().to_vec();
            return self.nested(object, |reader| reader.sequence(&elements).map(Value::List));
        }
        if kind.is(types.dict_type)
            && let Some(dict) = object.downcast_ref::<PyDict>()
        {
            self.take(object, room::of_entries(dict.__len__()))?;
            let entries = dict.items_vec();
            return self.nested(object, |reader| reader.dict(&entries));
        }
        self.read_rarer(object)
    }

    fn read_rarer(&mut self, object: &PyObject) -> Result<Value, Stop> {
        let (vm, types) = (self.vm, &self.vm.ctx.types);
        let kind = object.class();
        let array = arrays::read(object, self.converter, vm);
        if let Some(array) = array.map_err(|error| raised(object, error, vm))? {
            self.take(object, room::ARRAY_BYTES)?;
            return Ok(Value::Array(array));
        }
        if kind.is(types.bytes_type)
            && let Ok(bytes) = object.to_owned().downcast::<PyBytes>()
        {
            self.take(object, room::of_text(0))?;
            return Ok(Value::Bytes(payload_of(bytes)));
        }
        if kind.is(types.set_type)
            && let Some(set) = object.downcast_ref::<PySet>()
        {
            let elements = set.elements();
            self.take(object, room::of_elements(elements.len()))?;
            return self.members(&elements).map(Value::Set);
        }
        if kind.is(types.frozenset_type)
            && let Some(set) = object.downcast_ref::<PyFrozenSet>()
        {
            let elements = set.elements();
            self.take(object, room::of_elements(elements.len()))?;
            return self.members(&elements).map(Value::FrozenSet);
        }
        self.opaque(object)
    }

    /// Asks for memory for the value of an object.
    fn take(&self, object: &PyObject, bytes: usize) -> Result<(), Stop> {
        let refused = |refused| here(object, Reason::NoMemory(refused), self.vm);
        self.headroom.take(bytes).map_err(refused)
    }

    /// Reads a container. One that contains itself or is nested too deep is pickled as a whole.
    fn nested(
        &mut self,
        object: &PyObject,
        read: impl FnOnce(&mut Self) -> Result<Value, Stop>,
    ) -> Result<Value, Stop> {
        let identity = object.get_id();
        if self.ancestors.contains(&identity) {
            return Err(Stop::Cycle(identity));
        }
        if self.ancestors.len() == MAX_DEPTH {
            return Err(Stop::Depth);
        }
        self.ancestors.push(identity);
        let outcome = read(self);
        self.ancestors.pop();
        match outcome {
            Err(Stop::Cycle(target)) if target == identity => {
                self.whole(object, Reason::ContainsItself)
            }
            Err(Stop::Depth) if self.ancestors.is_empty() => {
                self.whole(object, Reason::TooDeep { limit: MAX_DEPTH })
            }
            outcome => outcome,
        }
    }

    fn whole(&self, object: &PyObject, reason: Reason) -> Result<Value, Stop> {
        if !self.converter.allows_pickles {
            return Err(here(object, reason, self.vm));
        }
        self.opaque(object)
    }

    fn sequence(&mut self, elements: &[PyObjectRef]) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            values.push(self.read(element).map_err(|stop| stop.below(|| Down::Index(index)))?);
        }
        Ok(values)
    }

    fn members(&mut self, elements: &[PyObjectRef]) -> Result<Vec<Value>, Stop> {
        elements
            .iter()
            .map(|element| self.read(element).map_err(|stop| stop.below(|| Down::Member)))
            .collect()
    }

    fn dict(&mut self, entries: &[(PyObjectRef, PyObjectRef)]) -> Result<Value, Stop> {
        let vm = self.vm;
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = || {
                let text = key.repr(vm).map(|text| text.to_string_lossy().into_owned());
                text.unwrap_or_else(|_| "?".to_owned())
            };
            let key_value =
                self.read(key).map_err(|stop| stop.below(|| Down::KeyItself(name())))?;
            let value = self.read(value).map_err(|stop| stop.below(|| Down::Key(name())))?;
            values.push((key_value, value));
        }
        Ok(Value::Dict(values))
    }

    fn opaque(&self, object: &PyObject) -> Result<Value, Stop> {
        let vm = self.vm;
        if !self.converter.allows_pickles {
            return Err(here(object, Reason::PicklesForbidden, vm));
        }
        let pickle = vm
            .import("remotemedia._pickle", 0)
            .and_then(|_| {
                vm.sys_module.get_attr("modules", vm)?.get_item("remotemedia._pickle", vm)
            })
            .and_then(|module| module.get_attr("dumps", vm)?.call((object.to_owned(),), vm))
            .and_then(|bytes| bytes.try_into_value::<PyBytesRef>(vm))
            .map_err(|error| raised(object, error, vm))?;
        let is_portable = pickle.as_bytes().starts_with(PORTABLE_PREFIX);
        Ok(Value::Opaque(Opaque {
            type_name: type_name(object, vm),
            interpreter: if is_portable { PORTABLE.to_owned() } else { interpreter_name() },
            pickle: payload_of(pickle),
        }))
    }
}

fn int(number: &Py<PyInt>) -> Value {
    let number = number.as_bigint();
    match i64::try_from(number) {
        Ok(number) => Value::Int(number),
        Err(_) => Value::BigInt(BigInt::from_signed_bytes_le(&number.to_signed_bytes_le())),
    }
}

fn payload_of(bytes: PyBytesRef) -> Payload {
    if bytes.as_bytes().len() < BORROWED_BYTES_MIN {
        return bytes.as_bytes().to_vec().into();
    }
    Bytes::from_owner(Lent(bytes)).into()
}
