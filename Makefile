# `make demo` runs the main job on a bundled photo; `make test` installs what the tests need and runs them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo_output
TESTS ?= -q -n auto --maxprocesses 8
PHOTO := rtmpose/assets/photos/000000541055.jpg

.PHONY: demo test lint types check docs readers serve-clients sdk serve web-assets clean

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing: apt install python3-venv"; exit 1; }

$(VENV)/.runtime: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/rtmpose predict $(PHOTO) --output $(OUT) --json $(OUT)/poses.json

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

check: test lint types

$(VENV)/.docs: $(VENV)/.runtime
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m mkdocs build --strict

# Programs that read our files, in environments of their own: some need other versions of what we use.
READERS_PIP = -m pip install -q --disable-pip-version-check

.venv-readers/.done: tests/readers.txt tests/readers_versions.txt
	$(PYTHON) -m venv .venv-readers
	.venv-readers/bin/python $(READERS_PIP) -r tests/readers.txt -c tests/readers_versions.txt
	@touch $@

.venv-readers-labeling/.done: tests/readers_labeling.txt tests/readers_labeling_versions.txt
	$(PYTHON) -m venv .venv-readers-labeling
	.venv-readers-labeling/bin/python $(READERS_PIP) -r tests/readers_labeling.txt -c tests/readers_labeling_versions.txt
	@touch $@

readers: .venv-readers/.done .venv-readers-labeling/.done

# Clients of the service (tests/test_serve_clients.py, test_serve_openapi.py), beside the service itself.
.venv-serve-clients/.done: tests/serve_clients.txt pyproject.toml
	$(PYTHON) -m venv .venv-serve-clients
	.venv-serve-clients/bin/python -m pip install -q --disable-pip-version-check -e '.[dev,serve]' -r tests/serve_clients.txt
	@touch $@

serve-clients: .venv-serve-clients/.done

# The library, the programs, C#, Java and JavaScript, with their tests; sdk/apt.txt names what Debian has of it.
sdk: $(VENV)/.runtime
	PYTHON=$(abspath $(BIN))/python sh sdk/build.sh

$(VENV)/.serve: $(VENV)/.runtime
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[serve]'
	@touch $@

# The service with its page at http://127.0.0.1:8000; private mode where `make web-assets` was run.
serve: $(VENV)/.serve
	$(BIN)/rtmpose serve --data build/jobs $(if $(wildcard build/web/sdk),--web-assets build/web)

# What the page needs to run the model in the browser; needs npm, emscripten, nlohmann-json3-dev.
web-assets: $(VENV)/.runtime
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[export]'
	$(BIN)/python scripts/web_assets.py build/web

clean:
	rm -rf $(VENV) .venv-readers .venv-readers-labeling .venv-serve-clients $(OUT) build dist
