//! The memory supply of new views: shared memory once there is a connection.

use std::sync::{Arc, OnceLock};

use ipc_protocol::exchange::Exchange;
use worker_shim::audio::Supply;

static SUPPLY: OnceLock<Supply> = OnceLock::new();

/// Has large new arrays allocated in the shared memory of this connection.
pub(crate) fn serve(exchange: &Arc<Exchange>) {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let terms = exchange.terms();
    let (inline_max, max) = (size(terms.inline_max_bytes), size(terms.max_bytes));
    let _first_stays = SUPPLY.set(Supply::new(exchange.arena().clone(), inline_max, max));
}

/// The supply that allocates new arrays: private memory only, until [`serve`] is called.
pub(crate) fn supply() -> &'static Supply {
    static PRIVATE: OnceLock<Supply> = OnceLock::new();
    SUPPLY.get().unwrap_or_else(|| PRIVATE.get_or_init(Supply::default))
}
