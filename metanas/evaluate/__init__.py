"""Evaluation: where outcomes meet query sets."""
