"""Every row of every paper for a few steps on small made corpora, and one honest twin of each paper."""

from pathlib import Path

import pytest
from made_run import torch_as_before
from papers.mini import MAKERS, committed, run_row, smoke_values

from pipeline.papers.paper import known_papers, load_paper
from pipeline.papers.scores import read_scores

ROOT = Path(__file__).resolve().parents[2]
PAPERS = {name: load_paper(name, committed(), ROOT / "papers") for name in known_papers(ROOT / "papers")}
ROWS = [(name, row, False) for name, paper in PAPERS.items() for row in paper.rows]
TWINS = [
    (name, next(row for row, about in paper.rows.items() if about.honest), True)
    for name, paper in PAPERS.items()
    if any(about.honest for about in paper.rows.values())
]


@pytest.fixture(scope="session")
def corpora(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora")
    for name, make in MAKERS.items():
        make(root / name)
    return root


@pytest.mark.papers
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("name", "row", "honest"), [*ROWS, *TWINS])
def test_a_row_runs_and_has_the_scores_that_it_reports(name, row, honest, corpora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paper = PAPERS[name]
    with torch_as_before():
        metrics = run_row(smoke_values(paper, row, corpora, honest=honest), monkeypatch)
    reports = [report.metric for report in paper.rows[row].reports]
    scores = read_scores(lambda path: path.read_bytes(), reports, name=row)
    untested = {label for label, n in metrics["block"]["n"].items() if not n}
    lacking = [metric for metric in reports if metric not in scores.values and metric.split(".")[-1] not in untested]
    assert lacking == []
    assert all(0 <= scores.values[metric].value <= 1 for metric in scores.values)
