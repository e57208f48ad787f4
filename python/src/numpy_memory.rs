//! Shared memory that the arrays of this process are made in: in a worker the memory of its
//! connection, which numpy itself takes large arrays from while a node's `process` or `flush` runs,
//! elsewhere a memory of the process's own. And what a fork means for both.

mod arena;
mod fork;
mod handler;

pub(crate) use arena::{Outbound, outbound, own_arena, own_arena_stats, serve};
pub(crate) use fork::{end_of_session, forks, has_forked, watch_forks};
pub(crate) use handler::{activate, deactivate};
