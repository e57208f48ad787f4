//! RustPython as a [`PythonHost`].

use std::sync::Arc;

use ipc_protocol::Value;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::Traffic;
use rustpython_vm::builtins::{PyBaseExceptionRef, PyStrInterned, PyTuple};
use rustpython_vm::{PyObjectRef, PyResult, VirtualMachine};
use worker_shim::process;
use worker_shim::{Arguments, Interpreter, PythonGuest, PythonHost, SharedMeter};

use crate::arguments::python_version;
use crate::convert::Converter;
use crate::deadline;
use crate::native::{audio, fork};

/// Makes the guest in an interpreter that `interpreter::prepare` has prepared.
///
/// # Errors
/// Any exception raised by importing `remotemedia._guest`; that is a bug in this program.
pub(crate) fn guest<'vm>(
    vm: &'vm VirtualMachine,
    meter: SharedMeter,
) -> PyResult<PythonGuest<RustPython<'vm>>> {
    let callbacks = module(vm, "_remotemedia_worker")?;
    let send = callbacks.get_attr("send", vm)?;
    let class = module(vm, "remotemedia._guest")?.get_attr("Guest", vm)?;
    let guest = class.call((callbacks, send), vm)?;
    PythonGuest::new(RustPython { vm, converter: Converter::new(true) }, &guest, meter)
}

/// Imports a module and returns it; RustPython's `import` returns the outermost package instead.
fn module(vm: &VirtualMachine, name: &'static str) -> PyResult {
    vm.import(name, 0)?;
    vm.sys_module.get_attr("modules", vm)?.get_item(name, vm)
}

/// The interpreter of this process.
pub(crate) struct RustPython<'vm> {
    vm: &'vm VirtualMachine,
    converter: Converter,
}

impl PythonHost for RustPython<'_> {
    type Python<'py> = &'py VirtualMachine;
    type Object = PyObjectRef;
    type Raised = PyBaseExceptionRef;
    type Name = &'static PyStrInterned;

    fn interpreter(&self) -> Interpreter {
        Interpreter {
            name: "rustpython".to_owned(),
            version: python_version(),
            package_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn begin_end(&mut self) {
        process::begin_end();
    }

    fn attach<R>(&self, work: impl FnOnce(&VirtualMachine) -> R) -> R {
        work(self.vm)
    }

    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        self.vm.allow_threads(blocking)
    }

    fn share(&mut self, exchange: &Arc<Exchange>) {
        audio::serve(exchange);
        fork::serve(exchange);
    }

    fn begin_session(&mut self, allow_pickle: bool) {
        self.converter = Converter::new(allow_pickle);
    }

    fn end_session(&mut self) {
        fork::end_of_session();
    }

    fn name(&self, vm: &VirtualMachine, text: &'static str) -> &'static PyStrInterned {
        vm.ctx.intern_str(text)
    }

    fn attr(
        &self,
        vm: &VirtualMachine,
        object: &PyObjectRef,
        name: &&'static PyStrInterned,
    ) -> PyResult {
        object.get_attr(*name, vm)
    }

    fn is_none(&self, vm: &VirtualMachine, object: &PyObjectRef) -> bool {
        vm.is_none(object)
    }

    fn call(
        &self,
        vm: &VirtualMachine,
        callable: &PyObjectRef,
        arguments: Arguments<PyObjectRef>,
    ) -> PyResult {
        let returned = match arguments {
            Arguments::None => callable.call((), vm),
            Arguments::Stage(stage) => callable.call((stage,), vm),
            Arguments::Item(stage, item) => callable.call((stage, item), vm),
            Arguments::One(object) => callable.call((object,), vm),
        };
        // After a missed deadline this ends the process: the orchestrator expects no answer.
        deadline::end_if_overdue();
        returned
    }

    fn unpack<const N: usize>(
        &self,
        vm: &VirtualMachine,
        tuple: PyObjectRef,
    ) -> PyResult<[PyObjectRef; N]> {
        let elements: Option<&[PyObjectRef; N]> =
            tuple.downcast_ref::<PyTuple>().and_then(|tuple| tuple.as_slice().try_into().ok());
        elements
            .cloned()
            .ok_or_else(|| vm.new_type_error(format!("expected a tuple of {N} elements")))
    }

    fn to_object(&self, vm: &VirtualMachine, value: Value) -> PyResult {
        self.converter.to_object(vm, value)
    }

    fn to_value(&self, vm: &VirtualMachine, object: PyObjectRef) -> PyResult<Value> {
        self.converter.to_value(vm, &object)
    }

    fn take_traffic(&self) -> Traffic {
        self.converter.take_traffic()
    }

    fn exception(&self, _vm: &VirtualMachine, raised: PyBaseExceptionRef) -> PyObjectRef {
        raised.into()
    }
}
