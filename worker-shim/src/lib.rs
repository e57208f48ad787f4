//! The worker's side of a connection: the session loop, generic over the code that runs nodes
//! ([`Guest`]); the guest for Python, generic over the interpreter ([`PythonHost`]); the blocking
//! link; the meter of node costs; and the thread that kills a worker after its orchestrator is
//! gone. This crate depends neither on the orchestrator nor on any interpreter.

pub mod allocator;
pub mod audio;
pub mod blackbox;
pub mod death;
pub mod guest;
pub mod kernel_state;
pub mod link;
pub mod meter;
pub mod process;
pub mod python_guest;
pub mod python_host;
pub mod room;
pub mod session;
pub mod stages;
pub mod surroundings;
pub mod unopenable;
pub mod unsendable;

pub use guest::{Begin, Guest, Interpreter, Step};
pub use link::{Alarm, Incoming, LinkError, LinkReader, LinkWriter, Prepared, Received};
pub use meter::{Meter, SharedMeter};
pub use python_guest::PythonGuest;
pub use python_host::{Arguments, PythonHost};
pub use session::{SessionError, serve};
pub use stages::Stages;
