//! Which shared memory this process makes its arrays in.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ipc_protocol::exchange::Exchange;
use ipc_protocol::memory::{Arena, ArenaOptions, ArenaStats, SegmentKind};

/// Of the memory of a worker's connection, numpy gets all but one part in this many: a node that
/// hoards arrays leaves room for the copies that its outputs then need.
const RESERVED_PART: usize = 4;

/// Sizes of the memory of a process that is no worker: as much as it likes, made as it is needed.
const OWN: ArenaOptions = ArenaOptions {
    kind: if cfg!(target_os = "linux") { SegmentKind::Memfd } else { SegmentKind::Named },
    ring_bytes: 64 << 20,
    ring_block_max_bytes: 4 << 20,
    max_bytes: usize::MAX,
    idle_max_bytes: 128 << 20,
};

static OUTBOUND: OnceLock<Outbound> = OnceLock::new();
/// Made at first use. Only threads that hold the interpreter's lock take this one, so that no
/// forked child finds it locked.
static OWN_ARENA: Mutex<Option<Arena>> = Mutex::new(None);

/// The memory that a worker writes for its orchestrator.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(super) exchange: Arc<Exchange>,
    /// Arrays up to this size travel inside messages.
    pub(crate) inline_max_bytes: usize,
    limit_bytes: usize,
}

impl Outbound {
    pub(crate) fn arena(&self) -> &Arena {
        self.exchange.arena()
    }

    /// A block for an array of a node: its address. `None` when the array is better off elsewhere.
    pub(super) fn allocate(&self, bytes: usize) -> Option<usize> {
        let arena = self.arena();
        if bytes <= self.inline_max_bytes
            || arena.stats().used_bytes.saturating_add(bytes) > self.limit_bytes
        {
            return None;
        }
        arena.allocate_address(bytes).ok()
    }
}

/// From now on this process is a worker with this connection. Only the first call has effect.
pub(crate) fn serve(exchange: &Arc<Exchange>) -> &'static Outbound {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    OUTBOUND.get_or_init(|| {
        let limit = size(exchange.terms().max_bytes);
        Outbound {
            exchange: Arc::clone(exchange),
            inline_max_bytes: size(exchange.terms().inline_max_bytes),
            limit_bytes: limit - limit / RESERVED_PART,
        }
    })
}

/// The memory of a worker's connection; `None` where this process is no worker, or a child of one.
pub(crate) fn outbound() -> Option<&'static Outbound> {
    OUTBOUND.get().filter(|_| !super::fork::has_forked())
}

/// The same, also in the child of a worker: it has to tell inherited memory from its own.
pub(super) fn inherited_outbound() -> Option<&'static Outbound> {
    OUTBOUND.get()
}

/// The memory that a process which is no worker makes arrays in to share them.
pub(crate) fn own_arena() -> Arena {
    let mut own = OWN_ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    own.get_or_insert_with(|| Arena::new(OWN)).clone()
}

/// How much it holds.
pub(crate) fn own_arena_stats() -> ArenaStats {
    let own = OWN_ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    own.as_ref().map_or_else(ArenaStats::default, Arena::stats)
}

/// In a forked child: what is made from now on is not shared with the parent.
pub(super) fn forget_own_arena() {
    let inherited = OWN_ARENA.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Arrays in it live on, and hold it themselves.
    drop(inherited);
}
