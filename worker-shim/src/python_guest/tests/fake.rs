//! A host without an interpreter: objects are plain data, and the methods of the Python guest
//! return results that a test has prepared. The host records its calls, and checks the rules of
//! `attach`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use ipc_protocol::Value;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::Traffic;

use crate::guest::Interpreter;
use crate::python_host::{Arguments, PythonHost};

/// A reference to an object. `Rc::strong_count` is the object's number of references.
pub(super) type Object = Rc<Content>;

#[derive(Debug)]
pub(super) enum Content {
    /// An object with a wire form.
    Plain(Value),
    /// A tuple as the guest unpacks it.
    Tuple(Vec<Object>),
    /// The Python guest, or an attribute of the guest.
    Guest(&'static str),
    /// An object without a wire form.
    Unsendable,
    Exception(Raised),
}

/// An exception with its facts; `None` if it cannot be described.
#[derive(Debug, Clone)]
pub(super) struct Raised(pub(super) Option<Value>);

/// Proof that the code runs inside `attach`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attached<'py>(PhantomData<&'py ()>);

/// The state of a host, shared with the test.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) events: RefCell<Vec<String>>,
    answers: RefCell<VecDeque<(&'static str, Result<Object, Raised>)>>,
    pub(super) has_loop: Cell<bool>,
    is_attached: Cell<bool>,
    copies: Cell<u64>,
}

impl World {
    /// Sets the result of the next call of `method`.
    pub(super) fn answer(&self, method: &'static str, answer: Result<Object, Raised>) {
        self.answers.borrow_mut().push_back((method, answer));
    }

    /// The calls since the last call of this method.
    pub(super) fn take_events(&self) -> Vec<String> {
        assert!(!self.is_attached.get());
        self.events.take()
    }

    fn note(&self, event: impl Into<String>) {
        self.events.borrow_mut().push(event.into());
    }

    fn count_copy(&self, value: &Value) {
        if matches!(value, Value::Bytes(_)) {
            self.copies.set(self.copies.get() + 1);
        }
    }
}

pub(super) fn plain(value: impl Into<Value>) -> Object {
    Rc::new(Content::Plain(value.into()))
}

pub(super) fn tuple<const N: usize>(elements: [Object; N]) -> Object {
    Rc::new(Content::Tuple(elements.into()))
}

/// An exception that has only a message.
pub(super) fn raised(message: &str) -> Raised {
    Raised(Some(facts("marshal", "", message)))
}

/// Facts in the form of `remotemedia._guest.faults.facts`.
pub(super) fn facts(kind: &str, node_id: &str, message: &str) -> Value {
    dict([
        ("kind", kind.into()),
        ("node_id", node_id.into()),
        ("remote_type", "ValueError".into()),
        ("message", message.into()),
        ("traceback", "Traceback".into()),
        ("import_info", Value::None),
    ])
}

pub(super) fn dict<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dict(entries.map(|(name, value)| (name.into(), value)).into())
}

#[derive(Debug)]
pub(super) struct Fake(pub(super) Rc<World>);

impl Fake {
    fn attached(&self) -> &World {
        assert!(self.0.is_attached.get(), "the interpreter is touched outside attach");
        &self.0
    }
}

impl PythonHost for Fake {
    type Python<'py> = Attached<'py>;
    type Object = Object;
    type Raised = Raised;
    type Name = &'static str;

    fn interpreter(&self) -> Interpreter {
        let text = |text: &str| text.to_owned();
        Interpreter { name: text("fake"), version: text("1"), package_version: text("2") }
    }

    fn attach<R>(&self, work: impl FnOnce(Attached<'_>) -> R) -> R {
        assert!(!self.0.is_attached.replace(true), "attached twice");
        let result = work(Attached(PhantomData));
        self.0.is_attached.set(false);
        result
    }

    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        assert!(!self.0.is_attached.get(), "waits while it holds the interpreter");
        self.0.note("unlocked");
        blocking()
    }

    fn share(&mut self, _exchange: &Arc<Exchange>) {
        self.0.note("share");
    }

    fn begin_session(&mut self, allow_pickle: bool) {
        self.0.note(format!("begin session, pickles {allow_pickle}"));
    }

    fn end_session(&mut self) {
        self.0.note("end session");
    }

    fn name(&self, _: Attached<'_>, text: &'static str) -> &'static str {
        text
    }

    fn attr(
        &self,
        _: Attached<'_>,
        object: &Object,
        name: &&'static str,
    ) -> Result<Object, Raised> {
        let world = self.attached();
        match (&**object, *name) {
            (Content::Guest("loop"), "made") => {
                world.note("made");
                Ok(if world.has_loop.get() { tuple([]) } else { plain(Value::None) })
            }
            (Content::Guest("guest"), name) => Ok(Rc::new(Content::Guest(name))),
            _ => Err(raised("no such attribute")),
        }
    }

    fn is_none(&self, _: Attached<'_>, object: &Object) -> bool {
        matches!(**object, Content::Plain(Value::None))
    }

    fn call(
        &self,
        _: Attached<'_>,
        callable: &Object,
        arguments: Arguments<Object>,
    ) -> Result<Object, Raised> {
        let world = self.attached();
        let Content::Guest(method) = **callable else { panic!("{callable:?} is called") };
        if let Arguments::One(error) = &arguments
            && let Content::Exception(raised) = &**error
        {
            assert_eq!(method, "facts");
            return raised.0.clone().map(plain).ok_or(Raised(None));
        }
        world.note(match &arguments {
            Arguments::None => format!("{method}()"),
            Arguments::Stage(stage) => format!("{method}({stage})"),
            Arguments::Item(stage, item) => format!("{method}({stage}, {})", shown(item)),
            Arguments::One(object) => format!("{method}({})", shown(object)),
        });
        let (expected, answer) =
            world.answers.borrow_mut().pop_front().unwrap_or_else(|| panic!("{method} is called"));
        assert_eq!(method, expected);
        answer
    }

    fn unpack<const N: usize>(
        &self,
        _: Attached<'_>,
        object: Object,
    ) -> Result<[Object; N], Raised> {
        let _ = self.attached();
        let Content::Tuple(elements) = &*object else { return Err(raised("no tuple")) };
        elements.clone().try_into().map_err(|_| raised("another length"))
    }

    fn to_object(&self, _: Attached<'_>, value: Value) -> Result<Object, Raised> {
        let world = self.attached();
        world.count_copy(&value);
        if value == Value::from("unopenable") {
            return Err(raised("cannot be opened"));
        }
        Ok(plain(value))
    }

    fn to_value(&self, _: Attached<'_>, object: Object) -> Result<Value, Raised> {
        let world = self.attached();
        let Content::Plain(value) = &*object else { return Err(raised("cannot be sent")) };
        world.count_copy(value);
        Ok(value.clone())
    }

    fn take_traffic(&self) -> Traffic {
        Traffic { copies: self.0.copies.take(), ..Traffic::default() }
    }

    fn exception(&self, _: Attached<'_>, raised: Raised) -> Object {
        let _ = self.attached();
        Rc::new(Content::Exception(raised))
    }
}

fn shown(object: &Object) -> String {
    match &**object {
        Content::Plain(Value::Str(text)) => text.clone(),
        Content::Plain(Value::Int(number)) => number.to_string(),
        Content::Plain(Value::Bool(truth)) => truth.to_string(),
        Content::Plain(Value::Dict(_)) => "fields".to_owned(),
        other => format!("{other:?}"),
    }
}
