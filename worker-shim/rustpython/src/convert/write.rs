//! Converts values to Python objects.

use ipc_protocol::{Opaque, Value};
use malachite_bigint::BigInt;
use rustpython_vm::builtins::{PyFrozenSet, PySet};
use rustpython_vm::{PyObject, PyObjectRef, PyPayload, PyResult, VirtualMachine};
use worker_shim::room;
use worker_shim::unopenable::Unopenable;
use worker_shim::unsendable::Down;

use super::problem::{OpenError, type_name};
use super::{Converter, PORTABLE, arrays, interpreter_name};

type Written = Result<PyObjectRef, OpenError>;

pub(super) fn write(converter: &Converter, vm: &VirtualMachine, value: Value) -> Written {
    converter.headroom.take(room::of_object(&value)).map_err(|refused| {
        Unopenable::here(value.type_name(), vm.new_memory_error(refused.to_string()))
    })?;
    let ctx = &vm.ctx;
    Ok(match value {
        Value::None => ctx.none(),
        Value::Bool(truth) => ctx.new_bool(truth).into(),
        Value::Int(number) => ctx.new_int(number).into(),
        Value::BigInt(number) => {
            let number = BigInt::from_signed_bytes_le(&number.to_signed_bytes_le());
            ctx.new_bigint(&number).into()
        }
        Value::Float(number) => ctx.new_float(number).into(),
        Value::Str(text) => ctx.new_str(text).into(),
        Value::Bytes(payload) => ctx.new_bytes(payload.as_slice().to_vec()).into(),
        Value::List(values) => ctx.new_list(write_all(converter, vm, values)?).into(),
        Value::Tuple(values) => ctx.new_tuple(write_all(converter, vm, values)?).into(),
        Value::Dict(entries) => write_dict(converter, vm, entries)?,
        Value::Set(values) => {
            let set = PySet::default().into_ref(ctx);
            for element in write_members(converter, vm, values)? {
                set.add(element, vm).map_err(|raised| Unopenable::here("set", raised))?;
            }
            set.into()
        }
        Value::FrozenSet(values) => {
            let elements = write_members(converter, vm, values)?;
            let set = PyFrozenSet::from_iter(vm, elements);
            set.map_err(|raised| Unopenable::here("frozenset", raised))?.into_pyobject(vm)
        }
        Value::Array(array) => view(arrays::write(array, None, converter, vm))?,
        Value::Audio(audio) => {
            let rate = audio.sample_rate_hz;
            let samples = view(arrays::write(audio.samples, Some(rate), converter, vm))
                .map_err(|error| error.below(Down::Index(0)))?;
            ctx.new_tuple(vec![samples, ctx.new_int(rate).into()]).into()
        }
        Value::Opaque(opaque) => open(converter, vm, &opaque)
            .map_err(|raised| Unopenable::here(opaque.type_name, raised))?,
    })
}

fn view(made: PyResult) -> Written {
    made.map_err(|raised| Unopenable::here("remotemedia.AudioView", raised))
}

fn write_dict(converter: &Converter, vm: &VirtualMachine, entries: Vec<(Value, Value)>) -> Written {
    let dict = vm.ctx.new_dict();
    for (key, value) in entries {
        let key = write(converter, vm, key)
            .map_err(|error| error.below(Down::KeyItself("?".to_owned())))?;
        let value =
            write(converter, vm, value).map_err(|error| error.below(Down::Key(shown(&key, vm))))?;
        dict.set_item(&*key, value, vm).map_err(|raised| {
            Unopenable::here(type_name(&key, vm), raised).below(Down::KeyItself(shown(&key, vm)))
        })?;
    }
    Ok(dict.into())
}

/// The `repr` of a key, for paths in error messages.
fn shown(key: &PyObject, vm: &VirtualMachine) -> String {
    key.repr(vm).map_or_else(|_| "?".to_owned(), |text| text.to_string_lossy().into_owned())
}

fn write_all(
    converter: &Converter,
    vm: &VirtualMachine,
    values: Vec<Value>,
) -> Result<Vec<PyObjectRef>, OpenError> {
    let write = |(index, value)| {
        write(converter, vm, value).map_err(|error| error.below(Down::Index(index)))
    };
    values.into_iter().enumerate().map(write).collect()
}

fn write_members(
    converter: &Converter,
    vm: &VirtualMachine,
    values: Vec<Value>,
) -> Result<Vec<PyObjectRef>, OpenError> {
    let write = |value| write(converter, vm, value).map_err(|error| error.below(Down::Member));
    values.into_iter().map(write).collect()
}

fn open(converter: &Converter, vm: &VirtualMachine, opaque: &Opaque) -> PyResult {
    let kind = &opaque.type_name;
    if !converter.allows_pickles {
        return Err(vm.new_type_error(format!(
            "an object of type {kind} arrived pickled, and pickles are not allowed here \
             (allow_pickle is off)"
        )));
    }
    let (theirs, ours) = (&opaque.interpreter, interpreter_name());
    if *theirs != ours && theirs != PORTABLE {
        return Err(vm.new_type_error(format!(
            "an object of type {kind} was pickled by {theirs}, and this interpreter ({ours}) \
             cannot open it; pass plain data or arrays instead"
        )));
    }
    vm.import("remotemedia._pickle", 0)?;
    let modules = vm.sys_module.get_attr("modules", vm)?;
    let loads = modules.get_item("remotemedia._pickle", vm)?.get_attr("loads", vm)?;
    loads.call((vm.ctx.new_bytes(opaque.pickle.as_slice().to_vec()),), vm)
}
