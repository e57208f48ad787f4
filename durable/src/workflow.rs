//! A workflow as data: tasks, what each takes, when it runs, and what is done when it fails. It is
//! written as JSON by the SDK and kept with each run, so that a run keeps its graph.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::retry::Retry;

/// A graph of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Name, under which runs are submitted.
    pub name: String,
    /// The user's version.
    #[serde(default)]
    pub version: String,
    /// Digest of the graph and of the code of its tasks.
    pub hash: String,
    /// What happens to runs in flight when another hash is registered under the same name and
    /// version.
    #[serde(default)]
    pub on_change: OnChange,
    /// Longest time from submission to the end of a run, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// The tasks, in the order of their definition.
    pub tasks: Vec<Task>,
}

/// What happens to runs in flight when the code of their workflow has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// They keep their graph and go on with the new code.
    #[default]
    Continue,
    /// They wait until the code that they began with is registered again.
    Pin,
    /// They start again, with the new graph.
    Restart,
}

/// One task of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Name, unique in the workflow.
    pub name: String,
    /// `module:name` of the function; `None` for one that only the registering program can send.
    #[serde(default)]
    pub function: Option<String>,
    /// What the function's parameters are.
    #[serde(default)]
    pub takes: Vec<Parameter>,
    /// Names of the tasks that must have ended before.
    #[serde(default)]
    pub after: Vec<String>,
    /// Condition on outcomes and values of earlier tasks.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Name of the parameter whose list the task runs over, once for each element.
    #[serde(default)]
    pub map: Option<String>,
    /// What is done when the function raises.
    #[serde(default)]
    pub retry: Retry,
    /// How often the task is started again after its process has died.
    #[serde(default)]
    pub crash_retries: u32,
    /// Longest time of one attempt, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Limits of the worker, by their names in the configuration.
    #[serde(default)]
    pub limits: serde_json::Map<String, serde_json::Value>,
    /// Whether the task is never started twice.
    #[serde(default)]
    pub once: bool,
}

/// One parameter of a task's function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name of the parameter.
    pub name: String,
    /// What it gets.
    pub source: ParameterSource,
}

/// What a parameter gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterSource {
    /// The output of the task of this name.
    Task,
    /// The value of this key of the run's input; left out if there is none.
    Input,
    /// A dict: the run's input with the dicts that earlier tasks have returned.
    Context,
    /// The object with `step`, `sleep` and `event`, which is also that dict.
    Handle,
}

/// A problem of a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two tasks have one name.
    #[error("two tasks of workflow '{workflow}' are named '{task}'; give one another name")]
    Duplicate {
        /// The workflow.
        workflow: String,
        /// The name.
        task: String,
    },
    /// A task depends on one that is not there.
    #[error(
        "task '{task}' of workflow '{workflow}' depends on '{missing}', which is not among its tasks"
    )]
    Missing {
        /// The workflow.
        workflow: String,
        /// The task with the dependency.
        task: String,
        /// The name that was not found.
        missing: String,
    },
    /// Tasks depend on each other in a circle.
    #[error("the tasks of workflow '{workflow}' depend on each other in a circle: {}", .tasks.join(" -> "))]
    Cycle {
        /// The workflow.
        workflow: String,
        /// The circle; the first task stands at its end again.
        tasks: Vec<String>,
    },
    /// There are no tasks.
    #[error("workflow '{workflow}' has no tasks")]
    Empty {
        /// The workflow.
        workflow: String,
    },
    /// A mapped parameter does not exist, or gets no list.
    #[error(
        "task '{task}' maps over '{parameter}', which is neither an input nor a task that it takes"
    )]
    Map {
        /// The task.
        task: String,
        /// The parameter.
        parameter: String,
    },
    /// A limit of a task has a wrong value.
    #[error("task '{task}': {option}: {problem}")]
    Limit {
        /// The task.
        task: String,
        /// The argument of the task that sets it.
        option: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The text is no workflow.
    #[error("the workflow cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

/// Where the tasks of a workflow stand to each other. All by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// For each task those that must have ended before.
    pub parents: Vec<Vec<usize>>,
    /// For each task those that wait for it.
    pub children: Vec<Vec<usize>>,
    /// All tasks, parents first, otherwise in the order of definition.
    pub order: Vec<usize>,
}

impl Workflow {
    /// Reads a workflow and checks its graph.
    ///
    /// # Errors
    /// [`GraphError`] for the first problem.
    pub fn parse(json: &str) -> Result<(Self, Layout), GraphError> {
        let workflow: Self = serde_json::from_str(json)
            .map_err(|error| GraphError::Unreadable { reason: error.to_string() })?;
        let layout = workflow.layout()?;
        Ok((workflow, layout))
    }

    /// Index of the task with this name.
    #[must_use]
    pub fn index(&self, task: &str) -> Option<usize> {
        self.tasks.iter().position(|known| known.name == task)
    }

    /// The order of the tasks.
    ///
    /// # Errors
    /// [`GraphError`] when the tasks are no graph without circles.
    pub fn layout(&self) -> Result<Layout, GraphError> {
        let workflow = || self.name.clone();
        if self.tasks.is_empty() {
            return Err(GraphError::Empty { workflow: workflow() });
        }
        let mut indices = HashMap::new();
        for (index, task) in self.tasks.iter().enumerate() {
            if indices.insert(task.name.as_str(), index).is_some() {
                return Err(GraphError::Duplicate {
                    workflow: workflow(),
                    task: task.name.clone(),
                });
            }
        }
        let mut layout = Layout {
            parents: vec![Vec::new(); self.tasks.len()],
            children: vec![Vec::new(); self.tasks.len()],
            order: Vec::new(),
        };
        for (index, task) in self.tasks.iter().enumerate() {
            check_map(task)?;
            for name in task.dependencies() {
                let Some(parent) = indices.get(name) else {
                    return Err(GraphError::Missing {
                        workflow: workflow(),
                        task: task.name.clone(),
                        missing: name.to_owned(),
                    });
                };
                if !layout.parents[index].contains(parent) {
                    layout.parents[index].push(*parent);
                    layout.children[*parent].push(index);
                }
            }
        }
        layout.order = self.sorted(&layout)?;
        Ok(layout)
    }

    fn sorted(&self, layout: &Layout) -> Result<Vec<usize>, GraphError> {
        let mut left: Vec<usize> = (0..self.tasks.len()).collect();
        let mut order = Vec::new();
        loop {
            let is_free = |index: &usize| layout.parents[*index].iter().all(|p| order.contains(p));
            let Some(at) = left.iter().position(is_free) else { break };
            order.push(left.remove(at));
        }
        let Some(first) = left.first() else { return Ok(order) };
        // Every task that is left waits for another one that is left, so this walk meets itself.
        let mut walked = vec![*first];
        loop {
            let last = walked[walked.len() - 1];
            let Some(next) = layout.parents[last].iter().find(|parent| left.contains(parent))
            else {
                return Ok(order);
            };
            if let Some(begin) = walked.iter().position(|seen| seen == next) {
                let circle = walked[begin..].iter().chain([next]).rev();
                let tasks = circle.map(|index| self.tasks[*index].name.clone()).collect();
                return Err(GraphError::Cycle { workflow: self.name.clone(), tasks });
            }
            walked.push(*next);
        }
    }
}

impl Task {
    /// Names of the tasks that must have ended before: those of `after`, of parameters and of the
    /// condition.
    fn dependencies(&self) -> impl Iterator<Item = &str> {
        let taken = self.takes.iter().filter(|taken| taken.source == ParameterSource::Task);
        let tested = self.when.as_ref().map(Condition::tasks).unwrap_or_default();
        let after = self.after.iter().map(String::as_str);
        after.chain(taken.map(|taken| taken.name.as_str())).chain(tested)
    }
}

fn check_map(task: &Task) -> Result<(), GraphError> {
    let Some(parameter) = &task.map else { return Ok(()) };
    let has_values = |source| matches!(source, ParameterSource::Task | ParameterSource::Input);
    let taken = task.takes.iter().find(|taken| taken.name == *parameter);
    match taken {
        Some(taken) if has_values(taken.source) => Ok(()),
        _ => Err(GraphError::Map { task: task.name.clone(), parameter: parameter.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(tasks: &[(&str, &[&str])]) -> String {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|(name, after)| serde_json::json!({"name": name, "after": after}))
            .collect();
        serde_json::json!({"name": "w", "hash": "h", "tasks": tasks}).to_string()
    }

    #[test]
    fn a_graph_is_sorted_with_parents_first() {
        let (_, layout) =
            Workflow::parse(&workflow(&[("c", &["a", "b"]), ("a", &[]), ("b", &["a"])])).unwrap();
        assert_eq!(layout.order, [1, 2, 0]);
        assert_eq!(layout.parents, [vec![1, 2], vec![], vec![1]]);
        assert_eq!(layout.children, [vec![], vec![0, 2], vec![0]]);
    }

    #[test]
    fn circles_are_named() {
        // spec: CLO-08
        let graph = workflow(&[("z", &[]), ("a", &["c", "z"]), ("b", &["a"]), ("c", &["b"])]);
        let error = Workflow::parse(&graph).unwrap_err();
        let GraphError::Cycle { tasks, .. } = &error else { panic!("{error}") };
        assert_eq!(tasks.len(), 4);
        assert_eq!(tasks.first(), tasks.last());
        assert!(error.to_string().contains("a -> b -> c -> a"), "{error}");
    }

    #[test]
    fn missing_and_doubled_tasks_are_named() {
        // spec: CLO-08
        let missing = Workflow::parse(&workflow(&[("a", &["x"])])).unwrap_err();
        assert!(missing.to_string().contains("'a' of workflow 'w' depends on 'x'"), "{missing}");
        let doubled = Workflow::parse(&workflow(&[("a", &[]), ("a", &[])])).unwrap_err();
        assert!(matches!(doubled, GraphError::Duplicate { task, .. } if task == "a"));
        assert!(matches!(Workflow::parse(&workflow(&[])), Err(GraphError::Empty { .. })));
        assert!(matches!(Workflow::parse("{}"), Err(GraphError::Unreadable { .. })));
    }
}
