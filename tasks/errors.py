"""What can go wrong with data, in one line each: expected, got, remedy."""


class DataError(ValueError):
    """Data that is missing, damaged, too small, or split in a way that leaks."""


class TooFewImages(DataError):
    """A class that has fewer images than an episode shows of it."""
