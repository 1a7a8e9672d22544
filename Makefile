# `make hands`, `make demo` and `make test` make .venv the same way, from the versions in constraints.txt.

PYTHON ?= python3
comma := ,
BIN := .venv/bin
# With these, glibc keeps freed memory for the next tensor, instead of a system call for each larger one.
KEEP := MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824
PYTEST := $(KEEP) OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal
TORCH ?= $(shell grep ^torch== constraints.txt)
DATA ?= synthetic
OUT ?= runs/demo
PICTURES := $(if $(filter synthetic,$(DATA)),synthetic,$(abspath $(DATA)))
DEMO := $(if $(filter synthetic,$(DATA)),--images 2000 --epochs 15 --learning-rate 1e-3 --kl-weight 4,--epochs 50)

# Bytecode is kept even where the shell says not to: without it, each process that a test starts compiles torch again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: hands demo test lowest coverage faults lint check docs format clean

hands: .venv/installed
	@rm -rf runs/drawn
	$(BIN)/handlatent generate --n 20 --out runs/drawn
	@echo "Look at runs/drawn/grid.png."

# A stopped run resumes; a finished one, or one on other pictures, starts over (only runs/demo is ever removed).
demo: .venv/installed
	@if [ -f $(OUT)/config.json ] && [ ! -f $(OUT)/report.json ] && grep -qF '"data": "$(PICTURES)"' $(OUT)/config.json; \
	then $(BIN)/handlatent train --resume $(OUT); \
	else { [ $(OUT) != runs/demo ] || rm -rf runs/demo; } && $(BIN)/handlatent train --data $(PICTURES) $(DEMO) --agent sac --device cpu --out $(OUT); fi
	@echo "Look at $(OUT)/grid.png and $(OUT)/report.json."

test: .venv/installed .venv/zoo
	$(PYTEST)

# The fast tests with the lowest versions that pyproject.toml allows. Torch stays the one of constraints.txt, since lower
# ones may come as GPU builds alone; TORCH=torch==2.4.0 takes another. Old versions warn of their own age.
lowest: .venv/installed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/lowest
	$(BIN)/python -m pip --python .venv/lowest/bin/python install --quiet $(TORCH)
	$(BIN)/uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct --editable ".[dev]"
	$(BIN)/uv pip list --python .venv/lowest/bin/python
	OMP_NUM_THREADS=1 .venv/lowest/bin/python -m pytest --override-ini filterwarnings=default --numprocesses auto \
	  --maxprocesses 4 -m "not slow" tests/hand_env tests/vae tests/agents

# All tests with the lines that they reach; it takes longer than `make test`.
coverage: .venv/installed .venv/zoo
	$(PYTEST) --cov --cov-report=term

# What must never break, leak or lose, in its long form: damaged files, random words after flags, memory.
faults: .venv/installed
	$(PYTEST) --long tests/faults

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(PYTEST) -m "not slow"

# The site in site/, from docs/, README's neighbours and the docstrings; broken links and references fail.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean
	@echo "Open site/index.html."

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv

# uv takes a third of pip's time. pip brings it, and torch, since it knows where this machine finds wheels for its CPU or
# GPU. Nothing is compiled: what the project imports is compiled at its first import.
define install
[ -x $(BIN)/uv ] || { $(PYTHON) -m venv --without-pip .venv \
	&& $(PYTHON) -m pip --python $(BIN)/python install --quiet --no-compile --no-deps $(TORCH) pip "uv>=0.9"; } \
	|| { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --no-compile --no-deps $(TORCH) "uv>=0.9"; }
$(BIN)/uv pip install --quiet --python .venv --constraint constraints.txt --editable ".[$(1)]"
endef

.venv/installed: pyproject.toml constraints.txt
	$(call install,dev)
	$(BIN)/python -c "import agents.cli"
	touch $@

.venv/zoo: .venv/installed
	$(call install,zoo)
	touch $@

.venv/docs: .venv/installed
	$(call install,docs)
	touch $@

# All three at once, for `.ci/run`: a third of the time that they take one after the other.
.venv/all: pyproject.toml constraints.txt
	$(call install,dev$(comma)docs$(comma)zoo)
	touch .venv/installed .venv/zoo .venv/docs $@
