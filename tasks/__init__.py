"""Few-shot tasks: banks of images, class splits, and episodes as pure functions of (seed, index)."""

from tasks.bank import ImageBank as ImageBank
from tasks.dataset import Dataset as Dataset
from tasks.episode import Batch as Batch
from tasks.episode import Episode as Episode
from tasks.episode import Episodes as Episodes
from tasks.episode import Stack as Stack
from tasks.episode import TaskSpec as TaskSpec
from tasks.episode import check_episode as check_episode
from tasks.episode import stack as stack
from tasks.errors import DataError as DataError
from tasks.mixture import Mixture as Mixture
from tasks.sampler import EpisodeSampler as EpisodeSampler
from tasks.split import ClassSplit as ClassSplit
from tasks.stream import stream as stream
from tasks.varied import VariedSampler as VariedSampler
