# Each target sets up what it needs in .venv, on a machine that has nothing but Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := demo

.PHONY: demo test check docs clean

demo: $(READY)  ## make pictures, pack them, unpack number 17
	rm -rf $(DEMO)
	$(BIN)/unicorn demo $(DEMO)/pictures --count 24
	$(BIN)/unicorn pack $(DEMO)/pictures $(DEMO)/out.uni --time 2m
	$(BIN)/unicorn inspect $(DEMO)/out.uni
	$(BIN)/unicorn unpack $(DEMO)/out.uni --index 17 -o $(DEMO)/17.png

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

docs: $(READY)  ## write the help texts into docs/commands.md
	$(BIN)/python docs/make_commands.py

clean:
	rm -rf $(VENV) $(DEMO)

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
