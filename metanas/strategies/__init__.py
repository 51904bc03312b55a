"""Strategies: from support sets to one architecture for each task."""
