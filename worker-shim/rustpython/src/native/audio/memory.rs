//! Where new views get their memory.

use std::sync::{Arc, OnceLock};

use ipc_protocol::shm::Exchange;
use worker_shim::audio::{Kind, Supply, View, ViewError};

static SUPPLY: OnceLock<Supply> = OnceLock::new();

/// From now on new arrays lie in the memory of this connection, if they are large.
pub(crate) fn serve(exchange: &Arc<Exchange>) {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let terms = exchange.terms();
    let (inline_max, max) = (size(terms.inline_max_bytes), size(terms.max_bytes));
    let _first_stays = SUPPLY.set(Supply::new(exchange.arena().clone(), inline_max, max));
}

/// Where new arrays get their memory.
pub(crate) fn supply() -> &'static Supply {
    static PRIVATE: OnceLock<Supply> = OnceLock::new();
    SUPPLY.get().unwrap_or_else(|| PRIVATE.get_or_init(Supply::default))
}

/// A new view without contents that anybody asked for.
pub(super) fn empty(shape: &[usize], kind: Kind) -> Result<View, ViewError> {
    let bytes = shape.iter().try_fold(kind.bytes(), |bytes, &length| bytes.checked_mul(length));
    let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
    let bytes = bytes.ok_or_else(|| ViewError::Memory(format!("no memory for shape {shape:?}")))?;
    View::over(supply().block(bytes), kind, shape)
}
