"""Exchange with other libraries: torch data sets become banks, task sets episodes, and episodes task sets."""

from tasks.exchange.episodes_taskset import EpisodesTaskset as EpisodesTaskset
from tasks.exchange.taskset_episodes import TasksetEpisodes as TasksetEpisodes
from tasks.exchange.torch_dataset import from_torch as from_torch
