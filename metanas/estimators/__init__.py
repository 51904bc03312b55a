"""Estimators: from a genotype to how good it is, and what finding out costs."""
