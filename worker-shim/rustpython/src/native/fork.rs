//! Forks by Python code: keeps shared memory alive for the child, which cannot hold leases itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ipc_protocol::exchange::Exchange;

static EXCHANGE: OnceLock<Arc<Exchange>> = OnceLock::new();
static HOLDS: AtomicBool = AtomicBool::new(false);

/// Sets the connection whose shared memory forks have to keep.
pub(crate) fn serve(exchange: &Arc<Exchange>) {
    let _first_stays = EXCHANGE.set(Arc::clone(exchange));
}

/// Called before a fork: keeps all leases that are alive now until [`end_of_session`], because the
/// child may use their memory.
pub(crate) fn hold() {
    if let Some(exchange) = EXCHANGE.get() {
        exchange.hold_for_fork(true);
        HOLDS.store(true, Ordering::Relaxed);
    }
}

/// Called when the nodes of a session are gone: releases the leases that [`hold`] has kept.
pub(crate) fn end_of_session() {
    if HOLDS.swap(false, Ordering::Relaxed)
        && let Some(exchange) = EXCHANGE.get()
    {
        exchange.hold_for_fork(false);
    }
}
