"""What meta-training, evaluation and adaptation all start from: the objects of an experiment, built once."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from metanas.config import Experiment
from metanas.errors import ConfigError
from metanas.meta.ways import narrow
from metanas.objective import Classification
from metanas.params import MetaParams, of_task
from metanas.problem import Choice, Problem, as_decoded
from metanas.recorder import check_engine
from metanas.relax.relaxation import Relaxation
from metanas.run import build, build_data
from metanas.spaces.cost import Cost, cost
from metanas.spaces.space import SearchSpace
from metanas.strategies.posterior import Posterior
from metanas.strategies.strategy import Strategy, tune
from metanas.viewing import Viewing
from tasks.augment import VIEWS
from tasks.bank import in_unit_range
from tasks.episode import Batch, TaskSpec
from tasks.stream import stream


@dataclass(frozen=True)
class Workbench:
    """An experiment and the objects that it names, apart from its data."""

    experiment: Experiment
    device: torch.device
    space: SearchSpace
    spec: TaskSpec
    net: nn.Module
    """The supernet's skeleton."""
    relaxation: Relaxation
    strategy: Strategy
    viewing: Viewing = Viewing()
    """Of the images of new tasks, as `adapt` says; see `with_reference`."""
    _narrow: dict[int, nn.Module] = field(default_factory=dict, compare=False)
    """Skeletons for fewer ways, as they come up."""

    @staticmethod
    def of(experiment: Experiment) -> "Workbench":
        """Builds everything; raises `ConfigError` for what cannot be built."""
        space = build.space(experiment)
        spec = build_data.spec(experiment)
        device = build.device(experiment)
        views = [view for name in experiment.adapt.views for view in VIEWS[name](experiment.data.resolution)]
        check_engine(experiment.inner.engine, device)
        return Workbench(
            experiment,
            device,
            space,
            spec,
            space.supernet(spec),
            build.relaxation(experiment, space),
            build.strategy(experiment, space),
            Viewing(views=tuple(views)),
        )

    def with_reference(self, images: Tensor | None) -> "Workbench":
        """The same with `adapt.reference` and `adapt.background` of the `images` that meta-training kept for them.

        Args:
            images: uint8 `[m, c, h, w]`, of which the first normalise and the last are the background.

        Raises:
            ConfigError: it kept fewer.
        """
        adapt, kept = self.experiment.adapt, 0 if images is None else len(images)
        wanted = adapt.reference + adapt.background
        if wanted > kept:
            raise ConfigError(
                f"adapt.reference={adapt.reference} and adapt.background={adapt.background} want more training images "
                f"than the {kept} that this run kept; lower them, or meta-train with them"
            )
        if images is None or not wanted:
            return replace(self, viewing=replace(self.viewing, reference=None, background=None))
        shown = in_unit_range(images.to(self.device))
        reference, background = shown[: adapt.reference], shown[kept - adapt.background :]
        return replace(
            self,
            viewing=replace(
                self.viewing,
                reference=reference if adapt.reference else None,
                background=background if adapt.background else None,
            ),
        )

    @property
    def judged(self) -> TaskSpec:
        """The shape of the episodes of validation and evaluation; `spec` is that of meta-training."""
        return build_data.judged_spec(self.experiment)

    @property
    def precision(self) -> torch.dtype:
        """Of the images that tasks learn from, which every layer takes up."""
        return build.precision(self.experiment.space)

    @property
    def has_posteriors(self) -> bool:
        """Whether what a task ends at is a posterior over architectures (`metanas.meta.variational`)."""
        experiment = self.experiment
        is_searched = bool(self.space.decisions) and experiment.adapt.strategy == "gradient"
        return is_searched and experiment.meta.gradient == "variational"

    def posterior(self, choice: Choice, task: int) -> Posterior:
        """Over architectures of a task that `solve` or the strategy has adapted to."""
        return Posterior(self.space, of_task(choice.params, task).arch)

    def problem(self, start: MetaParams, support: Batch, n_way: int) -> Problem:
        """Tasks of `n_way` classes to solve from `start`, with support sets stacked `[tasks, n, ...]`."""
        net = self.net_of(n_way)
        support = support.to(self.precision)
        return Problem(self.space, replace(self.spec, n_way=n_way), net, support, narrow(start, net), self.viewing)

    def cost(self, net: nn.Module, n_way: int | None = None) -> Cost:
        """What a network of this workbench costs that predicts `n_way` classes, with all views of an image."""
        found = cost(net, replace(self.judged, n_way=n_way or self.judged.n_way))
        return found._replace(macs=found.macs * (1 + len(self.viewing.views)))

    def net_of(self, n_way: int) -> nn.Module:
        """The supernet's skeleton for tasks of `n_way` classes."""
        if n_way == self.spec.n_way:
            return self.net
        if n_way not in self._narrow:
            self._narrow[n_way] = self.space.supernet(replace(self.spec, n_way=n_way))
        return self._narrow[n_way]

    def resting(self) -> "Workbench":
        """The same with logits that rest in a search, which so ends at the prior's cell: by the way of an own cell."""
        experiment = replace(self.experiment, adapt=replace(self.experiment.adapt, lr_arch=0.0))
        return replace(self, experiment=experiment, strategy=build.strategy(experiment, self.space))

    def searched(self, problem: Problem, *numbers: int) -> Choice:
        """What the strategy finds, all tasks in one call; for `numbers` see `solve`."""
        return self.strategy(problem, stream(self.experiment.seed, "search", *numbers))

    def solve(self, problem: Problem, *numbers: int) -> tuple[Classification, Choice]:
        """What is handed out for each task, all in one call: the child after further steps, or the adapted supernet.

        What is drawn at random is a function of the seed and of `numbers`, such as that of the first episode.
        """
        experiment = self.experiment
        found = self.searched(problem, *numbers)
        if experiment.adapt.deploy == "supernet":
            objective = self.strategy.objective(problem, found)
        else:
            found = self.tuned(problem, found, build.child_steps(experiment))
            objective = as_decoded(problem, found)
        return self.classified(problem, objective, found)

    def tuned(self, problem: Problem, choice: Choice, steps: int) -> Choice:
        """`choice` after `steps` further support steps of each child."""
        return tune(problem, choice, build.inner_of(self.experiment, steps))

    def classified(self, problem: Problem, objective: Classification, choice: Choice) -> tuple[Classification, Choice]:
        """`choice` with the classifier that `adapt.classifier` asks for, beside its networks."""
        match self.experiment.adapt.classifier:
            case "trained":
                return objective, choice
            case "means":
                return with_class_means(problem, objective, choice)
            case "cosine":
                with torch.no_grad():
                    given = objective.with_class_directions(choice.params, problem.support)
                return objective, choice._replace(params=given)

    def deploy(self, problem: Problem, *numbers: int) -> tuple[Classification, MetaParams]:
        """The networks of `solve`, all tasks in one call, and their weights."""
        objective, choice = self.solve(problem, *numbers)
        return objective, choice.params


def with_class_means(problem: Problem, objective: Classification, choice: Choice) -> tuple[Classification, Choice]:
    """`choice` with the class means of the support set as classifier, beside its networks: nearest centroid."""
    with torch.no_grad():
        return objective, choice._replace(params=objective.with_class_means(choice.params, problem.support))
