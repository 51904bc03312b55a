"""MAML by learn2learn on the straight child network, where that package is installed: a second opinion on speed.

learn2learn clones a module and differentiates through the clone; what it can express is a child of one operation an
edge.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.bench import textbook
from metanas.bench.contest import Contest, Work, inner
from metanas.bench.setting import Setting
from metanas.bench.ways import OURS
from metanas.meta.batch import Executor
from metanas.meta.maml import Maml
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.spaces.cell_space import KINDS
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import random_genotype
from tasks.episode import TaskSpec
from tasks.stream import stream

LEARN2LEARN = "learn2learn"


def child_iteration(setting: Setting) -> Contest:
    """Exact MAML gradients of a meta-batch for a child drawn at random; raises `ImportError` without learn2learn."""
    from tasks._compat import torchvision  # which learn2learn imports

    del torchvision
    from learn2learn.algorithms import MAML

    net, book = children(setting)
    book = book.to_empty(device=setting.device)
    weights = {k: w for k, w in setting.start().weights.items() if k in dict(net.named_parameters())}
    named = textbook.textbook_weights(weights)
    book.load_state_dict(named)
    steps, episodes = inner(setting, first_order=False), setting.episodes(setting.tasks)
    loss, start = Classification(net), MetaParams(weights, {})
    gradient, learner = Maml(steps), MAML(book, lr=steps.lr_weights)

    def theirs() -> dict[str, Tensor]:
        learner.zero_grad()
        for task in range(setting.tasks):
            clone = learner.clone()
            for _ in range(setting.steps):
                clone.adapt(F.cross_entropy(clone(episodes.support.x[task]), episodes.support.y[task]))
            F.cross_entropy(clone(episodes.query.x[task]), episodes.query.y[task]).backward()  # type: ignore[no-untyped-call]
        return {name: p.grad for name, p in book.named_parameters() if p.grad is not None}

    execute = Executor(gradient)
    ways: dict[str, Work] = {OURS: lambda: execute(loss, start, episodes), LEARN2LEARN: theirs}
    return Contest("child_meta_gradient", setting, ways, ways[OURS])


def children(setting: Setting) -> tuple[nn.Module, textbook.TextbookNetwork]:
    """One architecture of the few-shot space, drawn uniformly, as our skeleton and as a textbook module."""
    space, wide = FewShot(setting.channels, setting.nodes), 3 * setting.channels
    genotype = random_genotype(space, stream(0, "genotype"))
    image = (3, setting.resolution, setting.resolution)
    net = space.child(genotype, TaskSpec(setting.n_way, setting.k_shot, setting.n_query, image))
    tables = space.choices.plan(genotype)
    stem = textbook.PooledStem(3, wide)
    return net, textbook.TextbookNetwork(stem, wide, KINDS, tables, setting.channels, setting.n_way)
