//! What a session takes over from its caller, and how the caller stops it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ipc_protocol::to_worker::CaptureTerms;
use ipc_protocol::{Payload, Value};

use crate::error::{Error, ShipError};
use crate::schedule::BreakerState;
use crate::worker::Interpreter;
use crate::worker::waker::Waker;

/// What a session takes over from its caller.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The caller's node objects.
    pub nodes: Option<Arc<dyn NodeObjects>>,
    /// The interpreter of Python nodes, as the caller wrote it; `None`: other settings decide.
    pub runtime: Option<String>,
    /// Whether nodes that RustPython cannot run may move to CPython; `None`: other settings decide.
    pub fallback: Option<bool>,
    /// Whether the session serves one run: errors that may pass are then tried again, unless other
    /// settings say otherwise.
    pub is_run: bool,
    /// Whether the session is refused at once when all workers are in use.
    pub is_impatient: bool,
    /// The caller's interpreter; the configuration may name another one for workers.
    pub interpreter: Option<PathBuf>,
    /// Options that the caller's interpreter was started with, for its workers.
    pub interpreter_options: Vec<OsString>,
    /// The caller's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The caller's module search path.
    pub sys_path: Vec<OsString>,
    /// Whether `sys_path` is the complete `sys.path` of the caller's interpreter. Workers of that
    /// interpreter then use it as it is; otherwise it is added behind the worker's own path.
    pub is_sys_path_complete: bool,
    /// The caller's `sys.argv`.
    pub argv: Vec<OsString>,
    /// The caller's working directory.
    pub working_directory: Option<PathBuf>,
    /// The caller's umask; workers keep theirs when absent.
    pub umask: Option<u32>,
    /// The breakers of the caller's pipeline, as its earlier sessions left them.
    pub breakers: Option<Breakers>,
    /// Whether the session records where its time goes (see [`Session::trace`]).
    ///
    /// [`Session::trace`]: crate::Session::trace
    pub profile: bool,
    /// Whether each crossing between processes is logged; `None`: as the environment says.
    pub debug: Option<bool>,
    /// Makes arrays of other kinds plain for native nodes.
    pub opener: Option<Arc<dyn Opener>>,
    /// Where workers note each call before it begins, so that one that fails can be repeated.
    pub capture: Option<CaptureTerms>,
    /// Stops the session, also while it is being opened.
    pub cancel: Option<CancelHandle>,
}

/// The breakers of one pipeline, from session to session: each node's state and last causes, by id.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<Mutex<HashMap<String, KeptBreaker>>>);

/// The state of one breaker, and the last errors that it counted.
type KeptBreaker = (BreakerState, Vec<String>);

impl Breakers {
    /// The breaker of a node as the last session left it.
    pub(crate) fn get(&self, node_id: &str) -> Option<KeptBreaker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(node_id).cloned()
    }

    /// Keeps the breaker of a node for the next session.
    pub(crate) fn set(&self, node_id: &str, state: BreakerState, causes: Vec<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(node_id.to_owned(), (state, causes));
    }
}

/// Opens what only the caller's language knows. Native nodes ask for it when they refuse an item.
pub trait Opener: std::fmt::Debug + Send + Sync {
    /// The item with plain arrays in place of pickled objects that are arrays; `None` if it has no such
    /// objects.
    ///
    /// # Errors
    /// An array has no plain form; what to do instead.
    fn plain(&self, item: Value) -> Result<Option<Value>, String>;
}

/// The caller's node objects, in the order of the manifest's instance numbers.
pub trait NodeObjects: std::fmt::Debug + Send + Sync {
    /// Pickles the objects with these numbers for workers of an interpreter, as a list in which
    /// each object is at its number. For the caller's own interpreter the list may hold other
    /// objects, too. `takes_buffers`: large buffers may travel beside the pickle.
    ///
    /// # Errors
    /// When one of them cannot be sent there.
    fn ship(
        &self,
        interpreter: &Interpreter,
        instances: &[u32],
        takes_buffers: bool,
    ) -> Result<Shipment, ShipError>;

    /// A text that changes when the code of an object changes; `None` when its code is unknown.
    fn code_digest(&self, instance: u32) -> Option<String>;
}

/// Node objects on their way to a worker. Only the caller and the guest read the bytes.
#[derive(Debug, Clone)]
pub struct Shipment {
    /// The pickle of the objects.
    pub pickle: Bytes,
    /// The large buffers that the pickle leaves out, in its order.
    pub buffers: Vec<Payload>,
}

/// Stops a session from any thread.
#[derive(Debug, Clone)]
pub struct CancelHandle {
    cancelled: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    looks: Arc<AtomicBool>,
    pub(crate) waker: Waker,
}

impl CancelHandle {
    /// A handle for a session that is yet to be opened.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> Result<Self, Error> {
        let (cancelled, interrupted, looks) = Default::default();
        Ok(Self { cancelled, interrupted, looks, waker: Waker::new()? })
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Whether there is something to look at: the end of a wait.
    pub(crate) fn is_woken(&self) -> bool {
        self.is_cancelled() || self.interrupted.load(Ordering::Acquire) || self.is_to_look()
    }

    /// Has a stream that waits look at its source again.
    pub fn look_again(&self) {
        self.looks.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn is_to_look(&self) -> bool {
        self.looks.load(Ordering::Acquire)
    }

    /// Whether [`CancelHandle::look_again`] was called since the last time.
    pub(crate) fn take_look(&self) -> bool {
        self.looks.swap(false, Ordering::AcqRel)
    }

    /// Whether [`CancelHandle::interrupt`] was called since the last time.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::AcqRel)
    }

    /// Has the work that was begun dropped: the session goes on with the next one.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Makes the call that is under way, and every later one, fail with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }
}
