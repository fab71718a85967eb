PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test setup bench fix nightly

demo: setup
	$(BIN)/endcap demo --dir demo

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not nightly"

nightly: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

bench: setup
	$(BIN)/python bench/journey.py
	$(BIN)/python bench/match.py
	$(BIN)/python bench/candidates.py
	$(BIN)/python bench/leaderboard.py
	$(BIN)/python bench/infer.py
	$(BIN)/python bench/sandbox_baseline.py
	$(BIN)/python bench/review.py
	$(BIN)/python bench/learning.py

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python docs/generate.py

setup: .venv/ready

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "endcap needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@# Tests of pages need a real browser: Debian's, where it can be installed; without it they fail in CI and are skipped elsewhere.
	@command -v chromium > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium > /dev/null; } || echo "no Chromium here: tests of pages will not run"
	@# A small world compiles the matching kernels once, so that no later command waits for it.
	$(BIN)/endcap demo --dir .venv/first-world --offers 400 --days 1 --json > /dev/null 2>&1
	@touch .venv/ready
