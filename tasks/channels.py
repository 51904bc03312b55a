"""Channels: data sets of grey and of coloured images in one run."""

from dataclasses import replace

from tasks.dataset import Dataset
from tasks.errors import DataError


def with_channels(dataset: Dataset, channels: int) -> Dataset:
    """The same data set with images of `channels` channels: grey images become coloured ones of three equal channels.

    Raises:
        DataError: when coloured images would have to become grey; what that loses is for the user to choose.
    """
    found = dataset.bank.image[0]
    if found == channels:
        return dataset
    if found != 1:
        raise DataError(f"{dataset.name}: images have {found} channels, asked for {channels}; ask for {found}")
    repeated = dataset.bank.pixels.expand(-1, channels, -1, -1)  # one channel in memory
    return replace(dataset, bank=replace(dataset.bank, pixels=repeated))
