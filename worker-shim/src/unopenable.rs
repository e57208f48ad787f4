//! Why a part of a received item could not become an object, and the path to that part. The same
//! for every interpreter; [`unsendable`](crate::unsendable) is the counterpart for sending.

use ipc_protocol::Part;

use crate::unsendable::{Down, path};

/// A part of an item that could not become an object. `E` is the interpreter's exception type.
#[derive(Debug)]
pub struct Unopenable<E> {
    /// The path from the item to the part, innermost step first.
    steps: Vec<Down>,
    type_name: String,
    /// The exception that was raised.
    pub raised: E,
}

impl<E> Unopenable<E> {
    /// A failure to make the object itself, whose type has this name.
    pub fn here(type_name: impl Into<String>, raised: E) -> Self {
        Self { steps: Vec::new(), type_name: type_name.into(), raised }
    }

    /// Adds `step` as the next outer step of the path.
    #[must_use]
    pub fn below(mut self, step: Down) -> Self {
        self.steps.push(step);
        self
    }

    /// Returns the part and the exception. The part's path begins with `root`, the item's name.
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
