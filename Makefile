# Two commands: `make demo` and `make test`. Both make .venv the same way, from the versions in constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
DATA ?= synthetic
OUT ?= runs/demo
DEMO_SYNTHETIC := --images 6000 --epochs 13
DEMO_PHOTOGRAPHS := --epochs 50

.PHONY: demo test check format clean

demo: .venv/installed
	$(BIN)/handlatent train --data $(DATA) $(if $(filter synthetic,$(DATA)),$(DEMO_SYNTHETIC),$(DEMO_PHOTOGRAPHS)) \
		--agent sac --seed 0 --device cpu --out $(OUT)
	@echo "Look at $(OUT)/grid.png and $(OUT)/report.json."

test: .venv/installed
	$(BIN)/pytest

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow"

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
