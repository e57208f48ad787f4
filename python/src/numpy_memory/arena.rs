//! The shared memory in which this process makes arrays.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ipc_protocol::exchange::Exchange;
use ipc_protocol::memory::{Arena, ArenaOptions, ArenaStats, SegmentKind};

/// Numpy gets all but one part in this many of the memory of a worker's connection: a node that
/// keeps many arrays leaves room for the copies of its outputs.
const RESERVED_PART: usize = 4;

/// Sizes of the arena of a process that is not a worker. Its total is not limited, and segments are
/// made when they are needed.
const OWN: ArenaOptions = ArenaOptions {
    kind: if cfg!(target_os = "linux") { SegmentKind::Memfd } else { SegmentKind::Named },
    ring_bytes: 64 << 20,
    ring_block_max_bytes: 4 << 20,
    max_bytes: usize::MAX,
    idle_max_bytes: 128 << 20,
};

static OUTBOUND: OnceLock<Outbound> = OnceLock::new();
/// Made at first use. This lock is taken only under the GIL, so that it is never locked in a forked
/// child.
static OWN_ARENA: Mutex<Option<Arena>> = Mutex::new(None);

/// The outbound memory: shared memory that a worker writes and its orchestrator reads.
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

    /// Allocates a block for an array of a node and returns its address and length. `None` when the
    /// array is small enough for a message, or when numpy's part of the memory is used up.
    pub(super) fn allocate(&self, bytes: usize) -> Option<(usize, usize)> {
        let arena = self.arena();
        if bytes <= self.inline_max_bytes
            || arena.stats().used_bytes.saturating_add(bytes) > self.limit_bytes
        {
            return None;
        }
        arena.allocate_address(bytes).ok()
    }
}

/// Makes this process a worker with this connection. Only the first call has an effect.
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

/// The memory of a worker's connection; `None` if this process is not a worker, or is a forked
/// child of one.
pub(crate) fn outbound() -> Option<&'static Outbound> {
    OUTBOUND.get().filter(|_| !super::fork::has_forked())
}

/// As [`outbound`], but also in a forked child of a worker, which must recognize inherited memory.
pub(super) fn inherited_outbound() -> Option<&'static Outbound> {
    OUTBOUND.get()
}

/// The arena in which a process that is not a worker makes shared arrays.
pub(crate) fn own_arena() -> Arena {
    let mut own = OWN_ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    own.get_or_insert_with(|| Arena::new(OWN)).clone()
}

/// Size and use of [`own_arena`].
pub(crate) fn own_arena_stats() -> ArenaStats {
    let own = OWN_ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    own.as_ref().map_or_else(ArenaStats::default, Arena::stats)
}

/// For a forked child: arrays made after this call are in a new arena, not in the parent's.
pub(super) fn forget_own_arena() {
    let inherited = OWN_ARENA.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Inherited arrays keep the old arena alive themselves.
    drop(inherited);
}
