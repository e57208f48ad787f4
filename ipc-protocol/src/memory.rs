//! Shared memory, as bytes alone: segments, the allocator over them, and the leases that keep a
//! block from being reused. This module knows no messages: `exchange` decides what is sent to a
//! peer.
//!
//! # Rules
//! 1. Shared memory holds payload only. The process that made a segment keeps its allocator in its
//!    own heap: no lock, counter or list is shared, so a dying peer can neither corrupt nor block
//!    the other.
//! 2. A block is written by the side that allocated it, before it is lent. From then on only the
//!    receiver may write to it, and only if the lender kept no reference. All other holders have it
//!    read-only or through a copy-on-write mapping.
//! 3. A block is reused only when its last claim and its last lease have ended. No timer ever
//!    reclaims one.
//! 4. What a peer says about memory (segment, offset, length) is checked against the mapped size.
//! 5. A mapping lives as long as anything refers to it: bytes keep their segment alive.
//!
//! All `unsafe` of this crate is in this folder: in the files of the segment kinds and in `pages`,
//! `segment`, `copy` and `shared`.

mod arena;
mod copy;
mod descriptors;
mod fork;
mod headroom;
mod heap;
mod lease;
#[cfg(target_os = "linux")]
mod memfd;
mod named;
mod pages;
mod ring;
mod segment;
mod shared;
pub(crate) mod sync;

pub(crate) use arena::MAX_SEGMENTS;
pub use arena::{Arena, ArenaOptions, ArenaStats, Claim};
pub use copy::is_equal;
pub use fork::{before_fork, forked_child, forked_parent};
pub use headroom::{Headroom, NoMemory};
pub(crate) use heap::HeapMemory;
pub(crate) use lease::Lease;
pub use lease::Releases;
pub use named::remove_stale_names;
pub(crate) use pages::page_bytes;
pub use pages::prefer_large_pages;
pub use ring::Ring;
pub use segment::{Access, Segment, SegmentKind, Ticket};
pub use shared::SharedBytes;
