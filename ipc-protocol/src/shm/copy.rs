//! Copies between memory of this process. One core moves some 13 GB a second, however it is asked
//! to, so what takes longer than waking another core is shared with it.

use std::num::NonZeroUsize;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// What is worth a thread of its own: copying it takes ten times as long as starting one.
const BYTES_PER_THREAD: usize = 4 << 20;
/// More cores than these do not make memory faster.
const MAX_THREADS: usize = 4;
/// What a thread takes at a time, so that one that starts late holds nobody up.
const PIECE_BYTES: usize = 256 << 10;

/// Copies `source` to `target`, which is as long.
///
/// The threads end with the call: a process may fork, and none waits in it between copies.
pub(super) fn copy(source: &[u8], target: &mut [u8]) {
    let threads = (source.len() / BYTES_PER_THREAD).min(cores()).min(MAX_THREADS);
    if threads < 2 {
        target.copy_from_slice(source);
        return;
    }
    // From the end, so that the start, which is read first, is the part that caches still have.
    let pieces = source.chunks(PIECE_BYTES).zip(target.chunks_mut(PIECE_BYTES)).rev();
    let pieces = Mutex::new(pieces);
    let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((from, to)) = next() {
            to.copy_from_slice(from);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // One that cannot be had leaves its part to the others.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives_whatever_the_length() {
        for bytes in [0, 1, PIECE_BYTES + 1, 2 * BYTES_PER_THREAD, 5 * BYTES_PER_THREAD + 77] {
            let bytes = if cfg!(miri) { bytes / 64 } else { bytes };
            let source: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[at % 3]).collect();
            let mut target = vec![0; bytes];
            copy(&source, &mut target);
            assert!(source == target, "{bytes} bytes");
        }
    }
}
