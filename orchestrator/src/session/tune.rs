//! Follows a configuration that has changed while the session is open: time limits, and limits of
//! workers that it has.

use std::sync::Arc;
use std::time::Duration;

use super::drive::Driver;
use super::open::is_watched;
use crate::placement::Engine;
use crate::plan::{PlannedNode, Stage};
use crate::runtime::Settings;
use crate::runtime::settings::times;
use crate::schedule::{Event, Tuning};

impl Driver {
    /// Takes over the settings of the runtime, if they are newer than those that the session knows.
    pub(super) fn follow_settings(&mut self) {
        if self.shell.runtime.generation() == self.shell.settings.generation {
            return;
        }
        let settings = self.shell.runtime.settings();
        self.shell.outfit.follow(Arc::clone(&settings));
        self.shell.settings = settings;
        self.retune();
        let shell = &mut self.shell;
        for slot in 0..shell.workers.count() {
            let of = shell.saved.primary_of(slot).unwrap_or(slot);
            let limits = shell.layout.limits_of(of);
            if shell.workers.slot(slot).worker.is_some() {
                shell.journal.notice(shell.workers.slot_mut(slot).change_limits(limits));
            }
        }
    }

    /// Tells the core the time limits.
    pub(super) fn retune(&mut self) {
        let (settings, workers) = (&self.shell.settings, &self.shell.workers);
        let of_slot = |slot| times(settings.pool(workers.slot(slot).pool));
        let of_stage = |stage: &Stage| {
            let timeouts = stage.nodes.iter().map(|node| timeout(node, settings)).collect();
            (timeouts, is_watched(stage, settings))
        };
        let tuning = Tuning {
            slots: (0..workers.count()).map(of_slot).collect(),
            stages: self.shell.layout.plan.stages.iter().map(of_stage).collect(),
        };
        self.feed(Event::Retune(tuning));
    }
}

/// The time limit of a node: its own, or that of its pool.
fn timeout(node: &PlannedNode, settings: &Settings) -> Option<Duration> {
    node.own_timeout.or(match node.runtime {
        Engine::Native => settings.config.calls.timeout,
        _ => settings.pool(node.pool).calls.timeout,
    })
}
