//! Schedules that are kept, and the runs that they begin. A run is named after its schedule and its
//! time, so no time can begin two. Pure.

use std::collections::BTreeMap;

use super::event::{NewRun, Ticket};
use super::journal::NO_CALLER;
use super::restore::Library;
use crate::cron::{Cron, Schedule, run_name};
use crate::record::Change;

/// Most runs that a schedule begins for times that have passed while no engine ran.
const CAUGHT_UP_MAX: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Clock {
    schedules: BTreeMap<String, (Schedule, Cron)>,
    changes: Vec<Change>,
}

impl Clock {
    pub(super) fn set(&mut self, schedule: Schedule, cron: Cron) {
        self.schedules.insert(schedule.name.clone(), (schedule, cron));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.schedules.remove(name);
    }

    /// When the next run is due. A schedule whose workflow is not registered waits for that.
    pub(super) fn due_ms(&self, library: &Library) -> Option<i64> {
        let schedules = self.schedules.values().map(|(schedule, _)| schedule);
        let known = schedules.filter(|schedule| library.get(&schedule.hash).is_some());
        known.map(|schedule| schedule.next_ms).min()
    }

    /// The runs that are due.
    pub(super) fn ring(&mut self, now_ms: i64, library: &Library) -> Vec<(Ticket, NewRun)> {
        let mut due = Vec::new();
        for (schedule, cron) in self.schedules.values_mut() {
            let Some(graph) = library.get(&schedule.hash) else { continue };
            let mut times = Vec::new();
            while schedule.next_ms <= now_ms {
                times.push(schedule.next_ms);
                schedule.next_ms = cron.next(schedule.next_ms).unwrap_or(i64::MAX);
            }
            let Some(last) = times.len().checked_sub(1) else { continue };
            let first =
                if schedule.catch_up { (last + 1).saturating_sub(CAUGHT_UP_MAX) } else { last };
            for time in &times[first..] {
                let id = run_name(&schedule.name, *time).into();
                let input = schedule.input.clone();
                due.push((NO_CALLER, NewRun { id, graph: graph.clone(), input }));
            }
            self.changes.push(Change::Schedule(Box::new(schedule.clone())));
        }
        due
    }

    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}
