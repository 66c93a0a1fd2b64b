# SPDX-License-Identifier: Apache-2.0
#
# A thin face for people; the build is CMake's. On Debian missing packages are installed (as root) or named.
#
#   make             build/leat, optimised
#   make demo        the example on recorded data, from a Kafka record to a queried table
#   make test        everything that CI runs
#   make bench       figures of this machine, side by side with their limits
#   make check-long  the long campaigns: power cuts, kills, fuzzing
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
	@cmake --build --preset crash

demo: release
	@examples/demo

test: release dev crash
	@ctest --test-dir build/dev --output-on-failure --no-tests=error

bench: release
	@tests/bench/run

check-long: dev crash
	@tests/crash/long

clean:
	rm -rf build
