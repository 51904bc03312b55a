"""The trackers of a run: metrics.jsonl is the truth, everything else a copy."""

import logging

from omegaconf import OmegaConf

from metanas.config_file import AnyExperiment
from metanas.run.directory import RunDirectory
from metanas.track.fan_out import FanOut
from metanas.track.jsonl import Jsonl
from metanas.track.tracker import TRAIN_STEP, Tracker
from metanas.track.wandb import Wandb

log = logging.getLogger(__name__)


def open_trackers(
    directory: RunDirectory, experiment: AnyExperiment, resume_from: int | None, position: str = TRAIN_STEP
) -> FanOut:
    """All trackers that the experiment asks for; one that cannot start is left out with a warning.

    Args:
        directory: of the run.
        experiment: its configuration.
        resume_from: later rows of metrics.jsonl are dropped; None keeps all.
        position: the key of a row's position.
    """
    trackers: list[Tracker] = [Jsonl(directory.metrics, resume_from, position)]
    wandb = experiment.track.wandb
    if wandb.mode != "disabled":
        config = OmegaConf.to_container(OmegaConf.structured(experiment))
        assert isinstance(config, dict)
        try:
            trackers.append(
                Wandb(
                    directory.path,
                    wandb.project,
                    experiment.name,
                    wandb.mode,
                    {str(k): v for k, v in config.items()},
                    position,
                )
            )
        except Exception as error:  # a copy must never harm a run, whatever its library raises
            log.warning("Weights & Biases is left out of this run: %s: %s", type(error).__name__, error)
    return FanOut(trackers)
