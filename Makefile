# Every target sets up .venv first when that is needed. `make` alone lists them.
PYTHON ?= python3
RUN = .venv/bin/python
ARGS ?=
export OMP_WAIT_POLICY = PASSIVE
# Our own threads share images; BLAS threads that spin beside them were measured 30× slower on a busy machine.
export OPENBLAS_NUM_THREADS = 1
export JUPYTER_PLATFORM_DIRS = 1

.DEFAULT_GOAL := help
.PHONY: help lab test quick notebooks verify confusion bench capstone browser mutants lint clean ready ready-test ready-browser

help: ## list what make can do
	@echo "Fewer Bits: a course on neural-network quantization. Start with:  make lab"
	@echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

lab: ready ## set up, then open JupyterLab at the first lesson (ARGS=--no-browser for a server)
	@$(RUN) -m fewerbits.teach.exercises
	@$(RUN) -m jupyter lab $(ARGS) notebooks/00_start.ipynb

test: ready-test ## prove everything: code, oracles, notebooks, exercises
	@$(RUN) -m ruff check && $(RUN) -m ruff format --check && $(RUN) -m mypy reference/fewerbits
	@$(RUN) -m pytest -n 2 --dist loadscope -m "not browser" $(ARGS)

quick: ready-test ## the fast part of the proof, under a minute
	@$(RUN) -m pytest -n 2 --dist loadscope -m "not slow and not browser" $(ARGS)

notebooks: ready-test ## build the lessons and exercises whose source changed
	@$(RUN) -m fewerbits.teach.build $(ARGS) && $(RUN) -m fewerbits.teach.exercises.build $(ARGS)

verify: ready-test ## print the matrix: function × oracle × cases × mismatches
	@$(RUN) -m tests.oracles $(ARGS)

confusion: ready-test ## print what the diagnosis finds: mistake × finding, and correct quantizations
	@$(RUN) -m tests.diagnose.confusion $(ARGS)

bench: ready-test ## print speed and memory as paired ratios
	@$(RUN) -m tests.bench $(ARGS)

capstone: ready ## quantize the CNN, run it on ONNX Runtime, print accuracy, bytes and latency ratios
	@$(RUN) -m fewerbits.capstone $(ARGS)

browser: ready-browser ## drive the notebooks in JupyterLab in headless Chromium
	@$(RUN) -m pytest -m browser tests/browser $(ARGS)

mutants: ready-test ## plant one-character faults and show that a test fails on each
	@$(RUN) -m tests.mutants $(ARGS)

clean: ## remove .venv and caches; your answers in work/ stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

ready:
	@$(PYTHON) reference/install.py

ready-test:
	@$(PYTHON) reference/install.py test

ready-browser:
	@$(PYTHON) reference/install.py test,browser
