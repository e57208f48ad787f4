//! Frames of this program, and what a record may hold that no sound process writes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytemuck::Zeroable;
use ipc_protocol::recorder::{Death, MAGIC, STACK_BYTES, X86_64};
use proptest::prelude::*;

use super::library::Library;
use super::unwind::Call;
use super::{Fault, Files, Frame, Remains, is_of_system, maps};

fn own_maps() -> Vec<u8> {
    std::fs::read("/proc/self/maps").unwrap()
}

fn here() -> u64 {
    own_maps as *const () as usize as u64
}

#[test]
fn functions_are_found_by_their_addresses() {
    let mut files = Files { mappings: maps::executable(&own_maps()), open: BTreeMap::new() };
    let address = here();
    let inside = Call { address: address + 1, is_exact: true };
    let returned = Call { address: address + 1, is_exact: false };
    let nowhere = Call { address: 16, is_exact: true };
    let frames = files.frames(&[inside, returned, nowhere]);
    let own = std::env::current_exe().unwrap();
    for frame in &frames[..2] {
        assert_eq!(frame.library.as_deref(), Some(own.as_path()));
        assert_eq!(frame.symbol.as_deref(), Some("orchestrator::postmortem::tests::own_maps"));
        assert_eq!(frame.offset, 1);
    }
    assert_eq!(frames[2], Frame { library: None, symbol: None, offset: 16 });
}

#[test]
fn only_the_file_that_was_mapped_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, text) = (folder.path().join("pipe"), folder.path().join("text"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::write(&text, "no library").unwrap();
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let own = std::env::current_exe().unwrap();
    assert!(Library::open(&own, inode(&own)).is_some());
    assert!(Library::open(&own, inode(&own) + 1).is_none());
    assert!(Library::open(&text, inode(&text)).is_none());
    // It would wait for a writer.
    assert!(Library::open(&pipe, inode(&pipe)).is_none());
}

#[test]
fn a_fault_has_the_name_that_the_kernel_gives_it() {
    let fault = |signal, code| {
        let death = Death { magic: MAGIC, signal, code, address: 8, ..Death::zeroed() };
        Remains { death, stack: vec![], maps: vec![] }.fault()
    };
    assert_eq!(fault(11, 1), Some(Fault { code: "SEGV_MAPERR", address: Some(8) }));
    assert_eq!(fault(11, 128), Some(Fault { code: "SI_KERNEL", address: None }));
    assert_eq!(fault(8, 1), Some(Fault { code: "FPE_INTDIV", address: Some(8) }));
    assert_eq!(fault(6, -6), None);
    assert_eq!(fault(11, 0), None);
}

#[test]
fn the_c_library_is_known_by_its_name() {
    for (path, expected) in [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", true),
        ("/lib64/libc-2.31.so", true),
        ("/lib/ld-musl-x86_64.so.1", true),
        ("/usr/lib/libcrypto.so.3", false),
        ("/usr/bin/python3.11", false),
    ] {
        assert_eq!(is_of_system(Path::new(path)), expected, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_a_dying_process_writes_is_never_believed(
        seed in proptest::collection::vec(any::<u64>(), 32),
        stack in proptest::collection::vec(0_u64..64, 0..512),
        step in -64_i64..4096,
    ) {
        let start = 0x7ffd_0000_0000;
        // Some words are addresses of code, some of the stack, the rest anything.
        let word = |word: u64| match word {
            0..24 => here().wrapping_add_signed(step).wrapping_add(word),
            24..48 => start + word * 16,
            _ => word.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        let mut stack: Vec<u8> = stack.into_iter().flat_map(|at| word(at).to_ne_bytes()).collect();
        stack.truncate(STACK_BYTES);
        let mut registers = [0; 32];
        for (register, value) in registers.iter_mut().zip(&seed) {
            *register = word(value % 64);
        }
        registers[7] = start;
        let death = Death {
            magic: MAGIC,
            signal: 11,
            machine: X86_64,
            instruction: here().wrapping_add_signed(step),
            registers,
            stack_start: start,
            ..Death::zeroed()
        };
        let frames = Remains { death, stack, maps: own_maps() }.c_stack();
        prop_assert!(!frames.is_empty() && frames.len() <= 16);
    }
}
