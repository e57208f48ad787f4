#!/usr/bin/env bash
# Long checks of shared memory: loom tries every interleaving of threads, and the property tests run
# more cases than among the other tests. With --long: twenty times as many cases, and the tests that
# can use heap memory in place of mapped memory under Miri.
source "$(dirname "$0")/common.sh"

long=0
case ${1-} in
    --long) long=1 ;;
    '') ;;
    *) fail "usage: scripts/memory.sh [--long]" ;;
esac

# Modules with tests that can use heap memory in place of mapped memory.
miri_tests=(memory:: segments:: arenas:: exchanges:: lies:: rings:: models::)

under_miri() {
    cargo +nightly miri --version >/dev/null 2>&1 ||
        fail "Miri is not installed: rustup toolchain install nightly --component miri,rust-src"
    # Provenance is permissive because pointers are made from addresses, as numpy does; isolation is off
    # because random numbers come from the system.
    MIRIFLAGS='-Zmiri-permissive-provenance -Zmiri-disable-isolation' CARGO_TARGET_DIR=target/miri \
        cargo +nightly miri test --locked --quiet --package ipc-protocol --lib --test memory -- "${miri_tests[@]}"
}

under_loom() {
    RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/loom \
        cargo test --locked --quiet --package ipc-protocol --lib -- memory::sync:: exchange::
}

longer_walks() {
    # With the same packages as for the other tests nothing is compiled again.
    PROPTEST_CASES=$((long ? 51200 : 2560)) \
        cargo test --locked --quiet --workspace --exclude benches --test memory -- models:: rings::
}

parts=(under_loom longer_walks)
((long)) && parts+=(under_miri)
failed=()
for part in "${parts[@]}"; do
    printf -- '-- %s\n' "${part//_/ }"
    # In a subshell, so that the other parts run when one fails.
    ("$part") || failed+=("${part//_/ }")
done
((${#failed[@]} == 0)) || fail "failed: ${failed[*]}"
