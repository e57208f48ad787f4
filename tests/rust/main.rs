//! The integration tests, in one binary. Each module says what it holds.

mod conformance;
mod ends;
mod fallback;
mod lying_worker;
mod promises;
mod quiet;
mod sessions;
mod startup;
mod tidy;
