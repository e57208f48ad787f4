//! The verbs `decisions` and `forget`: what earlier runs found RustPython unable to run.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::{CliError, Place};
use crate::config::Config;
use crate::fallback::Reason;
use crate::fallback::store::{Decision, Store, age};

/// Writes all decisions, the newest first.
pub(super) fn list(place: &Place, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let mut store = open(place)?;
    let decisions = store.all().to_vec();
    if let Some(trouble) = store.take_trouble() {
        return Err(CliError::Decisions(trouble));
    }
    if json {
        let all: Vec<Json> = decisions.iter().map(to_json).collect();
        writeln!(out, "{:#}", Json::from(all))?;
        return Ok(());
    }
    let width = decisions.iter().map(|decision| decision.class().len()).max().unwrap_or(0);
    for decision in &decisions {
        let (class, reason) = (decision.class(), Reason::from(decision.reason.clone()));
        writeln!(out, "{class:width$}  {:<14}  {reason}", age(decision.decided_at))?;
    }
    Ok(())
}

/// Forgets all decisions or those on one class, and says how many.
pub(super) fn forget(
    node: Option<&str>,
    place: &Place,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut store = open(place)?;
    let count = store.forget(node);
    if let Some(trouble) = store.take_trouble() {
        return Err(CliError::Decisions(trouble));
    }
    if let (Some(name), 0) = (node, count) {
        return Err(CliError::NothingRemembered { name: name.to_owned() });
    }
    writeln!(out, "{count} decision{} forgotten", if count == 1 { "" } else { "s" })?;
    Ok(())
}

fn open(place: &Place) -> Result<Store, CliError> {
    Ok(Store::new(Config::load(place.config.as_deref())?.fallback.folder()))
}

fn to_json(decision: &Decision) -> Json {
    let reason = Reason::from(decision.reason.clone());
    json!({
        "node": decision.class(),
        "program": decision.program.display().to_string(),
        "kind": reason.kind(),
        "module": reason.module(),
        "reason": reason.to_string(),
        "decided_at": decision.decided_at,
    })
}
