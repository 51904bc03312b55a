"""Parts of an experiment that cannot work together, each pair refused by the names of its keys."""

from typing import TYPE_CHECKING

from metanas.config.meta import METRIC
from metanas.errors import ConfigError

if TYPE_CHECKING:
    from metanas.config.experiment import Experiment


def check_pairs(experiment: "Experiment") -> None:
    """Raises `ConfigError` for the first pair that cannot work."""
    for check in (_learner_and_support, _learner_and_labels, _learner_and_loop, _learner_and_gates, _space):
        check(experiment)


def _learner_and_support(experiment: "Experiment") -> None:
    """What a metric learner leaves to the support set."""
    gradient, adapt = experiment.meta.gradient, experiment.adapt
    if gradient in ("cosine_prototypes", "relation") and adapt.classifier == "cosine":
        raise ConfigError(
            f"meta.gradient={gradient} learns how to compare class means: expected adapt.classifier=means, got cosine"
        )
    is_stepless = adapt.steps == adapt.child_steps == 0
    if gradient in METRIC and not (is_stepless and adapt.classifier != "trained"):
        raise ConfigError(
            f"meta.gradient={gradient} takes no support steps: expected adapt.steps=0 adapt.child_steps=0 "
            f"adapt.classifier=means, got {adapt.steps}, {adapt.child_steps} and {adapt.classifier}; set these three "
            "too"
        )


def _learner_and_labels(experiment: "Experiment") -> None:
    """Who can make use of labels that hold outside an episode."""
    gradient, adapt, task = experiment.meta.gradient, experiment.adapt, experiment.task
    if task.labels == "classes":
        if gradient != "joint" or adapt.classifier == "trained":
            raise ConfigError(
                "task.labels=classes teaches one classifier of all training classes: expected meta.gradient=joint "
                f"and adapt.classifier=means or cosine, which do without it, got {gradient} and {adapt.classifier}"
            )
        if experiment.data.mix:
            raise ConfigError(
                f"task.labels=classes takes the classes of one data set for labels, got data.mix={experiment.data.mix}"
            )
    elif experiment.meta.smoothing:
        raise ConfigError(
            f"meta.smoothing={experiment.meta.smoothing} softens the labels of one classifier of all classes: expected "
            f"task.labels=classes, got {task.labels}; set meta.smoothing=0"
        )
    if (experiment.evaluate.n_way or 0) > task.n_way:
        raise ConfigError(
            f"evaluate.n_way={experiment.evaluate.n_way} classes are more than task.n_way={task.n_way} taught a "
            "network to tell apart; lower evaluate.n_way, or meta-train with a larger task.n_way"
        )


def _learner_and_loop(experiment: "Experiment") -> None:
    """Inner loops that a learner cannot learn through."""
    gradient, inner, multi_step = experiment.meta.gradient, experiment.inner, experiment.meta.multi_step
    if inner.rates != "fixed" and gradient not in ("maml", "variational"):
        raise ConfigError(
            f"inner.rates={inner.rates} is learned through the inner loop, which meta.gradient=maml and "
            f"variational differentiate, got meta.gradient={gradient}; take inner.rates=fixed"
        )
    if gradient == "reptile":
        _reptile(experiment)
    if gradient == "imaml":
        inner.check_implicit()
    if multi_step and inner.steps < 2:
        raise ConfigError(
            f"meta.multi_step={multi_step} weighs inner steps: expected inner.steps of at least 2, got {inner.steps}; "
            "set meta.multi_step=0"
        )
    is_exact = gradient in ("maml", "variational") and not inner.first_order
    if inner.optimiser == "carried_adam" and gradient != "reptile":
        raise ConfigError(
            "inner.optimiser=carried_adam is carried from task to task by meta.gradient=reptile alone, got "
            f"meta.gradient={gradient}; take inner.optimiser=adam, which begins anew with every task"
        )
    if inner.optimiser == "adam" and is_exact:
        raise ConfigError(
            "inner.optimiser=adam cannot be differentiated through: expected inner.first_order=true with "
            f"meta.gradient={gradient}, got false; or take meta.gradient=reptile, or inner.optimiser=sgd"
        )


def _reptile(experiment: "Experiment") -> None:
    """Inner loops whose end says nothing about the start."""
    inner, outer, task, minibatches = experiment.inner, experiment.outer, experiment.task, experiment.meta.minibatches
    if not inner.steps:
        raise ConfigError(
            "meta.gradient=reptile moves the start towards where the inner loop ends, which is the start itself: "
            "expected inner.steps of at least 1, got 0"
        )
    if inner.moves != "all" or (outer.lr_weights and not inner.lr_weights):
        raise ConfigError(
            "meta.gradient=reptile learns what the inner loop moves alone: expected inner.moves=all and "
            f"inner.lr_weights above 0, got {inner.moves} and {inner.lr_weights}; take meta.gradient=maml, or set "
            "outer.lr_weights=0 where weights are to rest"
        )
    is_searched = not experiment.space.is_fixed and experiment.adapt.strategy in ("gradient", "prior")
    moves_arch = inner.lr_arch and inner.arch_steps != 0
    if is_searched and outer.lr_arch and not moves_arch:
        raise ConfigError(
            "meta.gradient=reptile learns what the inner loop moves alone, and its logits rest: expected "
            f"inner.lr_arch and inner.arch_steps above 0, got {inner.lr_arch} and {inner.arch_steps}; take "
            "meta.gradient=maml, or set outer.lr_arch=0 where the drawn logits are to stay"
        )
    images = 2 if task.varied else task.k_shot + task.n_query  # varied tasks have at least two images of a class
    if minibatches > images:
        raise ConfigError(
            f"meta.minibatches={minibatches} parts are more than the {images} images of each class of a task, so that "
            "some would lack classes; lower meta.minibatches, or raise task.n_query"
        )
    if minibatches > inner.steps:
        raise ConfigError(
            f"meta.minibatches={minibatches} parts are more than inner.steps={inner.steps}, so that some images would "
            "be in no step; lower meta.minibatches, or raise inner.steps"
        )


def _learner_and_gates(experiment: "Experiment") -> None:
    """What draws of the gates, and a posterior over architectures, need."""
    relax = experiment.relax
    is_drawn = relax.kind == "gumbel_softmax" or (relax.kind == "straight_through" and relax.temperature_end > 0)
    if experiment.adapt.samples > 1 and not is_drawn:
        raise ConfigError(
            f"adapt.samples={experiment.adapt.samples} draws of gates that are not drawn are all the same: expected "
            "relax.kind=gumbel_softmax, or straight_through with relax.temperature_end above 0, got "
            f"relax.kind={relax.kind} and relax.temperature_end={relax.temperature_end}; or set adapt.samples=0"
        )
    if experiment.meta.gradient != "variational":
        return
    if not experiment.inner.kl_arch:
        raise ConfigError(
            "meta.gradient=variational needs inner.kl_arch above 0, got 0, which is meta.gradient=maml; 1 is Bayes' "
            "rule"
        )
    if experiment.space.is_fixed:
        raise ConfigError(
            "meta.gradient=variational learns a posterior over architectures: expected a space with something to "
            f"decide, got {experiment.space.named}; take meta.gradient=maml"
        )
    if not is_drawn:
        raise ConfigError(
            "meta.gradient=variational takes its expectation over gates that are drawn: expected "
            "relax.kind=gumbel_softmax, or straight_through with relax.temperature_end above 0, got "
            f"relax.kind={relax.kind} and relax.temperature_end={relax.temperature_end}"
        )


def _space(experiment: "Experiment") -> None:
    """What a space cannot be asked for."""
    space, adapt = experiment.space, experiment.adapt
    if space.is_fixed and (adapt.strategy, adapt.deploy) != ("gradient", "child"):
        raise ConfigError(
            f"{space.named} has nothing to decide: expected adapt.strategy=gradient adapt.deploy=child, got "
            f"{adapt.strategy} and {adapt.deploy}"
        )
    if experiment.relax.kind == "soft_pruning" and space.kind == "nas_bench_201" and not space.genotype:
        raise ConfigError(
            "relax.kind=soft_pruning leaves every node two of its inputs, and a node of space.kind=nas_bench_201 takes "
            "all of them: expected fewshot, darts or metanas, or another relax.kind"
        )
