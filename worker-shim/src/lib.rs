//! The worker's side of a connection: the session loop, generic over the interpreter that a worker
//! hosts ([`Guest`]), the blocking link, what nodes cost, and the watch that lets no worker outlive
//! its orchestrator. It knows neither the orchestrator nor any interpreter.

pub mod audio;
pub mod blackbox;
pub mod guest;
pub mod link;
pub mod meter;
pub mod process;
pub mod session;
pub mod stages;
pub mod surroundings;
pub mod unsendable;

pub use guest::{Begin, Guest, Interpreter, Step};
pub use link::{Alarm, Incoming, LinkError, LinkReader, LinkWriter, Prepared, Received};
pub use meter::Meter;
pub use session::{SessionError, serve};
pub use stages::Stages;
