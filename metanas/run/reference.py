"""The images whose statistics normalise those of new tasks, drawn once from what is trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.config import Experiment
from tasks.dataset import Dataset
from tasks.errors import DataError
from tasks.stream import stream


def draw_reference(experiment: Experiment, parts: Sequence[Dataset]) -> Tensor | None:
    """Training images for `adapt.reference`, of all data sets, uint8 on the CPU; None where it is 0."""
    wanted = experiment.adapt.reference
    if not wanted:
        return None
    banks = [part["train"] for part in parts]
    found = sum(map(len, banks))
    if found < wanted:
        raise DataError(
            f"adapt.reference={wanted} wants more images than the {found} of the training classes; lower it"
        )
    chosen = torch.randperm(found, generator=stream(experiment.seed, "reference"))[:wanted]
    owners = torch.cat([torch.full((len(bank),), i) for i, bank in enumerate(banks)])[chosen]
    rows = torch.cat([bank.rows() for bank in banks])[chosen]
    images = [banks[owner].pixels[row].cpu() for owner, row in zip(owners.tolist(), rows.tolist(), strict=True)]
    return torch.stack(images)
