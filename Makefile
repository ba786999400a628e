# `make` alone shows what there is.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
# the pins of conda.yaml, as pip takes them
PINS = sed -n 's/^ \{6\}- \([A-Za-z].*\)$$/\1/p' conda.yaml

.DEFAULT_GOAL := help
.PHONY: help env main ui page test lint

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

env: $(VENV)/.installed  ## build the virtual environment in .venv from the pins in conda.yaml

$(VENV)/.installed: conda.yaml pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PINS) > $(VENV)/pins.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(VENV)/pins.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

main: env  ## train (one encoder), export, embed and compare on the built-in cast
	PATH="$(CURDIR)/$(BIN):$$PATH" mlflow run . -e main --env-manager local -P distill_epochs=0

ui: env  ## look at the runs in MLflow's UI
	@echo 'open http://127.0.0.1:5000/#/experiments/0/runs?workflowType=machine_learning'
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1

page: env  ## serve the page over the champion that main made
	$(BIN)/crystal-eyes serve

test: env  ## run the tests
	$(BIN)/python -m pytest

lint: env  ## check style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
