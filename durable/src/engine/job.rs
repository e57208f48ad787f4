//! What a worker needs for one attempt. Pure.

use std::sync::Arc;

use super::event::{Argument, Job, JobId};
use super::restore::Library;
use super::run::Run;
use crate::record::Outcome;
use crate::value::Kept;
use crate::workflow::{Parameter, ParameterSource};

impl Run {
    pub(super) fn job(&self, id: JobId, step: usize, part: usize, library: &Library) -> Job {
        let workflow = &self.graph.workflow;
        let task = &workflow.tasks[step];
        let ready = &self.steps[step].parts[part];
        let arguments = task.takes.iter().map(|parameter| {
            let index = (task.map.as_ref() == Some(&parameter.name)).then_some(part);
            (parameter.name.clone(), self.argument(step, parameter, index))
        });
        let has_handle = task.takes.iter().any(|taken| taken.source == ParameterSource::Handle);
        let (code, function) = library.code_of(workflow, task);
        Job {
            id,
            run: Arc::clone(&self.row.id),
            step: ready.row.name.clone(),
            task: task.name.clone(),
            attempt: ready.row.raised + ready.row.crashes + 1,
            function,
            code,
            arguments: arguments.collect(),
            inner: if has_handle { ready.inner.clone() } else { Vec::new() },
            events: if has_handle { self.events.clone() } else { Vec::new() },
            timeout_ms: task.timeout_ms,
            limits: task.limits.clone(),
            wants_fresh: ready.wants_fresh,
        }
    }

    fn argument(&self, step: usize, parameter: &Parameter, index: Option<usize>) -> Argument {
        let name = || parameter.name.clone();
        let input = || self.row.input.clone();
        match (parameter.source, index) {
            (ParameterSource::Context, _) => Argument::Context(self.context(step)),
            (ParameterSource::Handle, _) => Argument::Handle(self.context(step)),
            (ParameterSource::Input, Some(index)) => Argument::ElementOf(input(), name(), index),
            (ParameterSource::Input, None) => Argument::Key(input(), name()),
            (ParameterSource::Task, index) => {
                let parent = self.graph.workflow.index(&parameter.name);
                let outputs = parent.map(|parent| self.outputs(parent)).unwrap_or_default();
                let is_mapped = parent.is_some_and(|parent| self.is_mapped(parent));
                let first = || outputs.first().cloned().unwrap_or_else(Kept::none);
                match (is_mapped, index) {
                    (true, None) => Argument::List(outputs),
                    (true, Some(index)) => {
                        Argument::Whole(outputs.get(index).cloned().unwrap_or_else(Kept::none))
                    }
                    (false, None) => Argument::Whole(first()),
                    (false, Some(index)) => Argument::Element(first(), index),
                }
            }
        }
    }

    /// The run's input and what the tasks before a step have returned, in the order of the graph.
    fn context(&self, step: usize) -> Vec<Kept> {
        let layout = &self.graph.layout;
        let mut before = vec![false; self.steps.len()];
        let mut walk = vec![step];
        while let Some(at) = walk.pop() {
            for parent in &layout.parents[at] {
                if !std::mem::replace(&mut before[*parent], true) {
                    walk.push(*parent);
                }
            }
        }
        let has_output = |at: &&usize| {
            before[**at]
                && !self.is_mapped(**at)
                && self.steps[**at].outcome == Some(Outcome::Completed)
        };
        let outputs = layout.order.iter().filter(has_output).flat_map(|at| self.outputs(*at));
        std::iter::once(self.row.input.clone()).chain(outputs).collect()
    }
}
