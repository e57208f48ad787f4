//! The shared memory in which this process makes arrays. In a worker it is the memory of its
//! connection, where numpy itself allocates large arrays while a node's `process` or `flush` runs.
//! In other processes it is an arena of their own. `fork` handles forks of both.

mod account;
mod arena;
mod fork;
mod handler;

pub(crate) use account::{Account, Id, account, begin_accounts, set_current};
pub(crate) use arena::{Outbound, outbound, own_arena, own_arena_stats, serve};
pub(crate) use fork::{begin_worker, end_of_session, forks, has_forked, watch_forks};
pub(crate) use handler::{Serving, serve_numpy};
