//! Why a value could not become an object, and where in the item it sits: the counterpart of
//! [`unsendable`](crate::unsendable), the same for every interpreter.

use ipc_protocol::Part;

use crate::unsendable::{Down, path};

/// A part of an item that could not become an object. `E` is an exception of the interpreter.
#[derive(Debug)]
pub struct Unopenable<E> {
    /// Innermost step first.
    steps: Vec<Down>,
    type_name: String,
    /// What was raised.
    pub raised: E,
}

impl<E> Unopenable<E> {
    /// The object itself, of a type with this name, could not be made.
    pub fn here(type_name: impl Into<String>, raised: E) -> Self {
        Self { steps: Vec::new(), type_name: type_name.into(), raised }
    }

    /// Notes that the trouble lies below `step`.
    #[must_use]
    pub fn below(mut self, step: Down) -> Self {
        self.steps.push(step);
        self
    }

    /// The part, and what was raised. The item is called `root`.
    pub fn at_root(self, root: &str) -> (Part, E) {
        let part = Part { path: path(root, &self.steps), type_name: self.type_name };
        (part, self.raised)
    }
}

#[cfg(test)]
mod tests {
    use super::{Down, Unopenable};

    #[test]
    fn the_path_leads_from_the_item_to_the_part() {
        // spec: IOP-25
        let failed = Unopenable::here("acme.Thing", "boom");
        let failed = failed.below(Down::Key("'kept'".to_owned())).below(Down::Index(2));
        let (part, raised) = failed.at_root("output");
        assert_eq!(
            (part.path.as_str(), part.type_name.as_str()),
            ("output[2]['kept']", "acme.Thing")
        );
        assert_eq!(raised, "boom");
    }
}
