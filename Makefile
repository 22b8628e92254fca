# What a developer does here, one word each. `make` alone lists them.
#
# Everything runs in .venv, which is made on first use (tools/make_venv.sh) and filled by pip with
# the versions of constraints.txt. A stamp in it says what is installed already, so that the second
# call is instant; it carries a checksum of this folder's path, because a copied .venv would go on
# using the sources that it was copied from.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

BIN := .venv/bin
PYTHON_M := $(BIN)/python -m
INSTALL := $(PYTHON_M) pip --disable-pip-version-check -qq install -c constraints.txt

HERE := $(shell pwd | cksum | cut -d ' ' -f 1)
VENV := .venv/.stamp-venv-$(HERE)
DEV := .venv/.stamp-dev-$(HERE)
DEMO := .venv/.stamp-demo-$(HERE)
NO_INSTALL := { echo "makeway: pip could not install this; why not stands above" >&2; exit 1; }
ASKED_FOR := pyproject.toml constraints.txt

DEMO_FLOW := examples/entity_tagging/flow.py
DEMO_NEEDS := $(wildcard examples/entity_tagging/requirements.txt)

# How many processes run tests at once, and the seed that `make swarm` replays.
JOBS ?= 2
seed ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: $(DEV) ## format, lint, types, tidy, docs and unit tests: under a minute
	@echo "── format"
	@$(PYTHON_M) ruff format --check --quiet . || { echo "not formatted: run make format"; exit 1; }
	@echo "── lint"
	@$(PYTHON_M) ruff check --quiet .
	@echo "── types"
	@$(PYTHON_M) mypy
	@echo "── tests (tidy, docs, units)"
	@$(PYTHON_M) pytest -q -n $(JOBS) -m "not slow"

.PHONY: test
test: $(DEV) $(DEMO) ## every test there is, with real processes too
	@$(PYTHON_M) pytest -q -n $(JOBS) --dist loadgroup

.PHONY: demo
demo: $(DEMO) ## run the example workflow: tag entities with three models, serve the best two
	@$(BIN)/makeway run $(DEMO_FLOW)
	@echo "look at it in a browser: $(BIN)/makeway up, and in another terminal $(BIN)/makeway ui"

.PHONY: demo-ray
demo-ray: $(DEV) $(DEMO) ## the same workflow, on the nodes of a Ray cluster that is started for it
	@$(PYTHON_M) tests.scaleout.demo $(DEMO_FLOW)

.PHONY: bench
bench: $(DEV) ## measure what has a budget
	@$(PYTHON_M) bench

.PHONY: bench-ray
bench-ray: $(DEV) ## measure the executor for Ray, beside plain Ray code that does the same
	@$(PYTHON_M) bench.on_ray

.PHONY: study
study: $(DEV) ## replay real traces under every policy, into docs/comparison.md
	@$(PYTHON_M) bench.study

.PHONY: swarm
swarm: $(DEV) ## simulate with faults from a random seed; seed=… replays one
	@seed="$(seed)"; seed="$${seed:-$$(date +%s)}"; echo "make swarm seed=$$seed"; \
	MAKEWAY_SWARM_SEED="$$seed" $(PYTHON_M) pytest -q -n $(JOBS) -m swarm

.PHONY: faults
faults: $(DEV) ## kill, stop and cut off the service for long; MAKEWAY_FAULTS=… says how long
	@MAKEWAY_FAULTS="$${MAKEWAY_FAULTS:-5}" $(PYTHON_M) pytest -q -s tests/faults

.PHONY: format
format: $(DEV) ## format the code and mend what ruff can mend
	@$(PYTHON_M) ruff check --quiet --fix-only .
	@$(PYTHON_M) ruff format .

.PHONY: docs
docs: $(DEV) ## write the pages of docs/ that are made from the code itself
	@mkdir -p docs
	@for page in cli lifecycle; do \
		$(PYTHON_M) makeway.cli.reference $$page > .venv/page.md && mv .venv/page.md docs/$$page.md || exit 1; \
		echo "docs/$$page.md is up to date"; \
	done
	@$(PYTHON_M) makeway.server.openapi > .venv/openapi.json && mv .venv/openapi.json docs/openapi.json
	@echo "docs/openapi.json is up to date"

.PHONY: clean
clean: ## remove .venv, caches and build output (runs in .makeway stay)
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV):
	@./tools/make_venv.sh
	@touch $@

$(DEV): $(VENV) $(ASKED_FOR)
	@echo "installing makeway and the tools of its developers …"
	@$(INSTALL) -e ".[dev]" || $(NO_INSTALL)
	@touch $@

$(DEMO): $(VENV) $(ASKED_FOR) $(DEMO_NEEDS)
	@echo "installing makeway, PyTorch and what the example needs (this takes a minute or more) …"
	@$(INSTALL) -e ".[torch]" $(addprefix -r ,$(DEMO_NEEDS)) || $(NO_INSTALL)
	@touch $@
