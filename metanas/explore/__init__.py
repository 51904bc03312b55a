"""Explorers: from the scores of some architectures to the next one that is worth a score."""
