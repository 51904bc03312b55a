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
    if gradient == "reptile" and not inner.steps:
        raise ConfigError(
            "meta.gradient=reptile moves the start towards where the inner loop ends, which is the start itself: "
            "expected inner.steps of at least 1, got 0"
        )
    task, minibatches = experiment.task, experiment.meta.minibatches
    images = (1 if task.varied else task.k_shot) + task.n_query
    if minibatches > images:
        raise ConfigError(
            f"meta.minibatches={minibatches} parts are more than the {images} images of each class of a task, so that "
            "some would lack classes; lower meta.minibatches, or raise task.n_query"
        )
    if gradient == "imaml":
        inner.check_implicit()
    if multi_step and inner.steps < 2:
        raise ConfigError(
            f"meta.multi_step={multi_step} weighs inner steps: expected inner.steps of at least 2, got {inner.steps}; "
            "set meta.multi_step=0"
        )
    is_exact = gradient in ("maml", "variational") and not inner.first_order
    if inner.optimiser == "adam" and is_exact:
        raise ConfigError(
            "inner.optimiser=adam cannot be differentiated through: expected inner.first_order=true with "
            f"meta.gradient={gradient}, got false; or take meta.gradient=reptile, or inner.optimiser=sgd"
        )


def _learner_and_gates(experiment: "Experiment") -> None:
    """What a posterior over architectures needs."""
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
    relax = experiment.relax
    is_drawn = relax.kind == "gumbel_softmax" or (relax.kind == "straight_through" and relax.temperature_end > 0)
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
