"""metanas: meta-learned neural architecture search.

A MAML-style outer loop learns architecture priors and weights over episodes; an inner loop turns them into a
task-specific cell in seconds.
"""
