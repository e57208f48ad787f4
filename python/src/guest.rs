//! The worker process of CPython: its entry point, and CPython as a [`PythonHost`].

mod probe;

use std::sync::Arc;

use ipc_protocol::Value;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::recorder::Arrays;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use worker_shim::blackbox::Blackbox;
use worker_shim::kernel_state;
use worker_shim::link::link;
use worker_shim::process::{self, outlive_parent, take_link, watch_orchestrator};
use worker_shim::{
    Arguments, Interpreter, LinkWriter, Meter, PythonGuest, PythonHost, SharedMeter,
};

use crate::convert::{Converter, Lending, Pickling, to_value, unopenable, unsendable};
use crate::numpy_memory::{self, Outbound};
use probe::{Log, Probe};

/// Serves the orchestrator until it closes the connection. `recorder` is the number of the flight
/// recorder's descriptor, `orchestrator` a process id. Returns the exit code.
#[pyfunction]
pub(crate) fn worker_main(
    py: Python<'_>,
    recorder: Option<&str>,
    orchestrator: i32,
) -> PyResult<i32> {
    numpy_memory::begin_worker();
    let socket = take_link()?;
    watch_orchestrator(&socket, orchestrator)?;
    outlive_parent();
    let recorder: Option<i32> = recorder.and_then(|number| number.parse().ok());
    let blackbox = recorder.and_then(|descriptor| Blackbox::open(descriptor).ok());
    let arrays = blackbox.as_ref().and_then(|blackbox| blackbox.arrays().ok());
    prepare_interpreter(py, recorder)?;
    let (mut reader, writer) = link(socket)?;
    let meter = SharedMeter::new(Meter::new(blackbox));
    numpy_memory::begin_accounts(&meter, arrays);
    let mut guest = guest(py, meter, &writer)?;
    let served = py.detach(|| worker_shim::serve(&mut reader, &writer, &mut guest));
    match served {
        Ok(()) => Ok(0),
        Err(error) => {
            process::die_after_grace()?;
            py.import("sys")?
                .getattr("__stderr__")?
                .call_method1("write", (format!("{error}\n"),))?;
            Ok(1)
        }
    }
}

/// After this call a crash leaves the Python stack in the flight recorder, and Ctrl-C does not end
/// the worker: the orchestrator handles it.
fn prepare_interpreter(py: Python<'_>, recorder: Option<i32>) -> PyResult<()> {
    let prepare = py.import("remotemedia._guest.process")?;
    let (end_group, glance) = (wrap_pyfunction!(end_group, py)?, wrap_pyfunction!(glance, py)?);
    let attributes =
        (wrap_pyfunction!(attributes, py)?, wrap_pyfunction!(put_back_attributes, py)?);
    prepare.call_method1("prepare", (recorder, end_group, glance, attributes))?;
    Ok(())
}

/// See `EndGroup` in `remotemedia._guest.process`.
#[pyfunction]
fn end_group(py: Python<'_>, spared: Vec<i32>) {
    py.detach(|| process::end_group(&spared));
}

/// See `Glance` in `remotemedia._guest.hygiene`.
#[pyfunction]
fn glance(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &kernel_state::glance())
}

/// See `Attributes` in `remotemedia._guest.hygiene.system`.
#[pyfunction]
fn attributes() -> [i64; 9] {
    kernel_state::attributes()
}

/// The other function of that pair.
#[pyfunction]
fn put_back_attributes(before: [i64; 9]) {
    kernel_state::put_back_attributes(before);
}

fn guest(
    py: Python<'_>,
    meter: SharedMeter,
    writer: &LinkWriter,
) -> PyResult<PythonGuest<CPython>> {
    let probe = Py::new(py, Probe::new(meter.clone()))?;
    let log = Py::new(py, Log::new(writer.clone()))?;
    let class = py.import("remotemedia._guest")?.getattr("Guest")?;
    let guest = class.call1((&probe, log))?.unbind();
    let converter = Converter::new("output", Lending::Borrow, Pickling::Default);
    PythonGuest::new(CPython { probe, converter, outbound: None }, &guest, meter)
}

/// The interpreter of this process.
#[derive(Debug)]
struct CPython {
    probe: Py<Probe>,
    converter: Converter,
    /// The shared memory of the connection; `None` if it has none.
    outbound: Option<&'static Outbound>,
}

impl PythonHost for CPython {
    type Python<'py> = Python<'py>;
    type Object = Py<PyAny>;
    type Raised = PyErr;
    type Name = Py<PyString>;

    fn interpreter(&self) -> Interpreter {
        let version = self.attach(|py| {
            let info = py.version_info();
            format!("{}.{}.{}", info.major, info.minor, info.patch)
        });
        Interpreter {
            name: "cpython".to_owned(),
            version,
            package_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn attach<R>(&self, work: impl FnOnce(Python<'_>) -> R) -> R {
        Python::attach(work)
    }

    fn share(&mut self, exchange: &Arc<Exchange>) {
        self.outbound = Some(numpy_memory::serve(exchange));
    }

    fn begin_session(&mut self, allow_pickle: bool) {
        let pickling = if allow_pickle { Pickling::Default } else { Pickling::Forbidden };
        let converter = Converter::new("output", Lending::Borrow, pickling);
        self.converter = match self.outbound {
            Some(outbound) => converter.in_worker(outbound),
            None => converter.with_inline_max(None),
        };
    }

    fn end_session(&mut self) {
        self.attach(|py| self.probe.get().end(py));
        numpy_memory::end_of_session();
    }

    fn begin_end(&mut self) {
        process::begin_end();
    }

    fn name(&self, py: Python<'_>, text: &'static str) -> Py<PyString> {
        PyString::intern(py, text).unbind()
    }

    fn attr(&self, py: Python<'_>, object: &Py<PyAny>, name: &Py<PyString>) -> PyResult<Py<PyAny>> {
        object.getattr(py, name)
    }

    fn is_none(&self, py: Python<'_>, object: &Py<PyAny>) -> bool {
        object.is_none(py)
    }

    fn call(
        &self,
        py: Python<'_>,
        callable: &Py<PyAny>,
        arguments: Arguments<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        match arguments {
            Arguments::None => callable.call0(py),
            Arguments::Stage(stage) => callable.call1(py, (stage,)),
            Arguments::Item(stage, item) => callable.call1(py, (stage, item)),
            Arguments::One(object) => callable.call1(py, (object,)),
        }
    }

    fn unpack<const N: usize>(&self, py: Python<'_>, tuple: Py<PyAny>) -> PyResult<[Py<PyAny>; N]> {
        tuple.extract(py)
    }

    fn to_object(&self, py: Python<'_>, value: Value) -> PyResult<Py<PyAny>> {
        let object = self.converter.to_object(py, value);
        object.map(Bound::unbind).map_err(|error| unopenable(py, error, "input"))
    }

    fn to_value(&self, py: Python<'_>, object: Py<PyAny>) -> PyResult<Value> {
        to_value(object.bind(py), &self.converter).map_err(|error| unsendable(py, error))
    }

    fn take_traffic(&self) -> Traffic {
        self.converter.take_traffic()
    }

    fn take_arrays(&self, node: usize) -> Arrays {
        self.probe.get().take_arrays(node)
    }

    fn exception(&self, py: Python<'_>, raised: PyErr) -> Py<PyAny> {
        raised.into_value(py).into_any()
    }
}
