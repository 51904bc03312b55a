"""Scoring: the only place where a search's outcome meets the query set."""

from collections.abc import Iterable

import torch
from torch import Tensor

from metanas.errors import NonFiniteError
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.prototypes import refined
from tasks.episode import Batch, Episode

Network = tuple[Classification, MetaParams]
"""A network, and parameters adapted to some tasks."""


def predictions(
    objective: Classification, params: MetaParams, support: Tensor, query: Tensor, *, transductive: bool
) -> Tensor:
    """Logits `[*tasks, n, n_way]` for the query images.

    Args:
        objective: the network.
        params: adapted.
        support: support images `[*tasks, n, c, h, w]`.
        query: query images `[*tasks, n, c, h, w]`.
        transductive: normalise with the statistics of the whole query set. Otherwise each query image is normalised
            with the support set's statistics alone and its prediction does not depend on the other queries. An
            objective with reference images normalises with theirs, and both are the same.

    Raises:
        NonFiniteError: a task's logits are not numbers, of which the largest would be the first class.
    """
    with torch.no_grad():
        if transductive or objective.viewing.reference is not None:
            logits = objective.logits(params, query)
        else:
            rows = support.shape[-4]
            both = torch.cat([support, query], dim=-4)
            logits = objective.logits(params, both, rows=rows)[..., rows:, :]
    known = logits.isfinite().flatten(-2).all(-1).reshape(-1)
    if not known.all():
        raise NonFiniteError(
            "the predictions of the adapted network are not finite; lower adapt.lr_weights, adapt.lr_arch or the steps",
            tuple((~known).nonzero()[:, 0].tolist()),
        )
    return logits


def accuracies(objective: Classification, params: MetaParams, episodes: Episode, *, transductive: bool) -> list[float]:
    """Each task's share of query images that are classified correctly; arguments as in `predictions`."""
    return committee_accuracies([(objective, params)], episodes, transductive=transductive)


def committee_accuracies(networks: Iterable[Network], episodes: Episode, *, transductive: bool) -> list[float]:
    """The same for the mean of the probabilities that several networks give."""
    said = [
        predictions(objective, params, episodes.support.x, episodes.query.x, transductive=transductive)
        for objective, params in networks
    ]
    # Of a single network the logits: where they are large, probabilities of two classes may round to the same.
    together = said[0] if len(said) == 1 else torch.stack([logits.softmax(-1) for logits in said]).mean(0)
    right = together.argmax(-1) == episodes.query.y
    return [float(share) for share in right.double().mean(-1).tolist()]


def refined_accuracies(
    objective: Classification, params: MetaParams, episodes: Episode, balanced: Iterable[bool]
) -> list[list[float]]:
    """Each task's accuracy by class means that its unlabelled query images have refined (`metanas.prototypes`).

    Once for each of `balanced`: whether the classes are known to be equally frequent among the query images.
    """
    with torch.no_grad():
        frame = objective.frame(params, episodes.support.x)
        support, query = (frame.of(objective.features(params, batch.x)) for batch in episodes)
    found = []
    for known in balanced:
        shares = refined(support, episodes.support.y, query, objective.n_way, balanced=known).shares
        right = shares.argmax(-1) == episodes.query.y
        found.append([float(share) for share in right.double().mean(-1).tolist()])
    return found


def accuracy(objective: Classification, params: MetaParams, batches: Iterable[Batch]) -> float:
    """The share of images that are classified correctly, each batch normalised with its own statistics."""
    right = seen = 0
    for batch in batches:
        with torch.no_grad():
            guesses = objective.logits(params, batch.x).argmax(-1)
        right += int((guesses == batch.y).sum())
        seen += len(batch.y)
    return right / seen


def nearest_neighbour(episodes: Episode) -> list[float]:
    """Each task's accuracy of copying the label of the nearest support image in Euclidean distance of raw pixels."""
    support, query = episodes.support.x.flatten(2), episodes.query.x.flatten(2)
    nearest = torch.cdist(query, support).argmin(-1)
    right = episodes.support.y.gather(1, nearest) == episodes.query.y
    return [float(share) for share in right.double().mean(-1).tolist()]
