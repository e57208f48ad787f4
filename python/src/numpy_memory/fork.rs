//! Forks by Python code: the child shares memory with its parent and must not manage it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arena::{forget_own_arena, outbound};
use super::handler;

/// See [`forks`].
static FORKS: AtomicU32 = AtomicU32::new(0);
static HOLDS: AtomicBool = AtomicBool::new(false);

/// Number of forks from the process that loaded the module down to this one; 0 in that process.
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Whether this process is a forked child of the one that loaded the module.
pub(crate) fn has_forked() -> bool {
    forks() > 0
}

/// Makes this process the one that forks are counted from: a zygote may have forked it to be a worker.
pub(crate) fn begin_worker() {
    FORKS.store(0, Ordering::Relaxed);
}

/// Registers the functions below with `os.register_at_fork`.
pub(crate) fn watch_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before_fork, module)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork_in_parent, module)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, module)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

/// In a worker, keeps all blocks and leases that are alive now until the session ends, because the
/// child may read them.
#[pyfunction]
fn before_fork() {
    if let Some(outbound) = outbound() {
        outbound.exchange.hold_for_fork(true);
        HOLDS.store(true, Ordering::Relaxed);
    }
    ipc_protocol::memory::before_fork();
    orchestrator::worker::forks::before_fork();
}

#[pyfunction]
fn after_fork_in_parent() {
    orchestrator::worker::forks::after_fork();
    ipc_protocol::memory::forked_parent();
}

/// Takes no lock that another thread of the parent may have held.
#[pyfunction]
fn after_fork_in_child(py: Python<'_>) {
    orchestrator::worker::forks::after_fork();
    ipc_protocol::memory::forked_child();
    FORKS.fetch_add(1, Ordering::Relaxed);
    forget_own_arena();
    handler::serve_numpy(py, handler::Serving::Default);
}

/// Ends the hold of `before_fork`: the nodes are gone, so no code is left that could wait for a
/// child.
pub(crate) fn end_of_session() {
    if HOLDS.swap(false, Ordering::Relaxed)
        && let Some(outbound) = outbound()
    {
        outbound.exchange.hold_for_fork(false);
    }
}
