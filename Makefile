# veoapp. `make run` starts everything on this machine, `make test` proves it; `make help` lists the rest.

PYTHON ?=
ARGS ?=
venv := .venv/bin/python
bootstrap = @python=$$(sh .ci/find-python "$(PYTHON)") && "$$python" -I veoapp/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test check format lock

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | expand -t 12

setup: ## Build .venv and .env, only what is missing or changed (PYTHON=/path/to/python)
	$(bootstrap)

setup-dev: ## The same, with what tests and checks need
	$(bootstrap) --dev

run: setup ## Start web, worker and, without a provider key, the sandbox (PORT=8000 SANDBOX_PORT=8787)
	@$(venv) manage.py run

test: setup-dev ## Every test: on PostgreSQL, then what touches rows again on SQLite (ARGS="-k refund")
	@sh .ci/test $(ARGS)

check: setup-dev ## Lint, types, templates, imports, migrations, production settings
	@sh .ci/check

format: setup-dev ## Format the code
	@$(venv) -m ruff format .
	@$(venv) -m ruff check --fix .

lock: setup-dev ## Resolve the lock files anew from pyproject.toml
	@$(venv) -m uv pip compile --quiet --universal --generate-hashes --no-header --upgrade pyproject.toml -o requirements.lock
	@$(venv) -m uv pip compile --quiet --universal --generate-hashes --no-header pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
