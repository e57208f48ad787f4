//! The protocol as `PROTOCOL.md` states it: golden vectors, round trips, hostile peers, streams.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed; sizes in tests are small"
)]

mod arrays;
#[path = "../../fuzz/entry.rs"]
mod fuzz_entry;
mod golden;
mod mutations;
mod properties;
mod samples;
mod streams;
mod support;
mod untrusted;
mod versions;
