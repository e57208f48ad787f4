//! The caller's process in the words of `remotemedia._guest.surroundings`.

use ipc_protocol::ByteBuf;
use ipc_protocol::to_worker::Surroundings;
use rustpython_vm::{PyObjectRef, PyResult, VirtualMachine};
use worker_shim::surroundings::environment_unless;

use super::module;

pub(super) fn to_object(vm: &VirtualMachine, around: Surroundings) -> PyResult {
    let bytes = |text: &[u8]| -> PyObjectRef { vm.ctx.new_bytes(text.to_vec()).into() };
    let list = |texts: &[ByteBuf]| -> PyObjectRef {
        vm.ctx.new_list(texts.iter().map(|text| bytes(text)).collect()).into()
    };
    let present = environment_unless(&around.environment);
    let arguments: Vec<PyObjectRef> = vec![
        bytes(&around.environment),
        vm.unwrap_or_none(present.map(|present| bytes(&present))),
        list(&around.sys_path),
        vm.ctx.new_bool(around.is_path_complete).into(),
        list(&around.argv),
        vm.unwrap_or_none(around.working_directory.as_ref().map(|folder| bytes(folder))),
        vm.unwrap_or_none(around.umask.map(|umask| vm.ctx.new_int(umask).into())),
    ];
    module(vm, "remotemedia._guest.surroundings")?.get_attr("Surroundings", vm)?.call(arguments, vm)
}
