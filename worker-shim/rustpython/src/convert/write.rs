//! Values to Python objects.

use ipc_protocol::{Opaque, Value};
use malachite_bigint::BigInt;
use rustpython_vm::builtins::{PyFrozenSet, PySet};
use rustpython_vm::{PyObjectRef, PyPayload, PyResult, VirtualMachine};

use super::{Converter, arrays, interpreter_name};

pub(super) fn write(converter: &Converter, vm: &VirtualMachine, value: Value) -> PyResult {
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
        Value::Dict(entries) => {
            let dict = ctx.new_dict();
            for (key, value) in entries {
                let key = write(converter, vm, key)?;
                dict.set_item(&*key, write(converter, vm, value)?, vm)?;
            }
            dict.into()
        }
        Value::Set(values) => {
            let set = PySet::default().into_ref(ctx);
            for element in write_all(converter, vm, values)? {
                set.add(element, vm)?;
            }
            set.into()
        }
        Value::FrozenSet(values) => {
            let elements = write_all(converter, vm, values)?;
            PyFrozenSet::from_iter(vm, elements)?.into_pyobject(vm)
        }
        Value::Array(array) => arrays::write(array, None, converter, vm)?,
        Value::Audio(audio) => {
            let rate = audio.sample_rate_hz;
            let samples = arrays::write(audio.samples, Some(rate), converter, vm)?;
            ctx.new_tuple(vec![samples, ctx.new_int(rate).into()]).into()
        }
        Value::Opaque(opaque) => open(converter, vm, &opaque)?,
    })
}

fn write_all(
    converter: &Converter,
    vm: &VirtualMachine,
    values: Vec<Value>,
) -> PyResult<Vec<PyObjectRef>> {
    values.into_iter().map(|value| write(converter, vm, value)).collect()
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
    if *theirs != ours {
        return Err(vm.new_type_error(format!(
            "an object of type {kind} was pickled by {theirs}, and this interpreter is {ours}"
        )));
    }
    vm.import("remotemedia._pickle", 0)?;
    let modules = vm.sys_module.get_attr("modules", vm)?;
    let loads = modules.get_item("remotemedia._pickle", vm)?.get_attr("loads", vm)?;
    loads.call((vm.ctx.new_bytes(opaque.pickle.as_slice().to_vec()),), vm)
}
