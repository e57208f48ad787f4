//! Forks by Python code: the child shares memory with its parent and must not manage it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ipc_protocol::exchange::Exchange;

static EXCHANGE: OnceLock<Arc<Exchange>> = OnceLock::new();
static HOLDS: AtomicBool = AtomicBool::new(false);

/// From now on the process shares memory through this connection.
pub(crate) fn serve(exchange: &Arc<Exchange>) {
    let _first_stays = EXCHANGE.set(Arc::clone(exchange));
}

/// The child may look at what is alive now for as long as it lives.
pub(crate) fn hold() {
    if let Some(exchange) = EXCHANGE.get() {
        exchange.hold_for_fork(true);
        HOLDS.store(true, Ordering::Relaxed);
    }
}

/// The nodes of a worker are gone, so nothing is left that could wait for their children.
pub(crate) fn end_of_session() {
    if HOLDS.swap(false, Ordering::Relaxed)
        && let Some(exchange) = EXCHANGE.get()
    {
        exchange.hold_for_fork(false);
    }
}
