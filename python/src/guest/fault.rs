//! What a guest tells of an import that failed, as data of the protocol.

use ipc_protocol::{ImportFault, ImportReason};
use pyo3::prelude::*;

/// What the interpreter lacks, as `remotemedia._guest.faults` tells it; `None` when it lacks nothing.
pub(super) fn import_fault(info: &Bound<'_, PyAny>) -> Option<ImportFault> {
    let text = |name: &str| -> Option<String> { info.get_item(name).ok()?.extract().ok()? };
    let reason = ImportReason::from_name(&text("reason")?)?;
    Some(ImportFault {
        module: text("module")?,
        root_package: text("root_package")?,
        reason,
        path: text("path").unwrap_or_default(),
        suggestion: text("suggestion").unwrap_or_default(),
    })
}
