# `make` lists the targets. The work is done by scripts/, so that machines without make can do the same.
#
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"    torch without CUDA
#   make test ARGS="-k omniglot"                                                    arguments for the program
#   make demo PYTHON=/path/to/python3.12                                            another interpreter

ARGS ?=
export PIP_FLAGS PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: ## search a network on built-in few-shot tasks, no download
	@sh scripts/demo.sh $(ARGS)

test: ## the unit tests
	@sh scripts/test.sh $(ARGS)

test-slow: ## the long checks
	@sh scripts/test.sh -m slow --timeout 1800 $(ARGS)

lint: ## ruff and mypy, as in CI
	@sh scripts/setup.sh
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: ## let ruff rewrite the sources
	@sh scripts/setup.sh
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean: ## remove .venv and everything that tools have left
	rm -rf .venv build dist .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
