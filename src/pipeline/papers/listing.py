"""All papers as a list: their corpora, which are here, and what has been run."""

from pathlib import Path

from pipeline.experiments.trials import read_base
from pipeline.papers.jobs import is_here
from pipeline.papers.lines import make_lines
from pipeline.papers.page import count_verdicts
from pipeline.papers.paper import known_papers, lay_over, load_paper
from pipeline.papers.record import load_record
from pipeline.words import amount


def list_papers() -> str:
    """Write a few lines for each paper."""
    base = read_base()
    root = Path(base["data"]["root"])
    parts = []
    for name in known_papers():
        paper = load_paper(name, base)
        corpora = {corpus: None for row in paper.rows for corpus in lay_over(base, *paper.changes(row))["corpora"]}
        here = [
            f"{corpus} ({'here' if is_here(corpus, root) else _absence(corpus, paper.stands_for)})"
            for corpus in corpora
        ]
        n_reports = sum(len(row.reports) for row in paper.rows.values())
        verdicts = count_verdicts(make_lines(name, paper, load_record(name)))
        parts += [
            f"{name}: {paper.citation}: {paper.title}",
            f"  rows: {', '.join(paper.rows)}",
            f"  {amount(n_reports, 'reported score')}; lines of the table: {verdicts}",
            f"  corpora: {', '.join(here)}",
            "",
        ]
    parts += [
        "emospec papers run NAME          runs its rows through DVC's queue: --rows, --seeds, --corpus-as, ...",
        "emospec papers table             joins all into docs/papers_table.md and .html",
        f"Corpora lie below {root}: `emospec corpora` says where each comes from.",
    ]
    return "\n".join(parts)


def _absence(corpus: str, stands_for: object) -> str:
    return "never published; see the paper's file" if corpus in stands_for else "missing"  # type: ignore[operator]
