//! The worker slots of a session: which worker sits in which, and what was lost with one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipc_protocol::from_worker::FromWorker;

use crate::placement::Engine;
use crate::schedule::{SlotId, StageId};
use crate::worker::Worker;
use crate::worker::link::{Link, LinkError, Received};
use crate::worker::process::Process;

/// One slot.
#[derive(Debug)]
pub(super) struct Slot {
    /// What its workers run.
    pub(super) runtime: Engine,
    /// Stages that live here, in order.
    pub(super) stages: Vec<StageId>,
    /// Stages that the worker was given, in the order that it counts their nodes in.
    pub(super) opened: Vec<StageId>,
    /// The worker has made the nodes.
    pub(super) is_open: bool,
    /// The worker; absent between a death and the next use.
    pub(super) worker: Option<Worker>,
    /// The call that each stage is busy with.
    pub(super) calls: BTreeMap<StageId, u64>,
    /// Set when we ended the worker ourselves, with the stage whose time was over.
    pub(super) expired: Option<StageId>,
}

/// News from a slot's link.
#[derive(Debug)]
pub(super) enum News {
    Message(FromWorker),
    Nothing,
    /// The connection is over, in order or not.
    Gone(Option<LinkError>),
}

impl Slot {
    pub(super) fn new(runtime: Engine, stages: Vec<StageId>) -> Self {
        Self {
            runtime,
            stages,
            opened: Vec::new(),
            is_open: false,
            worker: None,
            calls: BTreeMap::new(),
            expired: None,
        }
    }

    pub(super) fn receive(&mut self) -> News {
        self.news(Link::receive)
    }

    /// What was read together with an earlier message.
    pub(super) fn receive_buffered(&mut self) -> News {
        self.news(Link::receive_buffered)
    }

    fn news(
        &mut self,
        receive: impl FnOnce(&mut Link) -> Result<Received<FromWorker>, LinkError>,
    ) -> News {
        let Some(worker) = &mut self.worker else { return News::Nothing };
        match receive(&mut worker.link) {
            Ok(Received::Message(message)) => News::Message(message),
            Ok(Received::Nothing) => News::Nothing,
            Ok(Received::Closed) => News::Gone(None),
            Err(error) => News::Gone(Some(error)),
        }
    }

    pub(super) fn process(&self) -> Option<&Arc<Process>> {
        self.worker.as_ref().map(|worker| &worker.process)
    }
}

/// The slot whose list of stages names this stage.
pub(super) fn slot_of(slots: &[Slot], stage: StageId) -> Option<SlotId> {
    slots.iter().position(|slot| slot.stages.contains(&stage))
}
