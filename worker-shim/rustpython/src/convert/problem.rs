//! Why an object could not become a value, and where in the item it sits.

use rustpython_vm::builtins::PyBaseExceptionRef;
use rustpython_vm::{AsObject, PyObject, VirtualMachine};

/// What is wrong with a part of an item.
pub(super) enum Reason {
    PicklesForbidden,
    ContainsItself,
    TooDeep(usize),
    Unpicklable(String),
    /// Something that is not about the object: an interrupt, exhausted memory.
    Python(PyBaseExceptionRef),
}

/// One step down into a container.
pub(super) enum Step {
    Index(usize),
    Key(String),
    KeyItself(String),
    Member,
    /// Steps that pickle found inside an object, already formatted.
    Inside(String),
}

/// Why reading stopped, on the way back up to the item.
pub(super) enum Stop {
    /// The container with this identity contains itself.
    Cycle(usize),
    /// Nested deeper than the wire allows.
    Depth,
    /// No way to send it.
    Failed(Box<Failure>),
}

/// A part that cannot be sent, with the steps to it, innermost first.
pub(super) struct Failure {
    pub(super) steps: Vec<Step>,
    pub(super) type_name: String,
    pub(super) reason: Reason,
}

impl Stop {
    /// Notes that the trouble lies below `step`, which is made only when it is needed.
    pub(super) fn below(mut self, step: impl FnOnce() -> Step) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.steps.push(step());
        }
        self
    }

    /// A failure at the object itself.
    pub(super) fn here(object: &PyObject, reason: Reason, vm: &VirtualMachine) -> Self {
        let type_name = type_name(object, vm);
        Self::Failed(Box::new(Failure { steps: Vec::new(), type_name, reason }))
    }

    /// Turns an exception that was raised while `object` was looked at into a stop.
    pub(super) fn raised(object: &PyObject, raised: PyBaseExceptionRef, vm: &VirtualMachine) -> Self {
        if !raised.fast_isinstance(vm.ctx.exceptions.exception_type) {
            return Self::here(object, Reason::Python(raised), vm);
        }
        let text = |name: &'static str| {
            let found = raised.as_object().get_attr(name, vm).ok()?;
            found.try_into_value::<String>(vm).ok()
        };
        let whole = || {
            let text = raised.as_object().str(vm).map(|text| text.to_string_lossy().into_owned());
            text.unwrap_or_default()
        };
        let (Some(path), Some(kind)) = (text("path"), text("type_name")) else {
            return Self::here(object, Reason::Unpicklable(whole()), vm);
        };
        let reason = Reason::Unpicklable(text("reason").unwrap_or_else(whole));
        let steps = if path.is_empty() { Vec::new() } else { vec![Step::Inside(path)] };
        Self::Failed(Box::new(Failure { steps, type_name: kind, reason }))
    }
}

impl Failure {
    /// The exception, with the path to the part as a user would write it.
    pub(super) fn into_exception(self, root: &str, vm: &VirtualMachine) -> PyBaseExceptionRef {
        let reason = match self.reason {
            Reason::Python(raised) => return raised,
            Reason::PicklesForbidden => "only None, bool, int, float, str, bytes, list, tuple, \
                 dict, set, frozenset and arrays are allowed here (allow_pickle is off)"
                .to_owned(),
            Reason::ContainsItself => {
                "it contains itself, and pickles are not allowed here (allow_pickle is off)".to_owned()
            }
            Reason::TooDeep(limit) => format!(
                "it is nested more than {limit} levels deep, and pickles are not allowed here"
            ),
            Reason::Unpicklable(message) => message,
        };
        let mut path = root.to_owned();
        for step in self.steps.iter().rev() {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) => path.push_str(&format!("[{key}]")),
                Step::KeyItself(key) => path.push_str(&format!(" key {key}")),
                Step::Member => path.push_str("{element}"),
                Step::Inside(rest) => path.push_str(rest),
            }
        }
        let kind = self.type_name;
        vm.new_type_error(format!(
            "{path} of type {kind} cannot be handed to another process: {reason}"
        ))
    }
}

/// Qualified name of the object's type; bare for builtins.
pub(super) fn type_name(object: &PyObject, vm: &VirtualMachine) -> String {
    let kind = object.class().as_object();
    let text = |name: &'static str| {
        let found = kind.get_attr(name, vm).ok()?;
        found.try_into_value::<String>(vm).ok()
    };
    let name = text("__qualname__").unwrap_or_else(|| "?".to_owned());
    match text("__module__") {
        Some(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}
