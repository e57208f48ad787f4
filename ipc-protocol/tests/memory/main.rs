//! Shared memory, the same tests over every kind of segment: segments, arenas, exchanges paired
//! back to back, peers that lie, real processes, and random walks against models.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "a test that panics has failed, one that is skipped says so; sizes in tests are small"
)]

mod arenas;
mod exchanges;
#[cfg(target_os = "linux")]
mod forwarding;
mod lies;
#[cfg(target_os = "linux")]
mod memfds;
mod models;
#[cfg(target_os = "linux")]
mod peers;
mod rings;
mod segments;
mod support;
