//! JSON Schema in tests: what a published schema says of a document.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value as Json;

/// A schema that is ready to check documents.
pub(crate) struct Schema {
    schemas: Schemas,
    root: SchemaIndex,
}

impl Schema {
    pub(crate) fn new(text: &str) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("schema.json", serde_json::from_str(text).unwrap()).unwrap();
        let root = compiler.compile("schema.json", &mut schemas).unwrap();
        Self { schemas, root }
    }

    pub(crate) fn is_valid(&self, document: &Json) -> bool {
        self.schemas.validate(document, self.root).is_ok()
    }
}
