//! The trait by which the guest for Python uses the interpreter that it runs in.
//!
//! A host knows one interpreter: how to hold, call and convert its objects. Sessions, stages and
//! faults are handled by [`PythonGuest`](crate::PythonGuest).

use std::sync::Arc;

use ipc_protocol::Value;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::recorder::Arrays;

use crate::guest::Interpreter;

/// The arguments of a call.
#[derive(Debug)]
pub enum Arguments<O> {
    /// No arguments.
    None,
    /// The number of a stage.
    Stage(u32),
    /// The number of a stage, and the item that the stage gets.
    Item(u32, O),
    /// One object.
    One(O),
}

/// A Python interpreter with its objects. The guest calls a host from one thread.
///
/// Methods that take [`Python`](Self::Python) run only inside [`attach`](Self::attach). For an
/// object of an unexpected type a host returns the interpreter's `TypeError` and never panics.
pub trait PythonHost {
    /// Proof that this thread may touch the interpreter.
    type Python<'py>: Copy;
    /// A reference to an object. It may be kept and dropped outside `attach`.
    type Object;
    /// An exception that Python code raised.
    type Raised;
    /// An attribute name in the form that the interpreter looks up fastest.
    type Name;

    /// The interpreter's name and version, for the handshake.
    fn interpreter(&self) -> Interpreter;

    /// Runs `work` while this thread holds the interpreter's lock, if there is one.
    fn attach<R>(&self, work: impl FnOnce(Self::Python<'_>) -> R) -> R;

    /// Runs `blocking`, which does not touch the interpreter, while other Python threads keep
    /// running. Called outside `attach`. The default is for hosts that hold no lock outside
    /// `attach`.
    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        blocking()
    }

    /// Called before each session with the connection's shared memory, if it has some.
    fn share(&mut self, exchange: &Arc<Exchange>);

    /// Called when a session opens. With `allow_pickle`, objects without a wire form of their own
    /// travel as pickles until the next session opens.
    fn begin_session(&mut self, allow_pickle: bool);

    /// Called when the nodes of the session have been dropped or could not be made.
    fn end_session(&mut self);

    /// Called when the orchestrator asks this worker to end. The orchestrator may exit before this
    /// process does. The default does nothing: it is for hosts inside another program.
    fn begin_end(&mut self) {}

    /// Makes the name of an attribute.
    fn name(&self, py: Self::Python<'_>, text: &'static str) -> Self::Name;

    /// Reads an attribute.
    ///
    /// # Errors
    /// The exception that Python raises, for instance `AttributeError`.
    fn attr(
        &self,
        py: Self::Python<'_>,
        object: &Self::Object,
        name: &Self::Name,
    ) -> Result<Self::Object, Self::Raised>;

    /// Whether the object is Python's `None`.
    fn is_none(&self, py: Self::Python<'_>, object: &Self::Object) -> bool;

    /// Calls a Python function or method. All node code runs inside such a call.
    ///
    /// # Errors
    /// The exception that the function raises.
    fn call(
        &self,
        py: Self::Python<'_>,
        callable: &Self::Object,
        arguments: Arguments<Self::Object>,
    ) -> Result<Self::Object, Self::Raised>;

    /// The elements of a tuple with `N` elements.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` for any other object.
    fn unpack<const N: usize>(
        &self,
        py: Self::Python<'_>,
        tuple: Self::Object,
    ) -> Result<[Self::Object; N], Self::Raised>;

    /// Converts a value to an object.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` for a value that this interpreter has no object for, and any
    /// exception raised while a pickle is loaded.
    fn to_object(&self, py: Self::Python<'_>, value: Value) -> Result<Self::Object, Self::Raised>;

    /// Converts an object to a value and drops the object: an array without other references can be
    /// sent without a copy. Numbers, `bool` and `None` cost no allocation.
    ///
    /// # Errors
    /// `TypeError` with the path to the part that cannot be sent.
    fn to_value(&self, py: Self::Python<'_>, object: Self::Object) -> Result<Value, Self::Raised>;

    /// Counts of the array copies that conversions have made since the last call of this method.
    fn take_traffic(&self) -> Traffic;

    /// The memory in arrays of the node with this number in the session: the most since the last
    /// call of this method. The default is for interpreters that do not tell nodes apart.
    fn take_arrays(&self, _node: usize) -> Arrays {
        Arrays::default()
    }

    /// Returns a raised exception as an object with its traceback.
    fn exception(&self, py: Self::Python<'_>, raised: Self::Raised) -> Self::Object;
}
