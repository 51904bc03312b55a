"""Adaptation to a person's own task: a directory of labelled images in, a network of its own out."""

import csv
import errno
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save as save_weights
from torch import Tensor

from metanas.atomic import write_atomically
from metanas.config import Experiment
from metanas.errors import ConfigError, RunError
from metanas.evaluate.accuracy import predictions
from metanas.objective import Classification
from metanas.params import MetaParams, of_task
from metanas.problem import children
from metanas.run import build_data
from metanas.run.directory import RunDirectory
from metanas.run.posterior_files import posterior_files
from metanas.run.restore import restore
from metanas.run.stopwatch import Stopwatch
from metanas.run.workbench import Workbench
from metanas.spaces.cost import Cost
from metanas.spaces.draw import draw_cells
from metanas.spaces.space import Genotype
from metanas.strategies.posterior import Posterior
from tasks.decode import Decoder
from tasks.duplicates import equal_images
from tasks.episode import Batch
from tasks.sources.folder import Decoded, is_labelled, read_folder, read_unlabelled
from tasks.stream import stream

OPTIONAL = {"cell.svg", "posterior.json", "posterior.png"}
"""Files that not every task has."""


class Network(NamedTuple):
    """The network that is handed out: the decoded child, or the adapted supernet where `adapt.deploy` says so."""

    genotype: Genotype
    objective: Classification
    params: MetaParams
    """Its weights; a supernet has logits too."""
    posterior: Posterior | None
    """What the support set leaves open about the genotype, where the run learned a prior over architectures."""


@dataclass(frozen=True)
class Adapted:
    """What adapting to a task gave."""

    network: Network
    classes: tuple[str, ...]
    seconds: float
    """From the decoded images to the network's final weights."""
    cost: Cost
    accuracy: float | None
    """On the query images; None when they have no labels or there are none."""
    predicted: int
    """Rows of predictions.csv."""
    files: tuple[str, ...]
    """Names of what was written."""


def adapt(
    directory: RunDirectory,
    experiment: Experiment,
    support: Path,
    query: Path | None,
    out: Path,
    *,
    transductive: bool = False,
) -> Adapted:
    """Finds, trains and writes the network of one task.

    Writes genotype.json, weights.safetensors, predictions.csv (of the query images, or of the support images where no
    query is given) and, where cells are searched, cell.svg into `out`, after everything has succeeded; and where there
    is a posterior over cells, posterior.json and posterior.png.

    Args:
        directory: of a meta-trained run.
        experiment: its configuration, perhaps with another `adapt`.
        support: class folders of images, 2 to the run's n_way classes.
        query: class folders of the same names with other images, or a folder of unlabelled images.
        out: where to write; made when missing.
        transductive: normalise the query images with their own statistics, better for many images of all classes.
            Otherwise each prediction depends on the support set and its own image only.
    """
    bench, state, *_ = restore(directory, experiment)
    decoder = Decoder(bench.spec.image, skip_corrupt=experiment.data.skip_corrupt)
    labelled = read_folder(support, decoder)
    classes = tuple(labelled)
    if len(classes) > bench.spec.n_way:
        raise ConfigError(
            f"{support} has {len(classes)} classes, the run {directory.path} can tell {bench.spec.n_way} apart; "
            f"remove classes, or meta-train with task.n_way={len(classes)}"
        )
    questions = _questions(query, labelled, decoder, classes)
    build_data.say_skipped(str(support), decoder.skipped)
    if query is not None:
        _refuse_seen(query, labelled, questions)
    _check_out(out)

    batch = Batch(
        _images([image for images in labelled.values() for _, image in images], bench.device),
        torch.tensor([i for i, images in enumerate(labelled.values()) for _ in images], device=bench.device),
    )
    watch = Stopwatch(bench.device)
    network = _solve(bench, state.learner.params, batch, len(classes))
    seconds = watch.read()

    paths = [path for path, _, _ in questions]
    logits = predictions(
        network.objective,
        network.params,
        batch.x,
        _images([image for _, image, _ in questions], bench.device),
        transductive=transductive,
    )
    probabilities = torch.softmax(logits, -1).tolist()
    truths = [truth for _, _, truth in questions]
    guesses = [classes[max(range(len(classes)), key=row.__getitem__)] for row in probabilities]
    known = [guess == truth for guess, truth in zip(guesses, truths, strict=True) if truth is not None]
    size = bench.cost(network.objective.net, len(classes))
    files = _files(bench, network, classes, _table(paths, guesses, truths, probabilities, classes), size)
    _write(out, files)
    return Adapted(
        network,
        classes,
        seconds,
        size,
        sum(known) / len(known) if known and query is not None else None,
        len(paths),
        tuple(files),
    )


def _solve(bench: Workbench, start: MetaParams, support: Batch, n_classes: int) -> Network:
    """Search, decode, inherit, further steps: the same path as in evaluation."""
    problem = bench.problem(start, Batch(support.x[None], support.y[None]), n_classes)
    objective, choice = bench.solve(problem)
    posterior = bench.posterior(choice, 0) if bench.has_posteriors else None
    if bench.experiment.adapt.deploy == "supernet":
        return Network(choice.genotypes[0], objective, of_task(choice.params, 0), posterior)
    child = children(problem, choice)[0]
    return Network(child.genotype, Classification(child.net, viewing=problem.viewing), child.params, posterior)


Question = tuple[Path, Tensor, str | None]
"""A query image: its file, its pixels, and its class where it is known."""


def _questions(
    query: Path | None, labelled: dict[str, Decoded], decoder: Decoder, classes: tuple[str, ...]
) -> list[Question]:
    if query is None:
        return [(path, pixels, name) for name, images in labelled.items() for path, pixels in images]
    if not is_labelled(query):
        return [(path, pixels, None) for path, pixels in read_unlabelled(query, decoder)]
    found = read_folder(query, decoder, least_classes=1)
    unknown = sorted(set(found) - set(classes))
    if unknown:
        raise ConfigError(
            f"{query} holds the class {unknown[0]!r}, which the support set lacks; expected some of "
            f"{', '.join(classes)}"
        )
    return [(path, pixels, name) for name, images in found.items() for path, pixels in images]


def _refuse_seen(query: Path, support: dict[str, Decoded], questions: list[Question]) -> None:
    """An image that is learned from says nothing about accuracy; without a label it may be asked about."""
    known = [file for images in support.values() for file in images]
    asked = [(path, pixels) for path, pixels, truth in questions if truth is not None]
    files = known + asked
    groups = equal_images(pixels for _, pixels in files)
    seen = [(group[0], i) for group in groups for i in group if group[0] < len(known) <= i]
    if seen:
        learned, judged = (files[i][0] for i in seen[0])
        raise ConfigError(
            f"{query}: expected images that the support set lacks, got {len(seen)} that it holds: {judged} shows what "
            f"{learned} does; remove them, or give the query images without class folders to see predictions alone"
        )


def _images(pixels: list[Tensor], device: torch.device) -> Tensor:
    return torch.stack(pixels).to(device, torch.get_default_dtype()) / 255


def _table(
    paths: list[Path],
    guesses: list[str],
    truths: list[str | None],
    probabilities: list[list[float]],
    classes: tuple[str, ...],
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "predicted", "true", *(f"p({name})" for name in classes)])
    for path, guess, truth, row in zip(paths, guesses, truths, probabilities, strict=True):
        writer.writerow([path, guess, truth or "", *(f"{p:.6f}" for p in row)])
    return text.getvalue()


def _check_out(out: Path) -> None:
    """Before the work, and without leaving anything behind: could `out` be made and written?"""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES if existing.is_dir() else errno.ENOTDIR)
        raise RunError(f"{out} cannot be written: {reason}; choose another --out")


def _files(bench: Workbench, network: Network, classes: tuple[str, ...], table: str, size: Cost) -> dict[str, bytes]:
    """What is written, by name: the first three always, those of `OPTIONAL` where there are cells and posteriors."""
    is_decoded = bench.experiment.adapt.strategy != "uniform"  # which chooses no cell
    cells = bench.space.cells(network.genotype) if is_decoded else {}
    description = {
        "space": asdict(bench.experiment.space),
        "strategy": bench.experiment.adapt.strategy,
        "deployed": bench.experiment.adapt.deploy,
        "classifier": bench.experiment.adapt.classifier,
        "reference": bench.experiment.adapt.reference,
        "background": bench.experiment.adapt.background,
        "views": bench.experiment.adapt.views,
        "genotype": list(network.genotype) if is_decoded else None,
        "cells": {kind: [edge._asdict() for edge in edges] for kind, edges in cells.items()},
        "classes": list(classes),
        "image": list(bench.spec.image),
        "params": size.params,
        "macs": size.macs,
    }
    tensors = network.params.weights | {f"arch.{kind}": logits for kind, logits in network.params.arch.items()}
    weights = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    files = {
        "genotype.json": (json.dumps(description, indent=1) + "\n").encode(),
        "weights.safetensors": save_weights(weights, {"genotype": json.dumps(description["genotype"])}),
        "predictions.csv": table.encode(errors="surrogateescape"),  # names of files as they are
    }
    if cells:
        drawn = draw_cells(cells, bench.space.wiring, "cell of " + ", ".join(classes))
        files["cell.svg"] = drawn.encode(errors="replace")
    if network.posterior is not None:
        experiment = bench.experiment
        files |= posterior_files(network.posterior, experiment.adapt.cells, stream(experiment.seed, "posterior"))
    return files


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes `files`, and removes what an earlier task has left that this one has not."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in OPTIONAL - files.keys():
            (out / name).unlink(missing_ok=True)
        for name, content in files.items():
            write_atomically(out / name, content)
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}; make room or choose another --out") from error
