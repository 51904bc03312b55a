"""How a YAML file and overrides become an experiment, and back.

Layers, in order: the defaults of the schema, a YAML file, `key=value` overrides. A wrong key, type or range is a
`ConfigError` of one line that names the key.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from metanas.config import Experiment
from metanas.config.exploration import Exploration
from metanas.config.retrain import RetrainExperiment
from metanas.config.search import SearchExperiment
from metanas.errors import ConfigError

AnyExperiment = Experiment | SearchExperiment | RetrainExperiment | Exploration
"""What a configuration file can define."""

Schema = TypeVar("Schema", Experiment, SearchExperiment, RetrainExperiment, Exploration)


def load_experiment(path: Path | None, overrides: list[str]) -> Experiment:
    """Meta-training as a YAML file (None: the defaults) and `key=value` overrides say; raises `ConfigError`."""
    return _load(Experiment, path, overrides)


def load_search(path: Path | None, overrides: list[str]) -> SearchExperiment:
    """A single-task search as a YAML file (None: the defaults) and `key=value` overrides say; raises `ConfigError`."""
    return _load(SearchExperiment, path, overrides)


def load_retrain(path: Path | None, overrides: list[str]) -> RetrainExperiment:
    """A training from scratch as a YAML file (None: the defaults) and overrides say; raises `ConfigError`."""
    return _load(RetrainExperiment, path, overrides)


def load_exploration(path: Path | None, overrides: list[str]) -> Exploration:
    """An exploration as a YAML file (None: the defaults) and `key=value` overrides say; raises `ConfigError`."""
    return _load(Exploration, path, overrides)


def load_any(path: Path | None, overrides: list[str]) -> AnyExperiment:
    """What a YAML file defines, with overrides; meta-training without a file; raises `ConfigError`."""
    layer = DictConfig({}) if path is None else _read(path)
    if "search" in layer:  # each kind but meta-training has a group that the others lack
        return load_search(path, overrides)
    if "explore" in layer:
        return load_exploration(path, overrides)
    return load_retrain(path, overrides) if "retrain" in layer else load_experiment(path, overrides)


def defines_exploration(path: Path) -> bool:
    """Whether a YAML file is of an exploration: it has the group `explore`, which nothing else has."""
    return "explore" in _read(path)


def _load(kind: type[Schema], path: Path | None, overrides: list[str]) -> Schema:
    schema = OmegaConf.structured(kind)
    for item in overrides:
        if "=" not in item:
            raise ConfigError(f"an override is written key=value, got {item!r}")
    try:
        layers = [schema]
        if path is not None:
            layers.append(_read(path))
        layers.append(OmegaConf.from_dotlist(overrides))
        for layer in layers[1:]:
            _check_layer(schema, layer)
        experiment = OmegaConf.to_object(OmegaConf.merge(*layers))
    except (OmegaConfBaseException, yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise ConfigError(_one_line(error, path, overrides)) from error
    assert isinstance(experiment, kind)
    return experiment


def dump_experiment(experiment: AnyExperiment) -> str:
    """The resolved configuration as YAML; `load_any` reads it back unchanged."""
    return OmegaConf.to_yaml(OmegaConf.structured(experiment))


def changes(before: AnyExperiment, now: AnyExperiment) -> dict[str, tuple[object, object]]:
    """The values of dotted keys that differ, before and now; both are of one kind."""
    one, other = _flat(asdict(before)), _flat(asdict(now))
    return {key: (one[key], value) for key, value in other.items() if one[key] != value}


def override(key: str, value: object) -> str:
    """KEY=VALUE as a command line has it."""
    if isinstance(value, list):
        return f"{key}=[{','.join(map(str, value))}]"
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def _flat(group: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The values of nested groups under dotted keys."""
    flat: dict[str, object] = {}
    for key, value in group.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _read(path: Path) -> DictConfig:
    try:
        layer = OmegaConf.load(path)
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror or error}") from error
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(_one_line(error, path, [])) from error
    if isinstance(layer, ListConfig):
        raise ConfigError(f"{path}: expected a mapping of keys to values, got a list")
    assert isinstance(layer, DictConfig)
    return layer


def _check_layer(schema: DictConfig, layer: DictConfig, prefix: str = "") -> None:
    """Refuses interpolations, which OmegaConf allows, and groups in the place of values, which it words badly.

    An interpolation could copy an environment variable into a tracked configuration.
    """
    for key in map(str, layer):
        name = f"{prefix}{key}"
        if OmegaConf.is_interpolation(layer, key):
            raise ConfigError(f"{name} holds an interpolation ${{...}}; write the value itself")
        if key not in schema:
            continue  # the merge names the nearest key
        expected, given = schema[key], layer[key]
        if _shape(expected) != _shape(given):
            raise ConfigError(f"{name} must be {_shape(expected)}, got {given}")
        if isinstance(given, ListConfig) and any(OmegaConf.is_interpolation(given, i) for i in range(len(given))):
            raise ConfigError(f"{name} holds an interpolation ${{...}}; write the value itself")
        if isinstance(given, DictConfig):
            _check_layer(expected, given, f"{name}.")


def _shape(value: object) -> str:
    if isinstance(value, DictConfig):
        return "a group of keys and values"
    return "a list [a, b]" if isinstance(value, ListConfig) else "a single value"


def _one_line(error: Exception, path: Path | None, overrides: list[str]) -> str:
    """The first line of a library's message, with the key and the places to look."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if isinstance(error, yaml.YAMLError):
        text = " ".join(lines)
    key = getattr(error, "full_key", None)
    places = " and ".join([*([str(path)] if path else []), *(["the overrides"] if overrides else [])])
    return f"{places or 'configuration'}: {f'{key}: ' if key and key not in text else ''}{text}"
