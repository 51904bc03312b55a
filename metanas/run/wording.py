"""Results in the words of a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from metanas.evaluate.wording import task_shape
from metanas.run.adapt import Adapted
from metanas.run.comparison import DEPLOYED
from metanas.run.evaluate import Result
from metanas.run.explore import Result as Explored
from metanas.run.retrain import Result as Retrained
from metanas.run.search import Result as Search
from metanas.run.table_score import KEY
from metanas.run.transfer import Result as Transferred

Row = Mapping[str, object]


def table(result: Result) -> str:
    """The comparison of result.json as aligned text."""
    baselines = result["baselines"]
    assert isinstance(baselines, dict)
    lines = [
        f"{task_shape(result)}, {result['episodes']} episodes of {result['dataset']} "
        f"({result['split']} classes), accuracy in % with 95 % interval",
        f"{'':48}  transductive    inductive   params     MACs",
    ]
    for score in baselines.values():
        lines.append(
            f"{score['title']:48}  {_percent(score['accuracy'], score['ci95']):>12}  "
            f"{_percent(score['accuracy_inductive'], score['ci95_inductive']):>11}  "
            f"{_count(score['params']):>7}  {_count(score['macs']):>7}"
        )
    for name, part in result.get("sources", {}).items():  # type: ignore[attr-defined]
        score = part[DEPLOYED[str(result["deployed"])]]
        lines.append(
            f"{'deployed, on ' + name:48}  {_percent(score['accuracy'], score['ci95']):>12}  "
            f"{_percent(score['accuracy_inductive'], score['ci95_inductive']):>11}"
        )
    lines.append(
        f"deployed: {result['deployed']}, {result['adapt_seconds_median']:.2f} s a task, {_architectures(result)}"
        f"{_uncertainty(result)}"
    )
    return "\n".join(lines)


def transfer_table(result: Transferred) -> str:
    """The matrix of transfer.json as aligned text."""
    sources = cast(list[str], result["sources"])
    rows = {f"cells of {name}": row for name, row in cast(Mapping[str, Row], result["matrix"]).items()}
    rows |= {str(row["title"]): row for row in cast(Mapping[str, Row], result["controls"]).values()}
    wide = max(map(len, rows))
    lines = [
        f"{task_shape(result)}, {result['episodes']} episodes of each data set ({result['split']} classes), "
        "accuracy in % with 95 % interval (points above cells of other tasks of the same data set)",
        f"{'':{wide}}  {'  '.join(f'on {name}'.rjust(26) for name in sources)}",
    ]
    for title, row in rows.items():
        entries = [cast(Mapping[str, float], row[name]) for name in sources]
        cells = [
            f"{_percent(e['accuracy'], e['ci95'])} ({100 * e['difference']:+.1f} +- {100 * e['difference_ci95']:.1f})"
            for e in entries
        ]
        lines.append(f"{title:{wide}}  {'  '.join(f'{cell:>26}' for cell in cells)}")
    for name, cell in cast(Mapping[str, Row], result["cells"]).items():
        lines.append(
            f"{name}: {cell['distinct']} distinct cells, {100 * cast(float, cell['modal_share']):.0f} % of the tasks "
            "chose the most frequent one"
        )
    return "\n".join(lines)


def _architectures(result: Result) -> str:
    if result["architecture"] == "searched":
        changed = f"{result['changed_entries']:.1f} entries of a cell from the prior's"
        return f"{result['distinct_genotypes']} distinct cells in {result['episodes']} tasks, {changed}"
    return f"{result['architecture']} architecture"


def _uncertainty(result: Result) -> str:
    entropy = result.get("posterior_entropy")
    return "" if entropy is None else f", posterior entropy {entropy:.2f} nats an edge"


def adapted_lines(found: Adapted, out: Path) -> str:
    """What `adapt` did."""
    judged = "" if found.accuracy is None else f", query accuracy {100 * found.accuracy:.1f} %"
    uncertainty = ""
    if found.network.posterior is not None:
        uncertainty = f", posterior entropy {found.network.posterior.mean_entropy():.2f} nats an edge"
    return (
        f"adapted to {len(found.classes)} classes in {found.seconds:.2f} s: {found.cost.params:,} parameters, "
        f"{found.cost.macs:,} MACs an image{judged}{uncertainty}\n"
        f"written: {out} ({', '.join(found.files)})"
    )


def search_lines(result: Search, path: Path) -> str:
    """What `search` found."""
    shares = {name: f"{100 * cast(float, result[f'accuracy_{name}']):.1f}" for name in ("supernet", "child", "random")}
    signs = cast(list[str], result["collapse"])
    return "\n".join(
        [
            f"searched: {path} ({result['method']}, {result['epochs']} epochs of {result['dataset']}, "
            f"{cast(float, result['seconds']):.0f} s)",
            f"accuracy on the validation half in %, without retraining: supernet {shares['supernet']}, found cells "
            f"{shares['child']}, random cells {shares['random']}",
            f"collapse: {'; '.join(signs) or 'no sign of it'}",
            *_table_lines(cast(Mapping[str, object], result.get(KEY, {}))),
            f"report: {path / 'report.html'}",
        ]
    )


def _table_lines(score: Mapping[str, object]) -> list[str]:
    """What the table of NAS-Bench-201 says of the found cell."""
    if "missing" in score:
        return [f"NAS-Bench-201: {score['missing']}"]
    found = cast(Mapping[str, Mapping[str, float]], score.get("data", {}))
    return [
        f"NAS-Bench-201, {name}: test {100 * row['accuracy_test']:.2f} %, rank {row['rank']:,} of "
        f"{score['architectures']:,} (best {100 * row['accuracy_best']:.2f} %, random cell "
        f"{100 * row['accuracy_random']:.2f} %, best cell of {_copied(row)} copied; validation "
        f"{100 * row['accuracy_valid']:.2f} % after 12 epochs)"
        for name, row in found.items()
    ]


def _copied(row: Mapping[str, object]) -> str:
    found = cast(Mapping[str, float], row["accuracy_copied"])
    return ", of ".join(f"{other} {100 * accuracy:.2f} %" for other, accuracy in found.items())


def retrain_lines(result: Retrained, path: Path) -> str:
    """What `retrain` measured."""
    first, second = cast(list[int], result["images"])
    return "\n".join(
        [
            f"trained from scratch: {path} ({result['epochs']} epochs of {first} images of {result['dataset']}, "
            f"{cast(float, result['seconds']):.0f} s)",
            f"test error {100 * cast(float, result['test_error']):.2f} % of {second} images, "
            f"{_count(cast(int, result['params']))} parameters, {_count(cast(int, result['macs']))} MACs an image",
            f"report: {path / 'report.html'}",
        ]
    )


def spread_lines(spread: Retrained, path: Path) -> str:
    """What `retrain` measured with several seeds."""
    seeds, errors = cast(list[int], spread["seeds"]), cast(list[float], spread["test_errors"])
    return "\n".join(
        [
            *(f"seed {seed}: test error {100 * error:.2f} %" for seed, error in zip(seeds, errors, strict=True)),
            f"mean {100 * cast(float, spread['test_error']):.2f} %, standard deviation "
            f"{100 * cast(float, spread['deviation']):.2f} points ({path / 'spread.json'})",
            f"report: {path / 'report.html'}",
        ]
    )


def explored_lines(result: Explored, path: Path) -> str:
    """What an exploration found, in the words of a terminal."""
    by_nodes = cast(list[float], result["best_by_nodes"])
    return (
        f"explored: {path} ({result['method']}, {result['candidates']} cells, {cast(float, result['seconds']):.0f} s)\n"
        f"best cell: {result['nodes']} nodes, accuracy on validation classes "
        f"{100 * cast(float, result['accuracy_validation']):.1f} % (best of every size: "
        f"{', '.join(f'{100 * score:.1f}' for score in by_nodes)})\n"
        f"next: metanas meta-train -c {path / 'cell.yaml'}"
    )


def _percent(mean: float | None, ci95: float | None) -> str:
    return "-" if mean is None or ci95 is None else f"{100 * mean:.1f} +- {100 * ci95:.1f}"


def _count(number: int | None) -> str:
    if number is None:
        return "-"
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1e3:.1f} K"
