.PHONY: setup test test-fast check lint types imports golden

PYTHON := .venv/bin/python

setup:
	@tools/setup.sh dev

test: setup
	$(PYTHON) -m pytest

test-fast: setup
	$(PYTHON) -m pytest -m "not slow"

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup
	.venv/bin/mypy

imports: setup
	.venv/bin/lint-imports

check: lint types imports test

golden: setup
	$(PYTHON) -m pytest tests/launch --regenerate-golden
