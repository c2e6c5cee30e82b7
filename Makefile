.PHONY: setup test test-fast test-slurm check lint types imports golden

PYTHON := .venv/bin/python

setup:
	@tools/setup.sh dev

# Ranks take the cores, a file's tests share what they built; tests on Slurm mostly wait for it, the longest first.
test: setup
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "not slurm"
	$(PYTHON) -m pytest -n 7 --maxschedchunk 1 tests/slurm

test-fast: setup
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "not slow"

# Half of its time is what it installs, so that is no more than it needs, both at once.
test-slurm:
	@tools/slurm.sh install & tools/setup.sh engine,test && wait $$!
	SLURM_REQUIRED=1 $(PYTHON) -m pytest -n 7 --maxschedchunk 1 tests/slurm

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/hadolint dockers/*/Dockerfile

types: setup
	.venv/bin/mypy

imports: setup
	.venv/bin/lint-imports

check: lint types imports test

golden: setup
	$(PYTHON) -m pytest tests/launch --regenerate-golden
