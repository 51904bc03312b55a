"""The images that stand around new tasks, drawn once from what is trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.config import Experiment
from tasks.dataset import Dataset
from tasks.errors import DataError
from tasks.stream import stream


def draw_reference(experiment: Experiment, parts: Sequence[Dataset]) -> Tensor | None:
    """Training images of all data sets, uint8 on the CPU; None where none are wanted.

    Those for `adapt.reference`, and after them those for `adapt.background`.
    """
    adapt = experiment.adapt
    wanted = adapt.reference + adapt.background
    if not wanted:
        return None
    banks = [part["train"] for part in parts]
    found = sum(map(len, banks))
    if found < wanted:
        raise DataError(
            f"adapt.reference={adapt.reference} and adapt.background={adapt.background} want more images than the "
            f"{found} of the training classes; lower them"
        )
    chosen = torch.randperm(found, generator=stream(experiment.seed, "reference"))[:wanted]
    owners = torch.cat([torch.full((len(bank),), i) for i, bank in enumerate(banks)])[chosen]
    rows = torch.cat([bank.rows() for bank in banks])[chosen]
    images = [banks[owner].pixels[row].cpu() for owner, row in zip(owners.tolist(), rows.tolist(), strict=True)]
    return torch.stack(images)
