# Two commands do everything: `make demo` and `make test`. The steps are in scripts/.
#
#   make demo [AUDIO=file]   set up, build, run the main job (WAV, FLAC, OGG, MP3)
#   make check               format, lints, types and unit tests, in minutes
#   make test                set up, build, run every test, as CI does
#   make stress              long loops, Miri and loom, other versions of numpy and Python: for nights
#   make rustpython          build the worker whose interpreter is RustPython
#   make conformance         write docs/conformance.md and its pages from the tests' citations
#   make compatibility       write docs/compatibility.md from the cases in tests/python/compat
#   make original-names      write docs/original-names.md by importing every name of the original SDK
#   make effects             write docs/effects.md from the table in tests/python/effects
#   make bench               run the criterion benchmarks
#   make fmt                 format Rust and Python
#   make clean               remove everything that was built
#
# PYTHON=python3.12 chooses the interpreter; WHEEL_PROFILE=release builds the wheel as users get it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo check test stress rustpython conformance compatibility original-names effects bench fmt clean

export PYTHON WHEEL_PROFILE
AUDIO ?=

help:
	@sed -n 's/^#   make/make/p' Makefile

demo:
	@scripts/demo.sh $(if $(AUDIO),"$(AUDIO)")

check:
	@scripts/check.sh

test:
	@scripts/test.sh

stress:
	@scripts/stress.sh

rustpython:
	@WHEEL_PROFILE=$(or $(WHEEL_PROFILE),release) scripts/rustpython.sh

conformance:
	UPDATE_CONFORMANCE=1 cargo test --package tests --test integration conformance::the_pages_are_current

compatibility:
	cd tests/python && ../../.venvs/test/bin/python -m compat.page > ../../docs/compatibility.md

original-names:
	cd tests/python && ../../.venvs/test/bin/python -m original.page > ../../docs/original-names.md.new
	mv docs/original-names.md.new docs/original-names.md

effects:
	cd tests/python && PYTHONPATH=fixtures ../../.venvs/test/bin/python -m effects.page > ../../docs/effects.md

bench:
	cargo bench --package benches

fmt:
	cargo fmt --all
	cd python && ../.venvs/test/bin/ruff format --config pyproject.toml . ../orchestrator ../tests/python ../examples ../benches ../scripts

clean:
	rm -rf target .venvs
