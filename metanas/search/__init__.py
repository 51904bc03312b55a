"""Search of a single task: differentiable methods as combinations of small parts."""
