//! Durable workflows: graphs of Python tasks whose runs survive the death of any process. Tasks run
//! in the orchestrator's pooled workers; what they return is kept in SQLite or PostgreSQL.
//!
//! Layers, lowest first: `failure` and `value` (what tasks give), `workflow` (graphs as data, with
//! `condition`, `retry` and `cron`), `record` (rows and changes of the database), `engine` (the pure
//! core), `store` (the databases, with `url`), `runner` (the threads that carry out what the core
//! decides).

pub mod condition;
pub mod cron;
pub mod engine;
pub mod failure;
pub mod record;
pub mod retry;
pub mod runner;
pub mod store;
pub mod url;

pub mod value;
pub mod workflow;

pub use engine::Engine;
pub use runner::Runner;

pub use workflow::Workflow;
