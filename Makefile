# Each target sets up what it needs in .venv, on a machine that has nothing but Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := demo

.PHONY: demo test test-slow test-browser test-torch check lint types docs results clean

demo: $(READY)  ## make pictures, pack them both ways, get number 17 back from each file
	rm -rf $(DEMO)
	$(BIN)/unicorn demo $(DEMO)/pictures --count 24
	$(BIN)/unicorn pack $(DEMO)/pictures $(DEMO)/codes.uni
	$(BIN)/unicorn unpack $(DEMO)/codes.uni --index 17 -o $(DEMO)/17-from-its-code.png
	$(BIN)/unicorn pack $(DEMO)/pictures $(DEMO)/network.uni --index-only --train-time 1m
	$(BIN)/unicorn unpack $(DEMO)/network.uni --index 17 -o $(DEMO)/17-from-the-network.png
	$(BIN)/unicorn inspect $(DEMO)/network.uni

# One test process a core; each computes with one thread.
PYTEST = $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

test: $(READY)
	$(PYTEST) -m "not slow and not browser"

test-slow: $(READY)  ## the tests that take longest
	$(PYTEST) -m slow

test-browser: $(READY)  ## the gallery in headless Chromium, which the system's packages bring
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[browser]'
	$(BIN)/python -m pytest -m browser -rs tests/test_browser.py

TORCH ?= 2.15.0
OTHER := $(VENV)-torch-$(TORCH)

test-torch:  ## what decodes, with another PyTorch than the tests' own: make test-torch TORCH=2.15.0
	$(PYTHON) -m venv $(OTHER)
	grep -v '^torch==' constraints.txt > $(OTHER)/constraints.txt
	$(OTHER)/bin/python -m pip install --quiet -c $(OTHER)/constraints.txt torch==$(TORCH) -e '.[dev]'
	$(OTHER)/bin/python -m pytest tests/test_golden.py tests/test_canary.py tests/test_vectors.py \
		tests/test_latent_coding.py tests/test_code_text.py tests/test_archive.py

check: lint types test test-slow  ## all that has to pass before a change is merged

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# Scripts of these folders import each other by plain names, so that they run by their paths.
types: $(READY)
	$(BIN)/mypy
	MYPYPATH=benchmarks:benchmarks/reliability $(BIN)/mypy benchmarks/*.py benchmarks/reliability

docs: $(READY)  ## write the help texts into docs/commands.md, and the schemas of JSON output
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_schemas.py

SIZE ?= small

results: $(READY)  ## measure what README and docs publish: make results DATA=sets, see benchmarks/README.md
	$(BIN)/python -m benchmarks.figures --data "$(DATA)" --size $(SIZE)

clean:
	rm -rf $(VENV) $(VENV)-torch-* $(DEMO)

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,bench]'
	touch $@
