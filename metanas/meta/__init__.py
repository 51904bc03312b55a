"""Meta-learning: inner loop, meta-gradients, outer step; never a space, never a relaxation."""
