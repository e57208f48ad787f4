//! How workers end that are no longer needed: idle ones by themselves with exit code 0, others are
//! killed. The workers are real processes that speak the protocol.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use orchestrator::limits::Limits;
use orchestrator::placement::{CPYTHON_POOL, Engine};
use orchestrator::worker::exit::Exit;
use orchestrator::worker::pool::{PoolLimits, Turn};
use orchestrator::worker::process::Process;
use orchestrator::worker::supervisor::{Pool, PoolTerms, Returned, SupervisorOptions};
use orchestrator::worker::waker::Waker;
use orchestrator::worker::{Start, Wanted, Worker, WorkerKey};

const KILLED: Exit = Exit::Signal { number: 9, has_core: Some(false) };

fn pool() -> Arc<Pool> {
    let limits =
        PoolLimits { min: 0, max: 4, idle_timeout: None, max_sessions: None, zygotes: false };
    let terms = PoolTerms {
        name: "cpython".to_owned(),
        engine: Engine::CPython,
        is_removed: false,
        worker_limits: Limits::default(),
        limits,
        start_timeout: Duration::from_secs(60),
        stop_grace: Duration::from_millis(250),
        preload: Vec::new(),
    };
    let options = SupervisorOptions {
        pools: vec![terms],
        limits: ipc_protocol::Limits::default(),
        spin: Duration::ZERO,
        memory: None,
        has_socket: false,
    };
    Arc::new(Pool::start(options).unwrap())
}

/// Starts test workers. `lie` names the way in which they misbehave; empty: they do not.
fn workers(pool: &Pool, count: usize, lie: &str) -> Vec<Worker> {
    let environment = vec![("LIE".into(), lie.into())];
    let key = WorkerKey {
        pool: CPYTHON_POOL,
        setting: String::new(),
        runtime: Engine::CPython,
        interpreter: PathBuf::from(env!("CARGO_BIN_EXE_lying-worker")),
        options: Vec::new(),
        start_variables: environment.clone(),
        user: (0, 0),
        apart: None,
    };
    let start = Arc::new(Start { environment, ..Start::default() });
    let wanted = Wanted { key, start, place: 0, count };
    let waker = Waker::new().unwrap();
    let ticket = pool.want(&[wanted], &waker, Turn::InOrder);
    loop {
        if let Some(answer) = pool.answer(ticket) {
            return answer.unwrap();
        }
        wait(&waker);
    }
}

fn wait(waker: &Waker) {
    poll(&mut [PollFd::new(waker.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    waker.drain();
}

/// Waits until a worker's process has ended, and returns how.
fn exit(process: &Process) -> Exit {
    let waker = Waker::new().unwrap();
    process.set_listener(Some(waker.clone()));
    loop {
        if let Some(exit) = process.exit() {
            return exit;
        }
        wait(&waker);
    }
}

fn processes(workers: &[Worker]) -> Vec<Arc<Process>> {
    workers.iter().map(|worker| Arc::clone(&worker.process)).collect()
}

#[test]
fn idle_workers_end_by_themselves_when_their_pool_closes() {
    for lie in ["", "speaks 4", "deaf"] {
        let pool = pool();
        let idle = workers(&pool, 3, lie);
        let processes = processes(&idle);
        idle.into_iter().for_each(|worker| pool.give_back(worker, Returned::Reusable));
        pool.close();
        drop(pool);
        for process in processes {
            assert_eq!(exit(&process), Exit::Code(0), "{lie}");
        }
    }
}

#[test]
fn a_used_up_worker_ends_by_itself_and_the_pool_goes_on() {
    let pool = pool();
    let mut used = workers(&pool, 1, "");
    let process = Arc::clone(&used[0].process);
    pool.give_back(used.remove(0), Returned::UsedUp);
    assert_eq!(exit(&process), Exit::Code(0));
    let next = workers(&pool, 1, "");
    assert_ne!(next[0].process.pid, process.pid);
}

#[test]
fn a_broken_worker_is_killed() {
    let pool = pool();
    let mut broken = workers(&pool, 1, "");
    let process = Arc::clone(&broken[0].process);
    pool.give_back(broken.remove(0), Returned::Broken);
    assert_eq!(exit(&process), KILLED);
}

/// Closes pools as at the end of a program: with an idle worker, a busy one and one that does not
/// answer. Returns how they ended.
fn ends_of_a_program() -> [Exit; 3] {
    let (first, second) = (pool(), pool());
    let idle = workers(&first, 1, "");
    let busy = workers(&first, 1, "");
    let deaf = workers(&second, 1, "deaf");
    let processes = [&idle, &busy, &deaf].map(|workers| Arc::clone(&workers[0].process));
    idle.into_iter().for_each(|worker| first.give_back(worker, Returned::Reusable));
    deaf.into_iter().for_each(|worker| second.give_back(worker, Returned::Reusable));
    Pool::close_for_exit(&[first, second]);
    processes.map(|process| exit(&process))
}

#[test]
fn the_end_of_a_program_spares_only_idle_workers_that_answer() {
    // On a busy machine an answer may take longer than the program waits for it.
    let is_spared = (0..10).any(|_| {
        let [idle, busy, deaf] = ends_of_a_program();
        assert_eq!([busy, deaf], [KILLED, KILLED]);
        idle == Exit::Code(0)
    });
    assert!(is_spared);
}
