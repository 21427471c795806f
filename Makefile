# Schmelz: every target does its own set-up. `make help` lists them.
PYTHON ?= python3
DATA   ?= .data/demo
PORT   ?= 8000
CLUSTER ?=
BIN    := .venv/bin
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

help: ## what can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

install: .venv/.synced ## make .venv with everything from the lock (nothing when it is there)

.venv/.synced: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "python3 (3.11 or newer) is needed"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src
	@touch $@

lock: ## write requirements.lock anew (one set of versions, with hashes, for every Python we support)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --all-extras --group dev pyproject.toml -o requirements.lock

run: install ## serve a populated factory on 127.0.0.1:8000 (PORT=..., DATA=...)
	$(BIN)/schmelz --data $(DATA) up --demo --port $(PORT)

test: install packages ## set up everything the tests need and run all of them
	$(BIN)/python -m pytest -n 2 -m "not cluster and not journey and not slow"
	$(BIN)/python -m pytest -m "cluster or journey or slow"
	$(MAKE) test-postgres

test-postgres: install packages ## the suites that use the database, on a PostgreSQL of their own
	$(BIN)/python tests/postgres/server.py $(BIN)/python -m pytest -n 2 -m "not cluster and not journey and not slow" \
	  tests/portal tests/operate tests/cli tests/web tests/postgres

quick: install ## the default suite, quickly: each test on one of the factories, fewer examples; no browser, no Slurm
	$(BIN)/python -m pytest --quick -n 2 -m "not cluster and not journey and not slow"

packages: ## Debian packages for the tests with a real Slurm and a real browser
	@sh tests/packages.sh

check: install ## format, lint, types, import contracts, missing migrations, generated pages
	$(BIN)/ruff format --check --quiet src tests bench
	$(BIN)/ruff check --quiet src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	SCHMELZ_DATA=build/check $(BIN)/python -m django makemigrations --check --dry-run --settings schmelz.portal.settings
	$(BIN)/schmelz check factory.toml > /dev/null

format: install ## put the code in our format
	$(BIN)/ruff format --quiet src tests bench
	$(BIN)/ruff check --fix --quiet src tests bench

pages: install ## write the generated pages of docs/ anew
	$(BIN)/python tests/generated.py

bench: install ## ratios of the heavy parts against plain baselines, in one run
	$(BIN)/python bench/run.py

cluster: install ## a real Slurm in one directory, for trying out (CLUSTER=DIR; docs/cluster.md)
	@$(BIN)/python tests/cluster/lab.py start $(CLUSTER)
cluster-env: install ## what a shell needs for it: eval "$$(make -s cluster-env)"
	@$(BIN)/python tests/cluster/lab.py env $(CLUSTER)
cluster-status: install ## what runs of the real Slurm
	@$(BIN)/python tests/cluster/lab.py status $(CLUSTER)
cluster-stop: install ## stop the real Slurm, keep its data
	@$(BIN)/python tests/cluster/lab.py stop $(CLUSTER)
cluster-clean: install ## stop it and remove everything: directory, Unix users
	@$(BIN)/python tests/cluster/lab.py clean $(CLUSTER)

.PHONY: help install lock run test test-postgres quick packages check format pages bench cluster cluster-env cluster-status cluster-stop cluster-clean
