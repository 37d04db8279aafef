# Developer commands; `make` alone lists them. Recipes use relative paths only, so a folder with spaces is fine.
.DEFAULT_GOAL := help
PY := .venv/bin/python
TOKENFLOW := $(PY) -m infra.cli
SOURCES := producer_api consumers topics mock_api infra tests bench scripts
UV_VERSION := 0.13.9
COMPILE := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(if $(UPGRADE),--upgrade)

.PHONY: help install format check test test-failure bench soak ci up down logs topics migrate clean-state lock

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: ## Make .venv with everything that development needs
	@sh infra/python/bootstrap.sh dev

format: install ## Rewrite the sources in the house format and mend what can be mended
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --quiet --fix .

check: install ## Format, lint, types, import direction, house rules
	$(PY) -m ruff format --check --quiet .
	$(PY) -m ruff check --quiet .
	$(PY) -m mypy --no-error-summary --explicit-package-bases $(SOURCES)
	.venv/bin/lint-imports --no-logo >/dev/null || .venv/bin/lint-imports
	$(PY) -m infra.lint

test: install ## Unit, contract, integration and docs tests; unit tests on the other Pythons too
	@exec $(PY) infra/python/run_tests.py

test-failure: install ## The failure suite: every fault, 500 calls in flight (FAILURE_SEED=N plays one again)
	@exec $(PY) -m infra.python.run_failure_tests

bench: install ## The table of ratios: speed against limits and peers (ONLY=row,row; QUICK=1; NOTE="what else ran")
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/python/bench.lock && \
		exec $(PY) -m bench $(if $(ONLY),--only $(ONLY)) $(if $(filter-out 0,$(QUICK)),--quick) $(if $(NOTE),--note "$(NOTE)")

soak: install ## Rounds of the failure suite at 2,000 calls in flight, with fresh seeds (MINUTES=45)
	@exec $(PY) -m bench.soak $(if $(MINUTES),--minutes $(MINUTES))

ci: check test test-failure ## What continuous integration runs

# `exec`: the stack replaces the shell, so one process answers a signal and its exit code is make's.
up: ## Start Kafka, PostgreSQL, the mock API, the API and workers (WORKERS=3, DETACH=1)
	@sh infra/python/bootstrap.sh local && \
		exec $(TOKENFLOW) up $(if $(WORKERS),--workers $(WORKERS)) $(if $(filter-out 0,$(DETACH)),--detach)

down: ## Stop the stack of this folder, from any terminal
	@if [ -x $(PY) ]; then exec $(TOKENFLOW) down; else echo "nothing runs: there is no .venv yet"; fi

logs: ## Follow the log of every part
	@ls .tokenflow/logs/*.log >/dev/null 2>&1 || { echo "no logs yet: run make up"; exit 0; }; \
		trap 'exit 0' INT; tail -n 5 -F .tokenflow/logs/*.log

topics: ## Create or verify the Kafka topics
	@sh infra/python/bootstrap.sh local && exec $(TOKENFLOW) topics create

migrate: ## Apply the database migrations
	@sh infra/python/bootstrap.sh local && exec $(TOKENFLOW) migrate

clean-state: down ## Delete the data of the local Kafka and PostgreSQL, and the logs
	rm -rf .tokenflow

lock: ## Resolve infra/python/*.lock from pyproject.toml (UPGRADE=1 takes the newest versions)
	@python=$$(sh infra/python/find.sh) && "$$python" -m venv .venv-lock && .venv-lock/bin/pip install -qq uv==$(UV_VERSION)
	$(COMPILE) --output-file infra/python/build.lock --group build
	$(COMPILE) --output-file infra/python/runtime.lock pyproject.toml
	$(COMPILE) --extra local --output-file infra/python/local.lock pyproject.toml
	$(COMPILE) --extra local --extra dev --output-file infra/python/dev.lock pyproject.toml
	$(COMPILE) --extra bench --constraint infra/python/dev.lock --output-file infra/python/bench.lock pyproject.toml
