# Two commands do everything: `make demo` and `make test`. The steps are in scripts/.
#
#   make demo [AUDIO=file]   set up, build, run the main job (WAV, FLAC, OGG, MP3)
#   make test                set up, build, run every check and test
#   make rustpython          build the worker whose interpreter is RustPython
#   make check-unsafe        run the tests of shared memory under Miri and loom, and for longer
#   make conformance         write docs/conformance.md and its pages from the tests' citations
#   make compatibility       write docs/compatibility.md anew from the recorded cases
#   make bench               run the criterion benchmarks
#   make fmt                 format Rust and Python
#   make clean               remove everything that was built
#
# PYTHON=python3.12 chooses the interpreter; WHEEL_PROFILE=release builds the wheel as users get it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test rustpython check-unsafe conformance compatibility bench fmt clean

export PYTHON WHEEL_PROFILE
AUDIO ?=

help:
	@sed -n 's/^#   make/make/p' Makefile

demo:
	@scripts/demo.sh $(if $(AUDIO),"$(AUDIO)")

test:
	@scripts/test.sh

rustpython:
	@scripts/rustpython.sh

check-unsafe:
	@scripts/check-unsafe.sh

conformance:
	UPDATE_CONFORMANCE=1 cargo test --package tests --test integration conformance::the_pages_are_current

compatibility:
	cd python && ../.venvs/test/bin/python -m remotemedia compat --page > ../docs/compatibility.md

bench:
	cargo bench --package benches

fmt:
	cargo fmt --all
	cd python && ../.venvs/test/bin/ruff format --config pyproject.toml . ../tests/python ../examples ../benches

clean:
	rm -rf target .venvs
