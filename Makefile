# The two commands that people use are `make repro` and `make test`; each first sets up what it needs, once.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# DVC calls plain `python`: it has to be the environment's.
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup repro show restore pictures bench test test-commands test-networks test-resume papers-smoke fuzz torture soak lint lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## Make .venv with emospec installed under the pins of requirements.lock

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.11 or newer is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing emospec and its packages into $(VENV) (minutes, once) ..."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@$(VENV)/bin/emospec doctor
	@touch $@

repro: $(READY) ## Run the pipeline: what has changed since the last time, and print the results
	@$(RUN) dvc repro
	@$(RUN) emospec results

# Of all metrics, the two that experiments are compared by; of all parameters and files, those that differ.
NOT_SHOWN := ^(block|clip)\.(?!uar$$)|^(members|heads|ensembles)\..*\.(block|clip)\.
NOT_SHOWN := $(NOT_SHOWN)|^(aggregations|baselines|spread|temperature_scaling|start|seed|split\.leakage)\.
NOT_SHOWN := $(NOT_SHOWN)|^(folds|corpora|leakage|left_out|duplicates)\.|^(aggregate|members_mean)\b
NOT_SHOWN := $(NOT_SHOWN)|^(blocks|clips|classes|unit|units|merged_units|n_folds|by|method|balance|validation)\b
NOT_SHOWN := $(NOT_SHOWN)|.*/|Created|State|Executor

show: $(READY) ## The experiments side by side: what was changed, and the two scores that count
	@$(RUN) COLUMNS=$${COLUMNS:-$$(test -t 2 && tput cols || echo 160)} \
	  dvc exp show --no-pager --only-changed --hide-workspace --drop '$(NOT_SHOWN)'
	@test -n "$$($(RUN) dvc exp list --name-only)" || echo "No experiments on this commit yet: dvc exp run -n NAME -S key=value"

restore: $(READY) ## Go back to the committed parameters and results, whatever was run since
	@$(RUN) emospec restore

pictures: $(READY) ## Draw the README's pictures anew, from the demo's spectrograms
	@$(RUN) python docs/pictures/draw.py

bench: $(READY) ## Measure speed against the recipe that people write; RECORDINGS=folder adds real sound
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[bench]'
	@$(RUN) python benchmarks/rendering.py $(if $(RECORDINGS),--recordings $(RECORDINGS))

test: $(READY) ## Run the whole test suite
	@$(RUN) python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-commands: $(READY) ## Run every command that README and docs/ show, in a small copy of the project (minutes)
	@$(RUN) python -m pytest -m commands tests/test_commands.py

test-networks: $(READY) ## Build every classification network of torchvision and put a batch through (minutes, 10 GB)
	@$(RUN) python -m pytest -m networks tests/models/test_all_networks.py

test-resume: $(READY) ## Kill training runs (twenty times), searches and papers, and go on each time (minutes)
	@$(RUN) python -m pytest -m kills tests/learning tests/papers tests/search

torture: $(READY) ## Kill every stage and DVC 50 times each, fill disks, flip bits; counts what came of it (half an hour)
	@$(RUN) python tests/faults/torture.py --kills $(or $(KILLS),50) --dvc-kills $(or $(KILLS),50)

soak: $(READY) ## Peak memory and time of every stage for 1 and 10 hours of sound; HOURS="0.1 1" for less
	@$(RUN) python benchmarks/soak.py $(or $(HOURS),1 10)

fuzz: $(READY) ## Read thousands of damaged sound files and say how each ended (minutes); FUZZ=1000 of each kind, FUZZ_SEED=0
	@$(RUN) nice -n 10 python -m pytest -q -n0 -m fuzz tests/audio/test_fuzz.py

papers-smoke: $(READY) ## Run every row of the five papers for a few steps on small made corpora (minutes)
	@$(RUN) python -m pytest -n 2 -m papers tests/papers/test_smoke.py

lint: $(READY) ## Format check, lint, types, layers
	@$(RUN) ruff format --check . && $(RUN) ruff check . && $(RUN) mypy && $(RUN) lint-imports

lock: $(READY) ## Write the versions that are installed now into requirements.lock
	@$(VENV)/bin/python -m pip freeze --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//' > requirements.lock

clean: ## Remove the environment; results and DVC's cache stay
	rm -rf $(VENV)
