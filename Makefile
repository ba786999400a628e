# `make` without a target lists the targets.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
# the pins in conda.yaml, in the form that pip takes
PINS = sed -n 's/^ \{6\}- \([A-Za-z].*\)$$/\1/p' conda.yaml

.DEFAULT_GOAL := help
.PHONY: help env main release ui page web test test-fast lint wheel wheel-check

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

env: $(VENV)/.installed  ## build the virtual environment in .venv from the pins in conda.yaml

$(VENV)/.installed: conda.yaml pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PINS) > $(VENV)/pins.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(VENV)/pins.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

main: env  ## run the pipeline on the built-in cast with one encoder
	PATH="$(CURDIR)/$(BIN):$$PATH" mlflow run . -e main --env-manager local -P distill_epochs=0

release: env  ## rebuild models/recognizer: make release DATASET=FOLDER [ENCODER=FOLDER]
	@test -n '$(DATASET)' || { echo 'release: give a dataset: make release DATASET=FOLDER' >&2; exit 1; }
	PATH="$(CURDIR)/$(BIN):$$PATH" mlflow run . -e release --env-manager local -P dataset='$(DATASET)' \
		$(if $(ENCODER),-P encoder='$(ENCODER)') $(OPTIONS)

page: env  ## serve the web page with the champion in the Model Registry
	$(BIN)/crystal-eyes serve

web: env web/node_modules/.installed  ## test and build the page of `crystal-eyes web` in web/dist (needs Node.js)
	$(BIN)/python -m web.write_vectors
	cd web && npm test && npm run build

web/node_modules/.installed: web/package-lock.json
	@command -v npm > /dev/null || { echo 'web: npm is missing: install Node.js 20 or newer' >&2; exit 1; }
	cd web && npm ci --ignore-scripts --loglevel=error
	touch $@

ui: env  ## serve MLflow's UI with the runs
	@echo 'open http://127.0.0.1:5000/#/experiments/0/runs?workflowType=machine_learning'
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1

test: env  ## run all tests
	$(BIN)/python -m pytest

test-fast: env  ## run the fast tests, before each commit
	$(BIN)/python -m pytest -m "not slow and not browser"

lint: env  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# setuptools packs whatever an earlier build left in build/, deleted modules included
wheel: env  ## build dist/crystal_eyes-*.whl: the library, the released model and the page that `make web` has built
	@[ -f web/dist/index.html ] || echo 'wheel: without the page of `crystal-eyes web`, which `make web` builds' >&2
	rm -rf build dist/crystal_eyes-*.whl
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

# in a folder of its own, so that neither the checkout nor a store in it is used
BARE = build/bare
EXAMPLE = $(CURDIR)/crystal_eyes/web/examples/3 one head.webp
wheel-check: wheel  ## install the wheel into a bare environment and recognize an example with it
	$(PYTHON) -m venv --clear $(BARE)
	$(BARE)/bin/python -m pip install --quiet --disable-pip-version-check dist/crystal_eyes-*.whl
	cd $(BARE) && bin/crystal-eyes --help > /dev/null
	if [ -f models/recognizer/bundle.json ]; then \
		cd $(BARE) && env -u CRYSTAL_EYES_BUNDLE -u MLFLOW_TRACKING_URI -u PYTHONPATH bin/crystal-eyes recognize "$(EXAMPLE)"; \
	fi
	if [ -f models/recognizer/bundle.json ] && [ -f web/dist/index.html ]; then \
		cd $(BARE) && env -u CRYSTAL_EYES_BUNDLE -u MLFLOW_TRACKING_URI -u PYTHONPATH bin/crystal-eyes web --output site; \
	fi
