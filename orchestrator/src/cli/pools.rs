//! The verb `pool`: looks at the pools of running programs of the same user, recycles and drains them.

use std::io::{self, Write};

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::CliError;
use crate::worker::supervisor::{Request, answer_of, running};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show the pools of running programs: workers, waiting sessions, warm hits, deaths
    Status {
        /// Process id of one program; all by default
        #[arg(long)]
        pid: Option<u32>,
        /// Write JSON, one object a program
        #[arg(long)]
        json: bool,
    },
    /// Replace the workers of a pool: idle ones now, others when their sessions end
    Recycle(Chosen),
    /// Let a pool refuse new sessions; those that are open go on
    Drain(Chosen),
    /// Let a drained pool take sessions again
    Resume(Chosen),
}

#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    /// Name of the pool: cpython, rustpython, or that of a section [pools.NAME]
    pool: String,
    /// Process id of the program; needed when several run
    #[arg(long)]
    pid: Option<u32>,
}

/// Why a program's pools cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    #[error("the list of sockets cannot be read: {0}")]
    Sockets(io::Error),
    #[error(
        "no program of this user runs workers{}; a program that has not started a worker yet, or has \
         [status] socket = false, is not found",
        .0.map_or_else(String::new, |pid| format!(" as process {pid}"))
    )]
    None(Option<u32>),
    #[error("several programs run workers ({}): choose one with --pid", .0.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))]
    Several(Vec<u32>),
    #[error("process {pid} does not answer: {cause}")]
    Silent { pid: u32, cause: io::Error },
    #[error("there is no pool '{name}'; the pools are {}", .known.join(", "))]
    Unknown { name: String, known: Vec<String> },
}

/// Carries the verb out.
pub(super) fn pool(verb: Verb, out: &mut dyn Write) -> Result<(), CliError> {
    match verb {
        Verb::Status { pid, json } => status(pid, json, out),
        Verb::Recycle(chosen) => ask(chosen.pid, &Request::Recycle(chosen.pool)),
        Verb::Drain(chosen) => ask(chosen.pid, &Request::Drain(chosen.pool)),
        Verb::Resume(chosen) => ask(chosen.pid, &Request::Resume(chosen.pool)),
    }
}

/// The programs to ask: process id and number of the runtime.
fn programs(pid: Option<u32>) -> Result<Vec<(u32, u32)>, PoolError> {
    let mut found = running().map_err(PoolError::Sockets)?;
    found.retain(|(of, _)| pid.is_none_or(|pid| pid == *of));
    if found.is_empty() { Err(PoolError::None(pid)) } else { Ok(found) }
}

fn status(pid: Option<u32>, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    for (pid, number) in programs(pid)? {
        let answer = match answer_of((pid, number), &Request::Status) {
            Ok(answer) => answer,
            // It may have ended since.
            Err(cause) => {
                let silent = PoolError::Silent { pid, cause };
                writeln!(io::stderr().lock(), "warning: {silent}")?;
                continue;
            }
        };
        if json {
            let told = json!({"pid": pid, "runtime": number, "pools": answer["pools"]});
            writeln!(out, "{told}")?;
        } else {
            writeln!(out, "process {pid}, runtime {number}")?;
            for pool in answer["pools"].as_array().into_iter().flatten() {
                show(pool, out)?;
            }
        }
    }
    Ok(())
}

fn show(pool: &Json, out: &mut dyn Write) -> io::Result<()> {
    let list = |key: &str| pool[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (workers, waiting) = (list("workers"), list("waiting"));
    let drained = if pool["is_drained"] == true { ", drained" } else { "" };
    writeln!(
        out,
        "  {} ({}{drained}): {} of {} workers, {} sessions wait",
        text(&pool["name"]),
        text(&pool["runtime"]),
        workers.len(),
        pool["max"],
        waiting.len()
    )?;
    for worker in &workers {
        let mebibytes = worker["memory"].as_f64().unwrap_or_default() / f64::from(1 << 20);
        let age = worker["age"].as_f64().unwrap_or_default();
        writeln!(
            out,
            "    pid {:<8} {:<9} {age:>8.1} s  {:>5} sessions  {mebibytes:>7.1} MiB",
            worker["pid"].to_string(),
            text(&worker["state"]),
            worker["sessions"]
        )?;
    }
    if let Some(longest) = waiting.first().and_then(Json::as_f64) {
        writeln!(out, "    the first session has been waiting for {longest:.1} s")?;
    }
    let missed = pool["misses"].as_object().into_iter().flatten();
    let misses: Vec<String> = missed.map(|(why, count)| format!("{why} {count}")).collect();
    writeln!(
        out,
        "    warm {}, started ahead {}, missed: {}",
        pool["warm_hits"],
        pool["spare_hits"],
        if misses.is_empty() { "none".to_owned() } else { misses.join(", ") }
    )?;
    if let Some(death) = pool["last_death"].as_object() {
        let how = match (&death["signal"], &death["exit_code"]) {
            (Json::String(signal), _) => format!("by {signal}"),
            (_, code) => format!("with exit code {code}"),
        };
        let ago = death["ago"].as_f64().unwrap_or_default();
        writeln!(out, "    last death: pid {} {how}, {ago:.1} s ago", death["pid"])?;
    }
    Ok(())
}

fn ask(pid: Option<u32>, request: &Request) -> Result<(), CliError> {
    let found = programs(pid)?;
    let mut pids: Vec<u32> = found.iter().map(|(pid, _)| *pid).collect();
    pids.dedup();
    if pids.len() > 1 {
        return Err(PoolError::Several(pids).into());
    }
    // A program may have several runtimes; one of them has the pool.
    let (mut is_done, mut all) = (false, Vec::new());
    for program in found {
        let silent = |cause| PoolError::Silent { pid: program.0, cause };
        let answer = answer_of(program, request).map_err(silent)?;
        is_done |= answer["done"] == true;
        let known = answer["known"].as_array().into_iter().flatten().filter_map(Json::as_str);
        all.extend(known.map(str::to_owned));
    }
    if is_done {
        return Ok(());
    }
    all.sort_unstable();
    all.dedup();
    Err(PoolError::Unknown { name: request.pool().to_owned(), known: all }.into())
}
