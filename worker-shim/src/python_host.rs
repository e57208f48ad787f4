//! What the guest for Python asks of the interpreter that it runs in.
//!
//! A host knows one interpreter: how its objects are held, called and converted. It knows nothing
//! of sessions, stages and faults; those are [`PythonGuest`](crate::PythonGuest)'s.

use std::sync::Arc;

use ipc_protocol::Value;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::Traffic;

use crate::guest::Interpreter;

/// The arguments of a call.
#[derive(Debug)]
pub enum Arguments<O> {
    /// None.
    None,
    /// The number of a stage.
    Stage(u32),
    /// The number of a stage, and an item for it.
    Item(u32, O),
    /// One object.
    One(O),
}

/// An interpreter of Python with its objects. The guest calls it from one thread.
///
/// Methods that take [`Python`](Self::Python) run only inside [`attach`](Self::attach). A host
/// never panics on an object of another type than the guest expects: it returns the `TypeError`
/// that the interpreter raises.
pub trait PythonHost {
    /// Proof that this thread may touch the interpreter.
    type Python<'py>: Copy;
    /// A reference to an object. It may be kept and dropped outside `attach`.
    type Object;
    /// An exception that Python code raised.
    type Raised;
    /// The name of an attribute, in the form that makes looking it up cheapest.
    type Name;

    /// The interpreter's name and version, for the first message.
    fn interpreter(&self) -> Interpreter;

    /// Runs `work` with the interpreter locked for this thread.
    fn attach<R>(&self, work: impl FnOnce(Self::Python<'_>) -> R) -> R;

    /// Runs `blocking`, which does not touch the interpreter, while other threads of the
    /// interpreter go on. Called outside `attach`. The default is for hosts that hold no lock there.
    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        blocking()
    }

    /// Called before each session with the connection's shared memory, if it has some.
    fn share(&mut self, exchange: &Arc<Exchange>);

    /// A session opens. Until the next one, values are converted by its rules: with `allow_pickle`
    /// objects without a wire form of their own travel as pickles.
    fn begin_session(&mut self, allow_pickle: bool);

    /// The nodes of the session are gone, or could not be made.
    fn end_session(&mut self);

    /// The orchestrator ends this worker, and may be gone before it is. The default is for hosts
    /// without a process of their own.
    fn begin_end(&mut self) {}

    /// Makes the name of an attribute.
    fn name(&self, py: Self::Python<'_>, text: &'static str) -> Self::Name;

    /// Reads an attribute.
    ///
    /// # Errors
    /// What Python raises, for instance `AttributeError`.
    fn attr(
        &self,
        py: Self::Python<'_>,
        object: &Self::Object,
        name: &Self::Name,
    ) -> Result<Self::Object, Self::Raised>;

    /// Whether the object is Python's `None`.
    fn is_none(&self, py: Self::Python<'_>, object: &Self::Object) -> bool;

    /// Calls a Python function or method. Nodes run in here.
    ///
    /// # Errors
    /// What the function raises.
    fn call(
        &self,
        py: Self::Python<'_>,
        callable: &Self::Object,
        arguments: Arguments<Self::Object>,
    ) -> Result<Self::Object, Self::Raised>;

    /// The elements of a tuple of `N`.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` for any other object.
    fn unpack<const N: usize>(
        &self,
        py: Self::Python<'_>,
        tuple: Self::Object,
    ) -> Result<[Self::Object; N], Self::Raised>;

    /// Makes the object that a value stands for.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` for a value that cannot become an object here, and whatever
    /// opening a pickle raises.
    fn to_object(&self, py: Self::Python<'_>, value: Value) -> Result<Self::Object, Self::Raised>;

    /// Makes the value of an object, and drops the object: memory that nobody else refers to may
    /// leave without a copy. Numbers, `bool` and `None` cost no allocation.
    ///
    /// # Errors
    /// `TypeError` with the path to the part that cannot travel.
    fn to_value(&self, py: Self::Python<'_>, object: Self::Object) -> Result<Value, Self::Raised>;

    /// The copies of arrays that conversions have made since the last call of this method.
    fn take_traffic(&self) -> Traffic;

    /// The exception as an object, with its traceback.
    fn exception(&self, py: Self::Python<'_>, raised: Self::Raised) -> Self::Object;
}
