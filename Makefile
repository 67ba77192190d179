# Each target sets up what it needs in .venv, on a machine that has nothing but Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := demo

.PHONY: demo test check docs clean

demo: $(READY)  ## make pictures, pack them both ways, get number 17 back from each file
	rm -rf $(DEMO)
	$(BIN)/unicorn demo $(DEMO)/pictures --count 24
	$(BIN)/unicorn pack $(DEMO)/pictures $(DEMO)/codes.uni
	$(BIN)/unicorn unpack $(DEMO)/codes.uni --index 17 -o $(DEMO)/17-from-its-code.png
	$(BIN)/unicorn pack $(DEMO)/pictures $(DEMO)/network.uni --index-only --epochs 1500
	$(BIN)/unicorn unpack $(DEMO)/network.uni --index 17 -o $(DEMO)/17-from-the-network.png
	$(BIN)/unicorn inspect $(DEMO)/network.uni

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
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,bench]'
	touch $@
