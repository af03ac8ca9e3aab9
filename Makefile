# Everything here needs Python >= 3.11, make and git, and nothing else; .venv is made when it is missing or stale.

PY := .venv/bin/python
SOURCES := $(wildcard gateway connectors storage tests bench tools examples/*/src run.py)
STYLED := $(SOURCES) $(wildcard examples/*/tests)

.PHONY: help demo run test check lint format types imports docs screenshots bench bench-peers bench-plot kills soak mutants lock clean install install-dev

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: install ## signed webhooks through a sandbox, start to finish; KEEP=1 leaves it running
	@$(PY) run.py demo $(if $(filter-out 0 no false,$(KEEP)),--keep)

run: install ## serve with what is configured
	@$(PY) run.py serve

test: install-dev ## the whole suite, four files at a time; PYTEST_ARGS adds options
	@$(PY) -m pytest -n 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: install-dev ## what has to pass before a commit: lint, types, import rules, tests, docs
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory imports
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory test

lint: install-dev ## style and likely mistakes
	@echo '==> ruff'
	@$(PY) -m ruff check $(STYLED)
	@$(PY) -m ruff format --check $(STYLED)

format: install-dev ## put the code into the one format
	@$(PY) -m ruff check --fix-only --quiet $(STYLED)
	@$(PY) -m ruff format $(STYLED)

types: install-dev ## mypy, strict
	@echo '==> mypy'
	@$(PY) -m mypy $(SOURCES)
	@$(PY) tools/scaffold_types.py

imports: install-dev ## who may import whom
	@echo '==> import-linter'
	@$(PY) .venv/bin/lint-imports --no-logo

docs: install-dev ## the documentation as a site, into build/site; warnings and dead links are failures
	@echo '==> docs'
	@$(PY) -m tools.site.build

screenshots: install-dev ## the pictures of README and docs, from a day of traffic played for them; needs chromium
	@$(PY) -m tests.browser.screenshots

bench: install-dev ## measure, and print the figures; about 25 minutes; BENCH_ARGS=--quick takes a few
	@$(PY) -m bench $(BENCH_ARGS)

bench-peers: ## install what make bench compares with, apart from the gateway (DBOS, procrastinate, FastAPI, Restate)
	@sh tools/bench_peers.sh

bench-plot: install-dev ## draw the latest figures, as SVG beside them
	@$(PY) -m bench.plot

kills: install-dev ## the long form of the crash matrix: killed at every call of every step and request
	@HYPOTHESIS_PROFILE=thorough $(PY) -m pytest tests/crash/test_kills.py tests/crash/test_pauses.py -s $(PYTEST_ARGS)

soak: install-dev ## the long crash matrix, a thousand random kills, ten thousand histories; SEED=… plays them again
	@$(MAKE) --no-print-directory kills
	@$(PY) -m tests.soak $(if $(SEED),--seed $(SEED))
	@$(PY) -m tests.histories $(if $(SEED),--seed $(SEED))

mutants: install-dev ## change the code that the promise rests on, a little at a time: do the tests notice?
	@$(PY) -m tools.mutants $(MUTANTS_ARGS)

lock: install-dev ## resolve pyproject.toml into the lock files; UPGRADE=1 takes the newest
	@$(PY) tools/lock.py $(if $(UPGRADE),--upgrade)

install:
	@sh tools/install.sh run

install-dev:
	@sh tools/install.sh dev

clean: ## remove what can be made again (no database, no key)
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find gateway connectors storage tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
