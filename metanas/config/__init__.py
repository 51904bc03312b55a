"""The configuration of a run: schema, defaults and ranges; `config_file` reads and writes it.

Meta-training is an `Experiment`, a single-task search a `SearchExperiment`. A value out of its range is a `ConfigError`
that names the key.
"""

from metanas.config.data import Data as Data
from metanas.config.data import Task as Task
from metanas.config.experiment import Experiment as Experiment
from metanas.config.judging import Adapt as Adapt
from metanas.config.judging import Evaluate as Evaluate
from metanas.config.meta import Meta as Meta
from metanas.config.network import Relax as Relax
from metanas.config.network import Space as Space
from metanas.config.search import Images as Images
from metanas.config.search import MethodName as MethodName
from metanas.config.search import Search as Search
from metanas.config.search import SearchExperiment as SearchExperiment
from metanas.config.tracking import Track as Track
from metanas.config.tracking import Wandb as Wandb
