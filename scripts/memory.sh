#!/usr/bin/env bash
# What no compiler checks about shared memory: loom tries every order in which threads may meet, and
# random walks run longer than among the other tests.
# With --long: walks of twenty times that length, and the tests on the heap twin under Miri.
source "$(dirname "$0")/common.sh"

long=0
case ${1-} in
    --long) long=1 ;;
    '') ;;
    *) fail "usage: scripts/memory.sh [--long]" ;;
esac

# The tests that have something to do on the heap twin.
miri_tests=(memory:: segments:: arenas:: exchanges:: lies:: rings:: models::)

under_miri() {
    cargo +nightly miri --version >/dev/null 2>&1 ||
        fail "Miri is not installed: rustup toolchain install nightly --component miri,rust-src"
    # Pointers are made from addresses, as numpy makes them; random numbers come from the system.
    MIRIFLAGS='-Zmiri-permissive-provenance -Zmiri-disable-isolation' CARGO_TARGET_DIR=target/miri \
        cargo +nightly miri test --locked --quiet --package ipc-protocol --lib --test memory -- "${miri_tests[@]}"
}

under_loom() {
    RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/loom \
        cargo test --locked --quiet --package ipc-protocol --lib -- memory::sync:: exchange::
}

longer_walks() {
    # With the whole workspace's features, as among the other tests: nothing is compiled again.
    PROPTEST_CASES=$((long ? 51200 : 2560)) \
        cargo test --locked --quiet --workspace --test memory -- models:: rings::
}

parts=(under_loom longer_walks)
((long)) && parts+=(under_miri)
failed=()
for part in "${parts[@]}"; do
    printf -- '-- %s\n' "${part//_/ }"
    # In a shell of its own: one part that fails leaves the others to run.
    ("$part") || failed+=("${part//_/ }")
done
((${#failed[@]} == 0)) || fail "failed: ${failed[*]}"
