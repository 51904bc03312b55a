import json
from pathlib import Path

from metanas.run.directory import RunDirectory

QUICK = ["meta.iterations=1", "meta.validate_every=0", "evaluate.episodes=2"]


def test_a_run_is_trained_and_then_judged(metanas, tiny_overrides: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained = metanas("meta-train", *tiny_overrides, *QUICK, "name=first")
    assert trained.code == 0, trained.err
    assert trained.out == "meta-trained: runs/first\nnext: metanas evaluate runs/first\n"
    assert "iter 1/1" in trained.err
    judged = metanas("evaluate", "runs/first")
    assert judged.code == 0, judged.err
    assert "5-way 1-shot, 2 episodes of glyphs (test classes)" in judged.out
    assert "nearest neighbour on raw pixels" in judged.out
    assert "episode 2/2" in judged.err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_path_may_have_blanks_and_any_script(metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
    out = tmp_path / "ein Läuf 走"
    assert metanas("meta-train", "-q", "--out", out, *tiny_overrides, *QUICK).code == 0
    assert RunDirectory(out).checkpoints.has("last")


def test_a_report_can_be_written_again(metanas, copied: RunDirectory) -> None:
    page = copied.path / "report.html"
    page.unlink()
    said = metanas("report", copied.path)
    assert (said.code, said.out, said.err) == (0, f"report: {page}\n", "")
    assert "<html" in page.read_text()


def test_the_demonstration_shows_everything_and_goes_on_where_it_was(
    metanas, tiny_overrides: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "demo"
    first = metanas("demo", "-q", "--out", run, *tiny_overrides, *QUICK)
    assert (first.code, first.err) == (0, "")
    example = run / "example"
    for line in ("deployed: child, ", "adapted to 5 classes in ", f"report: {run / 'report.html'}"):
        assert line in first.out
    assert f"next: metanas adapt {run} --support {example / 'support'} --query {example / 'query'}" in first.out
    assert (example / "adapted" / "weights.safetensors").exists()
    saved = (run / "checkpoint" / "last.pt").read_bytes()
    result = json.loads((run / "result.json").read_text())

    again = metanas("demo", "-q", "--out", run, *tiny_overrides, *QUICK)
    assert again.code == 0
    assert (run / "checkpoint" / "last.pt").read_bytes() == saved
    assert json.loads((run / "result.json").read_text())["accuracy"] == result["accuracy"]
