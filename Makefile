# SPDX-License-Identifier: Apache-2.0
#
# A thin face for people; the build is CMake's. On Debian missing packages are installed (as root) or named.
#
#   make             build/leat, optimised
#   make demo        the example on recorded data, from a Kafka record to a queried table
#   make test        everything that CI runs
#   make bench       figures of this machine, beside their limits and (with Java) beside Kafka
#   make check-long  the long campaigns: power cuts, kills, models, fuzzing
.PHONY: all release dev crash demo test bench check-long clean packages-build packages-test

all: release

packages-build:
	@cmake/install-packages build

packages-test:
	@cmake/install-packages build test

release: packages-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release

dev: packages-test
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev

crash: packages-test
	@cmake --preset crash >/dev/null
	@cmake --build --preset crash --target leat test_model

demo: release
	@examples/demo

# Everything from units to real clients under sanitizers, the campaigns on the optimised build, the
# demo on the released one. What cannot run here (power cuts without root) says so.
test: release dev crash
	@ctest --test-dir build/dev -LE crash --output-on-failure --no-tests=error -j 2
	@ctest --test-dir build/crash -L crash --output-on-failure --no-tests=error
	@LEAT=build/leat /usr/bin/python3 tests/e2e/demo.py

bench: release
	@tests/bench/run
	@tests/bench/peers

check-long: crash
	@tests/crash/long

clean:
	rm -rf build
