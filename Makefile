# `make demo` and `make test` are all the set-up a machine with Rust and Python needs.

CARGO ?= cargo
RUN ?=
VENV := .venv
PYTHON := $(CURDIR)/$(VENV)/bin/python
# What the Python package is made of: it is installed anew when any of it is newer.
PACKAGE := pyproject.toml Cargo.toml Cargo.lock $(shell find crates python/Cargo.toml python/rust python/src \
	-name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi')

.PHONY: demo test packages lint unit deny vectors python fuzz demo-short chaos chaos-short test-cluster test-cluster-short bench bench-nats bench-python bench-notify bench-scale clean

## Builds everything, plays the arena with 200 bots for 20 s, and prints what became of every message. Two of its nodes
## and two of its players run mods in Python.
demo: $(VENV)/package
	$(CARGO) build --release --locked -p arena
	CHAPPE_PYTHON=$(PYTHON) target/release/arena demo

## All checks and tests.
test: packages lint deny unit vectors python fuzz demo-short chaos-short test-cluster-short
	@echo "all tests passed"

## Servers that tests start for themselves, on free ports and unprivileged. Installed where that is allowed, else named.
packages:
	scripts/ensure-deb.sh nats-server redis-server mariadb-server:mariadbd postgresql

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

unit:
	CHAPPE_REQUIRE_NATS=1 CHAPPE_REQUIRE_POSTGRES=1 $(CARGO) test --locked --workspace --quiet
	$(CARGO) test --locked --quiet -p chappe-tests --features sabotage --test sabotage --test money_sabotage

## Licences, sources and doubled dependencies. The advisory database is not consulted: the test must not depend on
## what was published overnight.
deny:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --quiet cargo-deny
	$(CARGO) deny --locked --log-level error check bans licenses sources

## The golden vectors, decoded by another language.
vectors: $(VENV)/ready
	$(VENV)/bin/python protocol/vectors/check.py

$(VENV)/ready:
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet msgpack
	touch $@

## The Python package, built and installed as a user would; the second with what its tests need.
$(VENV)/package: $(PACKAGE) | $(VENV)/ready
	$(VENV)/bin/pip install --quiet .
	touch $@

$(VENV)/tested: $(PACKAGE) | $(VENV)/ready
	$(VENV)/bin/pip install --quiet '.[test]'
	touch $(VENV)/package $@

## The tests of the Python package; those of four Python 2 packages come from PyPI.
python: $(VENV)/tested
	$(CARGO) build --locked -p chappe
	$(PYTHON) -m pytest -q python/tests

fuzz:
	$(CARGO) run --locked --quiet -p chappe-fuzz -- --seconds 2

## The demo in short: with fewer bots, and each row at least once.
demo-short: $(VENV)/package
	$(CARGO) build --release --locked -p arena
	CHAPPE_PYTHON=$(PYTHON) target/release/arena demo --seconds 12 --bots 120

## Players give each other money on a cluster whose processes are killed (SIGKILL, the master too) and frozen; then every
## coin is counted. STORE=postgres: with a PostgreSQL of its own, which is killed too.
chaos: SEED ?= 1
chaos: MINUTES ?= 10
chaos: STORE ?= sqlite
chaos:
	@[ "$(STORE)" != postgres ] || scripts/ensure-deb.sh postgresql
	$(CARGO) build --release --locked -p chappe-chaos
	target/release/chappe-chaos drive --seed $(SEED) --minutes $(MINUTES) --store $(STORE)

## The same in short, on both stores.
chaos-short:
	$(CARGO) build --release --locked -p chappe-chaos
	target/release/chappe-chaos drive --short --seed 1 --minutes 0.5
	target/release/chappe-chaos drive --short --seed 2 --minutes 0.5 --store postgres

## Three hosts (network namespaces, else loopback) with a real NATS and PostgreSQL between them: each thing that can go wrong
## goes wrong while the arena's bots play, and again while players give each other money; then every message and every
## coin is accounted for. About four minutes, and longer with MINUTES=.
test-cluster: SEED ?= 1
test-cluster: MINUTES ?= 0
test-cluster: $(VENV)/package
	scripts/ensure-deb.sh nats-server postgresql
	$(CARGO) build --release --locked -p arena -p chappe-chaos
	CHAPPE_PYTHON=$(PYTHON) target/release/arena demo --hosts --bots 120 --seed $(SEED) --minutes $(MINUTES)
	target/release/chappe-chaos drive-hosts --seed $(SEED) --minutes $(MINUTES)

## The same in short: a part of the faults for each of the two.
test-cluster-short:
	scripts/ensure-deb.sh nats-server postgresql
	$(CARGO) build --release --locked -p arena -p chappe-chaos
	target/release/arena demo --hosts --short --rust-only --bots 60 --least 20
	target/release/chappe-chaos drive-hosts --short

## Chappe beside raw sockets, NATS, Redis, tonic and a plain WebSocket relay, in one run; prints the ratios and draws
## docs/bench.svg. Takes about ten minutes; nothing else should run meanwhile.
bench:
	scripts/ensure-deb.sh nats-server redis-server
	$(CARGO) build --release --locked -p chappe
	$(CARGO) run --release --locked --manifest-path bench/Cargo.toml -- $(BENCH_ARGS)

## Nodes over the nats link beside plain async-nats, in one run. About two minutes.
bench-nats:
	scripts/ensure-deb.sh nats-server
	$(CARGO) run --release --locked -p chappe-tests --example nats_cost -- $(BENCH_ARGS)

## Handlers in Python beside nats-py, in one run, and where the time of a handler call goes. About a minute.
bench-python: $(VENV)/package
	scripts/ensure-deb.sh nats-server
	$(CARGO) build --release --locked -p chappe
	$(PYTHON) -m pip install --quiet nats-py msgpack
	$(PYTHON) bench/python.py $(BENCH_ARGS)

## Money given between players, exactly once, beside pgbench doing the transfer that one would write by hand; and plain
## notifications beside events. About eight minutes; the stores are on the disk of target/.
bench-notify:
	scripts/ensure-deb.sh postgresql
	$(CARGO) build --release --locked -p chappe
	target/release/chappe bench notify --runs 3 --dir target $(BENCH_ARGS)
	target/release/chappe bench notify --plain --runs 3 --dir target

## How cost grows with nodes and players: real nodes in one thread on virtual time. Prints tables and draws the chart of
## docs/en/scale.md. Some minutes; in short (`BENCH_ARGS="--nodes 10,30 --players 1000"`) a few seconds.
bench-scale:
	$(CARGO) run --release --locked -p chappe-bench-scale -- --chart docs/images/scale.svg --json docs/images/scale.json $(BENCH_ARGS)

clean:
	$(CARGO) clean
	rm -rf $(VENV) bench/target
