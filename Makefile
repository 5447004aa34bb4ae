# The two commands are `make run` and `make test`; everything here works on a machine with Python 3.11+ and nothing else.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What `doorstep up` is told, as in: make run ARGS="--no-demo --speed 5"
ARGS ?=

.PHONY: setup run test faults check format bench histories clean lock

setup: $(STAMP)

$(STAMP): requirements.lock
	@set -e; \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
	  python=; \
	  for name in python3.13 python3.12 python3.11 python3; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed: none of python3.13, python3.12, python3.11, python3 is" >&2; exit 1; fi; \
	  echo "making $(VENV) with $$python"; \
	  rm -rf $(VENV); "$$python" -m venv $(VENV); \
	fi; \
	echo "installing what requirements.lock names (about a minute once)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	touch $(STAMP)

run: setup
	@exec $(BIN)/doorstep up $(ARGS)

# What check has run is not run again.
FAST := tests/domain tests/contracts tests/devstack/test_schema.py

test: check
	$(BIN)/python -m pytest $(addprefix --ignore=,$(FAST))

# The whole fault matrix; `make test` runs one fault of each kind.
faults: setup
	$(BIN)/python -m pytest -m faults tests/faults

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q $(FAST)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) build ./*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Records the history of every path that has none yet.
histories: setup
	DOORSTEP_RECORD_HISTORIES=missing $(BIN)/python -m pytest -q tests/replay

# Needs uv on PATH, and nothing of this machine (indexes, folders, names) gets into the files.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header -q -o requirements.lock
	sed -n 's/^postgres = \["\(.*\)"\]$$/\1/p' pyproject.toml | uv pip compile - --no-deps --universal --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header -q -o requirements-postgres.lock
