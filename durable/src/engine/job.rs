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
            let argument = match task.map.as_ref() == Some(&parameter.name) {
                true => Argument::Whole(self.steps[step].elements[part].clone()),
                false => self.argument(step, parameter),
            };
            (parameter.name.clone(), argument)
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

    fn argument(&self, step: usize, parameter: &Parameter) -> Argument {
        match parameter.source {
            ParameterSource::Context => Argument::Context(self.context(step)),
            ParameterSource::Handle => Argument::Handle(self.context(step)),
            ParameterSource::Input => Argument::Key(self.row.input.clone(), parameter.name.clone()),
            ParameterSource::Task => {
                let parent = self.graph.workflow.index(&parameter.name);
                let outputs = parent.map(|parent| self.outputs(parent)).unwrap_or_default();
                match parent.is_some_and(|parent| self.is_mapped(parent)) {
                    true => Argument::List(outputs),
                    false => Argument::Whole(outputs.into_iter().next().unwrap_or_else(Kept::none)),
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
