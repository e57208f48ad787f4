//! Objects that `remotemedia._guest` calls: the meter, and the log of text that nodes print.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipc_protocol::FromWorker;
use ipc_protocol::from_worker::{LogRecord, SourceLine};
use ipc_protocol::recorder::Arrays;
use pyo3::prelude::*;
use worker_shim::blackbox::Operation;
use worker_shim::{LinkWriter, SharedMeter};

use crate::numpy_memory::{Account, Id, Serving, account, serve_numpy, set_current};

/// The meter as a Python object; see `Meter` in `remotemedia._guest.calling`.
///
/// From the call of a node's method on, numpy counts arrays for that node, and allocates large ones in
/// the outbound memory if the method makes outputs, until another node is called. Arrays made between
/// two calls count and lie there too: to switch after each call would cost a microsecond for every
/// small item.
#[pyclass(frozen)]
#[derive(Debug)]
pub(super) struct Probe {
    meter: SharedMeter,
    /// The call for which numpy allocates: see `key_of`.
    served: AtomicUsize,
    nodes: Mutex<Nodes>,
}

/// What numpy is to know about the nodes of the session.
#[derive(Debug, Default)]
struct Nodes {
    /// By the number of the node; `None` while it has not been called.
    accounts: Vec<Option<Id>>,
    /// Numbers of the nodes whose code goes on while others are called.
    concurrent: Vec<usize>,
    /// The handler that numpy has in the context of the interpreter's thread.
    serving: Option<Serving>,
}

/// No call.
const NONE: usize = 0;

fn key_of(node: usize, makes_outputs: bool) -> usize {
    (node << 1 | usize::from(makes_outputs)) + 1
}

impl Probe {
    pub(super) fn new(meter: SharedMeter) -> Self {
        Self { meter, served: NONE.into(), nodes: Mutex::default() }
    }

    /// Has numpy allocate for this node.
    fn serve(&self, py: Python<'_>, node: usize, makes_outputs: bool) {
        let key = key_of(node, makes_outputs);
        if self.served.load(Ordering::Relaxed) != key {
            let is_served = self.nodes().serve(py, node, makes_outputs);
            self.served.store(if is_served { key } else { NONE }, Ordering::Relaxed);
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most memory in arrays of a node, if it has grown since this was asked last.
    pub(super) fn take_arrays(&self, node: usize) -> Arrays {
        let id = self.nodes().accounts.get(node).copied().flatten();
        id.and_then(account).map(Account::take).unwrap_or_default()
    }

    /// Makes numpy use its own memory again.
    fn rest(&self, py: Python<'_>) {
        self.served.store(NONE, Ordering::Relaxed);
        self.nodes().rest(py);
    }

    /// Ends the session.
    pub(super) fn end(&self, py: Python<'_>) {
        self.rest(py);
        let nodes = std::mem::take(&mut *self.nodes());
        nodes.accounts.into_iter().flatten().filter_map(account).for_each(Account::close);
    }
}

impl Nodes {
    fn serve(&mut self, py: Python<'_>, node: usize, makes_outputs: bool) -> bool {
        let id = self.account(node);
        if let Some(account) = account(id) {
            account.set_makes_outputs(makes_outputs);
        }
        set_current(id);
        let is_own = self.concurrent.contains(&node);
        self.use_handler(py, if is_own { Serving::Account(id) } else { Serving::Last })
    }

    fn account(&mut self, node: usize) -> Id {
        if self.accounts.len() <= node {
            self.accounts.resize(node + 1, None);
        }
        *self.accounts[node].get_or_insert_with(|| Account::open(node))
    }

    fn use_handler(&mut self, py: Python<'_>, serving: Serving) -> bool {
        if self.serving != Some(serving) {
            self.serving = serve_numpy(py, serving).then_some(serving);
        }
        self.serving.is_some()
    }

    fn rest(&mut self, py: Python<'_>) {
        if self.serving.is_some() {
            self.use_handler(py, Serving::Default);
            self.serving = None;
        }
    }
}

#[pymethods]
impl Probe {
    fn enter(&self, py: Python<'_>, node: usize, operation: u32) {
        let operation = Operation::from_number(operation);
        if operation == Operation::Other {
            // What modules keep is not the node's.
            self.rest(py);
        } else {
            self.serve(py, node, operation.makes_outputs());
        }
        self.meter.lock().enter(node, operation);
    }

    fn call_next(&self, py: Python<'_>, node: usize) {
        self.serve(py, node, true);
        self.meter.lock().call_next(node);
    }

    fn runs_on(&self, node: usize) {
        self.nodes().concurrent.push(node);
    }

    fn leave(&self) {
        self.meter.lock().leave();
    }

    fn count_call(&self, node: usize) {
        self.meter.lock().count_call(node);
    }

    fn count_error(&self, node: usize) {
        self.meter.lock().count_error(node);
    }
}

/// Sends what nodes print and log; see `Send` in `remotemedia._guest.output`.
#[pyclass(frozen)]
#[derive(Debug)]
pub(super) struct Log(LinkWriter);

impl Log {
    pub(super) fn new(writer: LinkWriter) -> Self {
        Self(writer)
    }
}

#[pymethods]
impl Log {
    #[expect(clippy::too_many_arguments, reason = "the fields of a record, called from Python")]
    fn __call__(
        &self,
        py: Python<'_>,
        node_id: String,
        logger: String,
        is_stream: bool,
        level: u32,
        message: String,
        place: Option<(String, u32, String)>,
    ) {
        let place = place.map(|(path, line, function)| SourceLine { path, line, function });
        let record = LogRecord { node_id, logger, is_stream, level, message, place };
        // This fails only when the orchestrator is gone, and then this process ends soon too.
        let _unheard = py.detach(|| self.0.send(FromWorker::Log(record)));
    }
}
