"""The methods as a textbook runs them: one task after another, weights and logits in passes of their own.

Public code of the field has habits that cost time and change no result: a pass for the weights and one for the logits,
and a look at the query set after every inner step. `habits=False` leaves them out, which shows how much of a ratio
is owed to them and how much to how a network is executed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from metanas.bench.setting import Setting
from metanas.bench.textbook import TextbookNetwork, textbook_weights
from metanas.meta.adapt import Inner
from metanas.params import MetaParams, leaves, like
from tasks.episode import Batch, Episode


class Textbook:
    """The textbook's network with its loss, inner loop, meta-gradient and search step."""

    def __init__(self, setting: Setting, *, habits: bool = True) -> None:
        self.net: TextbookNetwork = setting.textbook()
        self.relaxation, self.temperature = setting.relaxation, setting.temperature
        self.habits = habits

    def loss(self, params: MetaParams, batch: Batch) -> Tensor:
        """Mean cross-entropy of one task, nats; the weights have the textbook's names."""
        gates = self.relaxation(params.arch, self.temperature, {})
        return F.cross_entropy(functional_call(self.net, params.weights, (batch.x, gates)), batch.y)

    def adapt(self, start: MetaParams, episode: Episode, inner: Inner) -> MetaParams:
        """`inner.steps` steps on the support set; both gradients of a step are taken at the same point."""
        params = start
        for _ in range(inner.steps):
            gradient = self._gradient(params, episode.support, create_graph=not inner.first_order)
            rates = [inner.lr_weights] * len(params.weights) + [inner.lr_arch] * len(params.arch)
            moved = [p - rate * g for p, rate, g in zip(leaves(params), rates, gradient, strict=True)]
            params = like(params, moved)
            if self.habits:
                with torch.no_grad():
                    self.loss(params, episode.query)
        return params

    def _gradient(self, params: MetaParams, batch: Batch, *, create_graph: bool) -> list[Tensor]:
        parts = [list(params.weights.values()), list(params.arch.values())]
        found: list[Tensor | None] = []
        if self.habits:
            for part in parts:
                loss = self.loss(params, batch)
                found += torch.autograd.grad(loss, part, create_graph=create_graph, allow_unused=True)
        else:
            loss = self.loss(params, batch)
            found += torch.autograd.grad(loss, parts[0] + parts[1], create_graph=create_graph, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(leaves(params), found, strict=True)]

    def meta_gradient(self, start: MetaParams, episodes: Episode, inner: Inner) -> MetaParams:
        """The sum over tasks of d query loss / d start."""
        total: list[Tensor] | None = None
        for task in range(len(episodes.support.y)):
            episode = Episode(*(Batch(batch.x[task], batch.y[task]) for batch in episodes))
            loss = self.loss(self.adapt(start, episode, inner), episode.query)
            found = torch.autograd.grad(loss, leaves(start), allow_unused=True)
            filled = [torch.zeros_like(p) if g is None else g for p, g in zip(leaves(start), found, strict=True)]
            total = filled if total is None else [a + b for a, b in zip(total, filled, strict=True)]
        assert total is not None
        return like(start, total)

    def search_step(self, params: MetaParams, train: Batch, held_out: Batch, rates: tuple[float, float]) -> MetaParams:
        """First-order DARTS: a step of the weights on one batch, then of the logits on another.

        As in public code `backward` fills the gradients of all parameters in both passes, though each pass uses only
        its own.
        """
        for batch, part, rate in ((train, 0, rates[0]), (held_out, 1, rates[1])):
            own = list(params[part].values())
            others = list(params[1 - part].values()) if self.habits else []
            found = torch.autograd.grad(self.loss(params, batch), own + others, allow_unused=True)
            moved = {
                name: (p if g is None else p - rate * g).detach().requires_grad_()
                for (name, p), g in zip(params[part].items(), found[: len(own)], strict=True)
            }
            params = MetaParams(moved, params.arch) if part == 0 else MetaParams(params.weights, moved)
        return params

    def second_order_step(
        self, params: MetaParams, train: Batch, held_out: Batch, rates: tuple[float, float], *, exact: bool
    ) -> MetaParams:
        """DARTS's second-order step of the logits (arXiv 1806.09055, equations 6 to 8), then one of the weights.

        `exact` differentiates through the weight step ahead; otherwise the product with the Hessian is a difference of
        gradients at weights moved by 0.01 in all.
        """
        weights, arch = list(params.weights.values()), list(params.arch.values())

        def slope(at: MetaParams, batch: Batch, wanted: list[Tensor], *, create_graph: bool = False) -> list[Tensor]:
            loss = self.loss(at, batch)
            found = torch.autograd.grad(loss, wanted, create_graph=create_graph, allow_unused=True)
            return [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found, strict=True)]

        gradient = slope(params, train, weights, create_graph=exact)
        ahead = [w - rates[0] * g for w, g in zip(weights, gradient, strict=True)]
        if exact:
            found = slope(like(params, ahead + arch), held_out, arch)
        else:
            leaf = [w.detach().requires_grad_() for w in ahead]
            both = slope(like(params, leaf + arch), held_out, leaf + arch)
            along, found = both[: len(leaf)], both[len(leaf) :]
            size = 0.01 / torch.cat([v.flatten() for v in along]).norm()
            plus, minus = (
                slope(
                    like(params, [(w + sign * size * v).detach() for w, v in zip(weights, along, strict=True)] + arch),
                    train,
                    arch,
                )
                for sign in (1, -1)
            )
            found = [f - rates[0] * (p - m) / (2 * size) for f, p, m in zip(found, plus, minus, strict=True)]
        moved = [(a - rates[1] * g).detach().requires_grad_() for a, g in zip(arch, found, strict=True)]
        params = like(params, weights + moved)
        gradient = slope(params, train, weights)
        stepped = [(w - rates[0] * g).detach().requires_grad_() for w, g in zip(weights, gradient, strict=True)]
        return like(params, stepped + moved)


def as_textbook(params: MetaParams) -> MetaParams:
    """Our parameters under the textbook's names, as leaves."""
    return MetaParams(
        {k: w.detach().clone().requires_grad_() for k, w in textbook_weights(params.weights).items()},
        {k: a.detach().clone().requires_grad_() for k, a in params.arch.items()},
    )
