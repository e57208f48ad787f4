//! The integration tests, in one binary. Each module says what it holds.

mod conformance;
mod promises;
mod startup;
mod tidy;
