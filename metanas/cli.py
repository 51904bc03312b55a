"""The command line: one verb, one call into `metanas.run`. Nothing heavy is imported before a verb runs."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich would double the time of --help
    help="Meta-learned neural architecture search: meta-train a supernet, adapt a cell to a few-shot task in seconds.",
)
data = typer.Typer(no_args_is_help=True, help="The data sets that a configuration can name.")
app.add_typer(data, name="data")

Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file; defaults where it is silent.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value, e.g. inner.steps=3.", metavar="[KEY=VALUE]...")]
DataRoot = Annotated[list[str] | None, typer.Argument(help="Where data sets lie.", metavar="[data.root=DIR]")]
Run = Annotated[Path, typer.Argument(help="A run directory.")]
Out = Annotated[Path | None, typer.Option("--out", help="Where to write.")]


class Split(StrEnum):
    """Whose classes are shown."""

    train = "train"
    validation = "validation"
    test = "test"


class Device(StrEnum):
    """Where something is measured."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


@contextmanager
def plainly() -> Iterator[None]:
    """Turns a person's mistake into one line on standard error and exit code 2, a signal into 128 + its number."""
    from metanas.errors import MetaNasError
    from metanas.run.interrupt import Interrupted
    from tasks.errors import DataError

    logging.basicConfig(format="metanas: %(levelname)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        yield
    except (MetaNasError, DataError) as error:
        typer.secho(f"metanas: {' '.join(str(error).split())}", fg="red", err=True)
        raise typer.Exit(2) from None
    except BrokenPipeError:  # whoever read has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write goes nowhere
        raise typer.Exit(128 + signal.SIGPIPE) from None
    except OSError as error:  # a full disk, a directory that vanished: no fault of the program either
        what = f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}"
        typer.secho(f"metanas: {what}; make room or choose another --out", fg="red", err=True)
        raise typer.Exit(2) from None
    except Interrupted as stopped:
        typer.secho(f"metanas: stopped by {stopped}", fg="yellow", err=True)
        raise typer.Exit(stopped.exit_code) from None


@app.command("meta-train")
def meta_train(
    overrides: Overrides = None, config: Config = None, out: Out = None, resume: bool = False, quiet: Quiet = False
) -> None:
    """Learn weights and an architecture prior from many tasks; writes runs/NAME unless --out says otherwise."""
    with plainly():
        from metanas.config_file import load_experiment
        from metanas.run.directory import RunDirectory
        from metanas.run.meta_train import meta_train as run

        experiment = load_experiment(config, overrides or [])
        directory = RunDirectory(out or Path("runs") / experiment.name)
        run(experiment, directory, resume=resume, quiet=quiet)
        typer.echo(f"meta-trained: {directory.path}\nnext: metanas evaluate {directory.path}")


@app.command()
def search(
    overrides: Overrides = None, config: Config = None, out: Out = None, resume: bool = False, quiet: Quiet = False
) -> None:
    """Find the cells of one task by differentiable search, or, where the file has the group explore, the best cell for
    a meta-learner by scoring candidates; writes runs/NAME unless --out says otherwise."""
    with plainly():
        from metanas.config_file import defines_exploration, load_exploration, load_search
        from metanas.run.directory import RunDirectory
        from metanas.run.search import search as run
        from metanas.run.wording import explored_lines, search_lines

        if config is not None and defines_exploration(config):
            from metanas.run.explore import explore

            exploration = load_exploration(config, overrides or [])
            directory = RunDirectory(out or Path("runs") / exploration.name)
            found = explore(exploration, directory, resume=resume, quiet=quiet)
            typer.echo(explored_lines(found, directory.path))
            return
        experiment = load_search(config, overrides or [])
        directory = RunDirectory(out or Path("runs") / experiment.name)
        typer.echo(search_lines(run(experiment, directory, resume=resume, quiet=quiet), directory.path))


@app.command()
def retrain(
    genotype: Annotated[
        str,
        typer.Argument(help="A search, a file, a published name, random, random:SEARCH, or the text Genotype(...)."),
    ],
    overrides: Overrides = None,
    config: Config = None,
    out: Out = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train that often, from seed on; OUT/seed-N each.")] = 1,
    resume: bool = False,
    quiet: Quiet = False,
) -> None:
    """Train the network of found cells from scratch and test it; writes runs/NAME unless --out says otherwise."""
    with plainly():
        from metanas.config_file import load_retrain
        from metanas.run.directory import RunDirectory
        from metanas.run.repeat import repeat
        from metanas.run.retrain import retrain as run
        from metanas.run.wording import retrain_lines, spread_lines

        experiment = load_retrain(config, overrides or [])
        path = out or Path("runs") / experiment.name
        if seeds > 1:
            typer.echo(spread_lines(repeat(genotype, experiment, path, seeds, resume=resume, quiet=quiet), path))
        else:
            found = run(genotype, experiment, RunDirectory(path), resume=resume, quiet=quiet)
            typer.echo(retrain_lines(found, path))


@app.command()
def evaluate(run: Run, overrides: Overrides = None, split: Split = Split.test, quiet: Quiet = False) -> None:
    """Score a run on unseen classes, beside its controls; overrides may change evaluate.*, adapt.* and data.*."""
    with plainly():
        from metanas.run.directory import RunDirectory
        from metanas.run.evaluate import evaluate as score
        from metanas.run.wording import table

        directory = RunDirectory(run)
        result = score(directory, directory.experiment(overrides or []), split=split.value, quiet=quiet)
        typer.echo(table(result))
        typer.echo(f"report: {directory.path / 'report.html'}")


@app.command()
def transfer(run: Run, overrides: Overrides = None, split: Split = Split.test, quiet: Quiet = False) -> None:
    """Give the tasks of each data set the cells that the others' tasks chose; writes RUN/transfer.json and report.html.

    evaluate.sources names the data sets, two or more; overrides may change evaluate.*, adapt.* and data.*.
    """
    with plainly():
        from metanas.run.directory import RunDirectory
        from metanas.run.transfer import transfer as measure
        from metanas.run.wording import transfer_table

        directory = RunDirectory(run)
        result = measure(directory, directory.experiment(overrides or []), split=split.value, quiet=quiet)
        typer.echo(transfer_table(result))
        typer.echo(f"report: {directory.path / 'report.html'}")


@app.command()
def adapt(
    run: Run,
    support: Annotated[Path, typer.Option(help="Class folders of labelled images.")],
    overrides: Overrides = None,
    query: Annotated[Path | None, typer.Option(help="Class folders, or a folder of unlabelled images.")] = None,
    out: Out = None,
    transductive: Annotated[bool, typer.Option(help="Normalise the query images with their own statistics.")] = False,
) -> None:
    """Give a new task its own cell and network; writes RUN/adapted unless --out says otherwise."""
    with plainly():
        from metanas.run.adapt import adapt as solve
        from metanas.run.directory import RunDirectory
        from metanas.run.wording import adapted_lines

        directory = RunDirectory(run)
        where = out or run / "adapted"
        found = solve(
            directory, directory.experiment(overrides or []), support, query, where, transductive=transductive
        )
        typer.echo(adapted_lines(found, where))


@app.command()
def report(
    run: Run,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Another of its kind: search or training from scratch.")
    ] = None,
) -> None:
    """Write RUN/report.html from what the run directory holds."""
    with plainly():
        from metanas.run.directory import RunDirectory
        from metanas.run.report import report as write

        typer.echo(f"report: {write(RunDirectory(run), [RunDirectory(path) for path in beside or []])}")


@app.command("config")
def show_config(
    words: Annotated[list[str] | None, typer.Argument(metavar="[CONFIG] [KEY=VALUE]...")] = None, config: Config = None
) -> None:
    """Print the resolved configuration of a YAML file, or the defaults."""
    with plainly():
        from metanas.config_file import dump_experiment, load_any

        overrides = list(words or [])
        if overrides and "=" not in overrides[0] and config is None:
            config = Path(overrides.pop(0))
        typer.echo(dump_experiment(load_any(config, overrides)), nl=False)


@data.command("list")
def list_data(overrides: DataRoot = None) -> None:
    """Show every data set, and whether it is in the data directory; data.root=DIR names another directory."""
    with plainly():
        from metanas.config_file import load_experiment
        from metanas.run.data import listing

        typer.echo(listing(load_experiment(None, overrides or []).data.root))


@data.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="A data set of `metanas data list`.", metavar="NAME")] = "",
    overrides: DataRoot = None,
    quiet: Quiet = False,
) -> None:
    """Download a published data set into the data directory; a call that was stopped is continued by the next."""
    with plainly():
        from metanas.config_file import load_experiment
        from metanas.run.fetch import fetch_source

        typer.echo(fetch_source(name, load_experiment(None, overrides or []).data.root, quiet=quiet))


@app.command()
def bench(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, under a minute.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="With torch.compile as well: minutes for each item.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to measure; auto takes a GPU if there is one.")] = Device.auto,
) -> None:
    """Time adaptation, meta-training and search, beside a textbook implementation in the same run."""
    with plainly():
        import json

        from metanas.run.bench import bench as measure
        from metanas.run.bench import lines

        found = measure(
            quick=quick,
            compiled=compiled,
            device=device.value,
            say=lambda line: typer.echo(f"measuring: {line}", err=True),
        )
        typer.echo(json.dumps(found, indent=2) if as_json else lines(found))


@app.command()
def demo(overrides: Overrides = None, out: Out = None, quiet: Quiet = False) -> None:
    """Meta-train on built-in characters, adapt to unseen scripts, evaluate: a few minutes on two cores."""
    with plainly():
        from metanas.run.demo import demo as run
        from metanas.run.demo import demo_experiment
        from metanas.run.directory import RunDirectory
        from metanas.run.wording import adapted_lines, table

        directory = RunDirectory(out or Path("runs/demo"))
        result, adapted = run(demo_experiment(overrides or []), directory, quiet=quiet)
        example = directory.path / "example"
        typer.echo(table(result))
        typer.echo(adapted_lines(adapted, example / "adapted"))
        typer.echo(f"report: {directory.path / 'report.html'}")
        typer.echo(f"next: metanas adapt {directory.path} --support {example / 'support'} --query {example / 'query'}")


if __name__ == "__main__":
    app()
