//! The caller's process in the words of `remotemedia._guest.surroundings`.

use ipc_protocol::ByteBuf;
use ipc_protocol::to_worker::Surroundings;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use worker_shim::surroundings::environment_unless;

pub(super) fn to_object(py: Python<'_>, around: Surroundings) -> PyResult<Bound<'_, PyAny>> {
    let module = py.import(intern!(py, "remotemedia._guest.surroundings"))?;
    let bytes = |text: &ByteBuf| PyBytes::new(py, text);
    let list = |texts: &[ByteBuf]| PyList::new(py, texts.iter().map(bytes));
    module.getattr(intern!(py, "Surroundings"))?.call1((
        bytes(&around.environment),
        environment_unless(&around.environment).map(|present| PyBytes::new(py, &present)),
        list(&around.sys_path)?,
        around.is_path_complete,
        list(&around.argv)?,
        around.working_directory.as_ref().map(bytes),
        around.umask,
    ))
}
