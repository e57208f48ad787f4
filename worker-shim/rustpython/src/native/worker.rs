//! The native functions that `remotemedia._guest` calls: the meter, and sending what nodes print
//! and log. A process has one interpreter, so their state is static.

use std::sync::OnceLock;

use nix::sys::signal::Signal;
use worker_shim::{LinkWriter, Meter, SharedMeter};

static METER: OnceLock<SharedMeter> = OnceLock::new();
static LOG: OnceLock<LinkWriter> = OnceLock::new();
/// Whether the process was started with SIGINT ignored.
static IGNORES_INTERRUPTS: OnceLock<bool> = OnceLock::new();

/// Makes this process a worker with this meter and this link. Call this before the interpreter is
/// made, which replaces the handler of SIGINT.
pub(crate) fn serve(meter: &SharedMeter, writer: &LinkWriter) {
    let _first_stays = METER.set(meter.clone());
    let _first_stays = LOG.set(writer.clone());
    let _first_stays = IGNORES_INTERRUPTS.set(worker_shim::process::is_ignored(Signal::SIGINT));
}

/// Calls `work` with the meter; does nothing in a process that is not a worker.
fn metered(work: impl FnOnce(&mut Meter)) {
    if let Some(meter) = METER.get() {
        work(&mut meter.lock());
    }
}

pub(crate) use native::module_def;

#[rustpython_vm::pymodule(name = "_remotemedia_worker")]
mod native {
    use ipc_protocol::FromWorker;
    use ipc_protocol::from_worker::{LogRecord, SourceLine};
    use rustpython_vm::builtins::PyTupleRef;
    use rustpython_vm::{FromArgs, PyObjectRef, PyResult, VirtualMachine};
    use worker_shim::blackbox::Operation;

    use super::metered;
    use crate::native::fork;

    #[pyfunction]
    fn ignores_interrupts() -> bool {
        super::IGNORES_INTERRUPTS.get().copied().unwrap_or_default()
    }

    /// The `before` function of `os.register_at_fork`.
    #[pyfunction]
    fn before_fork() {
        fork::hold();
    }

    /// The `after_in_child` function of `os.register_at_fork`.
    #[pyfunction]
    fn after_fork_in_child() {
        ipc_protocol::memory::forked_child();
    }

    /// See `Meter` in `remotemedia._guest.calling`.
    #[pyfunction]
    fn enter(node: usize, operation: u32) {
        metered(|meter| meter.enter(node, Operation::from_number(operation)));
    }

    /// See `EndGroup` in `remotemedia._guest.process`.
    #[pyfunction]
    fn end_group(spared: Vec<i32>, vm: &VirtualMachine) {
        vm.allow_threads(|| worker_shim::process::end_group(&spared));
    }

    /// See `Glance` in `remotemedia._guest.hygiene`.
    #[pyfunction]
    fn glance() -> Vec<u8> {
        worker_shim::kernel_state::glance()
    }

    /// See `Attributes` in `remotemedia._guest.hygiene.system`.
    #[pyfunction]
    fn attributes(vm: &VirtualMachine) -> PyObjectRef {
        let numbers = worker_shim::kernel_state::attributes();
        vm.ctx.new_list(numbers.map(|number| vm.ctx.new_int(number).into()).to_vec()).into()
    }

    /// The other function of that pair.
    #[pyfunction]
    fn put_back_attributes(before: Vec<i64>) {
        if let Ok(before) = before.try_into() {
            worker_shim::kernel_state::put_back_attributes(before);
        }
    }

    #[pyfunction]
    fn leave() {
        metered(worker_shim::Meter::leave);
    }

    /// Arrays are not counted here.
    #[pyfunction]
    fn runs_on(_node: usize) {}

    #[pyfunction]
    fn call_next(node: usize) {
        metered(|meter| meter.call_next(node));
    }

    #[pyfunction]
    fn count_call(node: usize) {
        metered(|meter| meter.count_call(node));
    }

    #[pyfunction]
    fn count_error(node: usize) {
        metered(|meter| meter.count_error(node));
    }

    /// See `Send` in `remotemedia._guest.output`.
    #[pyfunction]
    fn send(said: Said, vm: &VirtualMachine) -> PyResult<()> {
        let Some(writer) = super::LOG.get() else { return Ok(()) };
        let Said { node_id, logger, is_stream, level, message, place } = said;
        let place = place.map(|place| place.extract_tuple(vm)).transpose()?;
        let place = place.map(|(path, line, function)| SourceLine { path, line, function });
        let record = LogRecord { node_id, logger, is_stream, level, message, place };
        // Sending fails if the orchestrator is gone; then this process is about to end.
        let _unheard = vm.allow_threads(|| writer.send(FromWorker::Log(record)));
        Ok(())
    }

    /// A line that a node printed, or a log record.
    #[derive(FromArgs)]
    struct Said {
        #[pyarg(positional)]
        node_id: String,
        #[pyarg(positional)]
        logger: String,
        #[pyarg(positional)]
        is_stream: bool,
        #[pyarg(positional)]
        level: u32,
        #[pyarg(positional)]
        message: String,
        #[pyarg(positional)]
        place: Option<PyTupleRef>,
    }
}
