# veoapp. `make run` starts everything on this machine, `make test` proves it; `make help` lists the rest.

PYTHON ?=
ARGS ?=
venv := .venv/bin/python
bootstrap = @python=$$(sh .ci/find-python "$(PYTHON)") && "$$python" -I veoapp/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run worker-debug test check format migrations messages lock

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | expand -t 16

setup: ## Build .venv and .env, only what is missing or changed (PYTHON=/path/to/python)
	$(bootstrap)

setup-dev: ## The same, with what tests and checks need
	$(bootstrap) --dev

run: setup ## Start web, worker and, without a provider key, the sandbox (PORT=8000 SANDBOX_PORT=8787)
	@$(venv) manage.py run $(ARGS)

worker-debug: setup ## A worker in one process and thread, where breakpoint() works (beside `make run ARGS=--no-worker`)
	@LOG_LEVEL=DEBUG JOB_THREADS=0 $(venv) manage.py worker --inline

test: setup-dev ## Every test: on PostgreSQL, then what touches rows again on SQLite (ARGS="-k refund -p no:randomly")
	@sh .ci/test $(ARGS)

check: setup-dev ## Lint, types, templates, imports, dependencies, migrations, production settings (ARGS=mypy)
	@sh .ci/check $(ARGS)

format: setup-dev ## Format the code
	@$(venv) -m ruff format .
	@$(venv) -m ruff check --fix .

migrations: setup-dev ## Write the migrations that changed models need (ARGS="billing --name add_x")
	@$(venv) manage.py makemigrations $(ARGS)

messages: setup-dev ## Collect texts for translation (needs gettext), then compile what is translated
	@sh .ci/messages

lock: setup-dev ## Resolve the lock files anew from pyproject.toml
	@$(venv) -m uv pip compile --quiet --universal --generate-hashes --no-header --upgrade pyproject.toml -o requirements.lock
	@$(venv) -m uv pip compile --quiet --universal --generate-hashes --no-header pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
