import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from metanas.errors import MetaNasError
from metanas.evaluate import figures
from metanas.evaluate.report import write_report
from metanas.spaces.draw import CellEdge, Wiring, draw_cells

OPS = ["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"]
ROWS: list[dict[str, float | int | str]] = [
    {"meta/iter": i, "meta/outer_loss": 1 / i, "meta/tasks_per_s": 38.0} for i in range(1, 31)
] + [{"meta/iter": 30, "validation/acc": 0.79, "validation/acc_ci95": 0.02}]


def network(title: str, accuracy: float, inductive: float | None) -> dict[str, object]:
    ci95 = None if inductive is None else 0.012
    size = None if inductive is None else 12000
    return {
        "title": title,
        "accuracy": accuracy,
        "ci95": 0.011,
        "accuracy_inductive": inductive,
        "ci95_inductive": ci95,
        "difference": accuracy - 0.812,
        "difference_ci95": 0.004,
        "params": size,
        "macs": size,
        "adapt_seconds_median": None if inductive is None else 0.083,
    }


def result(dataset: str) -> dict[str, object]:
    return {
        "accuracy": 0.812,
        "ci95": 0.011,
        "accuracy_inductive": 0.78,
        "ci95_inductive": 0.012,
        "mode": "transductive",
        "deployed": "child",
        "headline": "child_tuned",
        "episodes": 300,
        "n_way": 5,
        "k_shot": 1,
        "n_query": 15,
        "dataset": dataset,
        "split": "test",
        "adapt_seconds_median": 0.083,
        "params": 12345,
        "macs": 900_000,
        "distinct_genotypes": 37,
        "decode_gap": 0.0012,
        "seed": 0,
        "device": "cpu",
        "threads": 2,
        "meta_iterations": 2000,
        "meta_seconds": 260.0,
        "baselines": {
            "supernet": network("adapted supernet", 0.815, 0.783),
            "child": network("decoded child", 0.8, 0.77),
            "child_tuned": network("decoded child, tuned", 0.812, 0.78),
            "nearest_neighbour": network("nearest neighbour", 0.48, None),
        },
        "genotypes": [{"genotype": [0, 1, 2], "episodes": 41}, {"genotype": [2, 2, 2], "episodes": 120}],
    }


def trained_run(run_dir: Path, dataset: str = "glyphs") -> Path:
    run_dir.mkdir()
    (run_dir / "config.yaml").write_text(f"data: {dataset}\n")
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (run_dir / "env.json").write_text(json.dumps({"torch": "2.13.0", "argv": ["metanas", "x y", dataset]}))
    return run_dir


def evaluated_run(run_dir: Path, dataset: str = "glyphs") -> Path:
    trained_run(run_dir, dataset)
    (run_dir / "result.json").write_text(json.dumps(result(dataset)))
    (run_dir / "arch.json").write_text(json.dumps({"ops": OPS, "cells": {"normal": [[0.1, 0.2, 0.3, 0.4]] * 5}}))
    (run_dir / "cells").mkdir()
    svg = draw_cells(
        {"normal": [CellEdge(0, 2, "skip_connect"), CellEdge(1, 2, "sep_conv_3x3")]}, Wiring(2, 1), dataset
    )
    (run_dir / "cells" / "episode_0.svg").write_text(svg)
    return run_dir


class Reader(HTMLParser):
    """The visible text, the tags, and every address that a page names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(evaluated_run(tmp_path_factory.mktemp("runs") / "t_nas")).read_text()


def test_the_headline_says_what_was_measured(page: str) -> None:
    text = " ".join(Reader(page).text)
    assert "81.2 ± 1.1 %" in text
    assert "on 300 unseen 5-way 1-shot episodes of glyphs (test classes), transductive; 78.0 ± 1.2 % inductive." in text


def test_every_section_is_there_in_order(page: str) -> None:
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Comparison",
        "Learning curve",
        "Meta-learned prior",
        "Example cells",
        "Configuration",
        "Environment",
        "How to reproduce",
    ]


def test_the_table_marks_the_deployed_network_and_has_no_holes(page: str) -> None:
    (marked,) = re.findall(r'<tr class="marked">(.*?)</tr>', page)
    assert "decoded child, tuned" in marked
    row = page.split("<td>nearest neighbour</td>")[1].split("</tr>")[0]
    assert re.findall("<td>(.*?)</td>", row) == ["48.0 ± 1.1 %", "–", "−33.2 ± 0.4", "–", "–", "–"]


def test_genotypes_are_sorted_by_frequency(page: str) -> None:
    assert page.index("<td>2 2 2</td><td>120</td><td>40 %</td>") < page.index("<td>0 1 2</td><td>41</td>")


def test_the_page_is_one_file(page: str) -> None:
    reader = Reader(page)
    assert len(reader.addresses) == 4  # three figures and a cell
    assert all(address.startswith("data:image/svg+xml;base64,") for address in reader.addresses)
    assert "http" not in page.replace("http-equiv", "")
    assert not {"script", "link", "iframe"} & set(reader.tags)


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    run_dir = evaluated_run(tmp_path / "<img src=x>", "<script>alert(1)</script>")
    reader = Reader(write_report(run_dir).read_text())
    assert "script" not in reader.tags
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "<script>alert(1)</script>" in "".join(reader.text)


def test_a_run_without_result_tells_how_to_get_one(tmp_path: Path) -> None:
    run_dir = trained_run(tmp_path / "a run")
    text = "".join(Reader(write_report(run_dir).read_text()).text)
    assert "not evaluated yet" in text
    assert f"metanas evaluate '{run_dir}'" in text
    assert "Learning curve" in text
    assert "Comparison" not in text


def test_a_run_that_was_killed_at_once_still_gets_a_report(tmp_path: Path) -> None:
    run_dir = trained_run(tmp_path / "run")
    (run_dir / "metrics.jsonl").write_text('{"meta/it')
    assert "No iteration has been recorded yet." in write_report(run_dir).read_text()


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl"])
def test_a_directory_that_is_no_run_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    run_dir = trained_run(tmp_path / "run")
    (run_dir / name).unlink()
    with pytest.raises(MetaNasError, match=rf"expected a run directory with {name}, got none in .*; give") as caught:
        write_report(run_dir)
    assert "\n" not in str(caught.value)
    assert not (run_dir / "report.html").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"accuracy": 0.5}', '{"accuracy": "high"}'])
def test_a_damaged_result_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    run_dir = evaluated_run(tmp_path / "run")
    (run_dir / "result.json").write_text(text)
    with pytest.raises(MetaNasError, match="expected .*got") as caught:
        write_report(run_dir)
    assert "\n" not in str(caught.value)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run_dir = evaluated_run(tmp_path / "run")
    assert write_report(run_dir).read_bytes() == write_report(run_dir).read_bytes()


def test_a_learning_curve_takes_what_is_not_finite(tmp_path: Path) -> None:
    rows = [*ROWS, {"meta/iter": 31, "meta/outer_loss": math.nan, "validation/acc": math.nan}]
    figures.save(figures.learning_curve(rows), tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"
        assert picture.size[0] > 1000


def test_edges_have_names_only_where_the_table_is_a_whole_cell() -> None:
    assert figures.edge_names(14)[-1] == "2 → 3"
    assert figures.edge_names(6)[-1] == "2 → 3"
    assert figures.edge_names(4) == ["edge 0", "edge 1", "edge 2", "edge 3"]


def test_an_unknown_or_infinite_interval_is_left_out(tmp_path: Path) -> None:
    run_dir = evaluated_run(tmp_path / "run")
    changed = result("glyphs") | {
        "ci95": math.inf,
        "baselines": {"child": network("child", 0.8, 0.7) | {"ci95": None}},
    }
    (run_dir / "result.json").write_text(json.dumps(changed))
    text = write_report(run_dir).read_text()
    assert "<strong>81.2 %</strong>" in text
    assert "<td>80.0 %</td>" in text


@pytest.mark.parametrize("kept", ["meta/outer_loss", "validation/acc"])
def test_a_learning_curve_takes_whatever_was_recorded(kept: str) -> None:
    rows = [{name: value for name, value in row.items() if name in ("meta/iter", kept)} for row in ROWS]
    figure = figures.learning_curve(rows)
    assert len(figure.axes) == (1 if kept == "meta/outer_loss" else 2)
    assert figures.encode(figure, "png").startswith(b"\x89PNG")
