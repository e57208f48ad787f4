#!/usr/bin/env bash
# What no compiler checks about shared memory: Miri runs its tests on the heap twin, loom tries every
# order in which threads may meet, random walks run longer than among the other tests.
# With --ci: a part of it that takes a minute or two once it is built, without Miri where that is
# not installed.
source "$(dirname "$0")/common.sh"

ci=0
case ${1-} in
    --ci) ci=1 ;;
    '') ;;
    *) fail "usage: scripts/check-unsafe.sh [--ci]" ;;
esac

# The tests that have something to do on the heap twin; in CI those that look hardest for their length.
miri_tests=(shm:: segments:: arenas:: exchanges:: lies:: rings:: models::)
((ci)) && miri_tests=(segments:: arenas::what_ arenas::a_ arenas::the_last rings::what models::)

under_miri() {
    if ! cargo +nightly miri --version >/dev/null 2>&1; then
        ((ci)) || fail "Miri is not installed: rustup toolchain install nightly --component miri,rust-src"
        printf 'note: Miri is not installed, so its part is skipped\n'
        return
    fi
    # Pointers are made from addresses, as numpy makes them; random numbers come from the system.
    MIRIFLAGS='-Zmiri-permissive-provenance -Zmiri-disable-isolation' CARGO_TARGET_DIR=target/miri \
        cargo +nightly miri test --locked --quiet --package ipc-protocol --lib --test shm -- "${miri_tests[@]}"
}

under_loom() {
    RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/loom \
        cargo test --locked --quiet --package ipc-protocol --lib -- shm::sync::
}

longer_walks() {
    PROPTEST_CASES=$((ci ? 2560 : 51200)) \
        cargo test --locked --quiet --package ipc-protocol --test shm -- models:: rings::
}

for part in under_miri under_loom longer_walks; do
    printf -- '-- %s\n' "${part//_/ }"
    "$part"
done
