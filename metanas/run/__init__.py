"""Runs: one module a verb, and what the verbs share."""
