"""How fast the package is, beside a textbook implementation of the same method in the same run."""
