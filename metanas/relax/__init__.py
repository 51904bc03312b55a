"""Relaxations: how architecture logits become gates."""
