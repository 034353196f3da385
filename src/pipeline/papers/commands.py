"""The commands `emospec papers ...`; what they need is imported when one is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import answer

papers_app = typer.Typer(
    help="The five papers, each a file of rows: run them, and see what was claimed beside what came out.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
PAGE = Path("docs/papers_table.md")


def _md(path: Path | None) -> Path | None:
    """Refuse what could not be written before anything is run for it."""
    if path is not None and (path.suffix != ".md" or not path.parent.is_dir()):
        raise typer.BadParameter(f"{path}: must end in .md and lie in a folder that is there")
    return path


@papers_app.callback()
def papers(context: typer.Context) -> None:
    """List the papers: their rows, which corpora are here, and what has been run."""
    if context.invoked_subcommand is None:
        from pipeline.papers.listing import list_papers

        answer(list_papers())


@papers_app.command("run")
def run_rows(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A paper: a file of papers/.")],
    rows: Annotated[list[str] | None, typer.Option(help="Which rows: a,b,c. Repeatable.", show_default="all")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Repeat with so many seeds of split and training.")] = 1,
    corpus_as: Annotated[
        list[str] | None, typer.Option(help="CORPUS=OTHER: another corpus in its place. Repeatable.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave corpora out: a,b. Repeatable.")] = None,
    epochs_scale: Annotated[float, typer.Option(min=0.0001, max=1000, help="Factor on all epochs.")] = 1.0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Further key=value for every row. Repeatable.")
    ] = None,
    honest: Annotated[bool, typer.Option(help="Run leaky rows under an honest split, too.")] = True,
    jobs: Annotated[int, typer.Option(min=1, help="Experiments at a time; they share the cores and the GPU.")] = 1,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what has failed.")] = False,
    dry: Annotated[bool, typer.Option("--dry", help="Check and list the runs, queue none.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this .md file, too.", callback=_md)] = None,
) -> None:
    """Run rows of a paper as DVC experiments; again, what is missing. Exit status 1 if no run of them succeeds."""
    from pipeline.papers.conditions import Conditions, read_replacements
    from pipeline.papers.conduct import Asked, as_list, run_paper
    from pipeline.papers.lines import make_lines
    from pipeline.papers.page import as_markdown, as_text

    conditions = Conditions(
        corpus_as=read_replacements(corpus_as or []),
        without=_names(without) or [],
        epochs_scale=epochs_scale,
        settings=settings or [],
    )
    asked = Asked(
        name=name, rows=_names(rows), seeds=seeds, conditions=conditions, honest=honest, jobs=jobs, retry=retry
    )
    if dry:
        answer(as_list(asked))
        return
    paper, record, chosen = run_paper(asked)
    lines = make_lines(name, paper, record, chosen)
    answer(as_text(paper, lines))
    if markdown is not None:
        _write(markdown, as_markdown(name, paper, lines) + "\n")
    if not any(line.ours for line in lines):
        raise typer.Exit(1)


@papers_app.command("table")
def write_table(
    markdown: Annotated[Path, typer.Option(help="The .md file; the .html file lies beside it.", callback=_md)] = PAGE,
) -> None:
    """Join what was run of all papers into one page, in Markdown and HTML. Runs nothing."""
    from pipeline.experiments.trials import read_base
    from pipeline.papers.lines import make_lines
    from pipeline.papers.page import join_html, join_markdown
    from pipeline.papers.paper import known_papers, load_paper
    from pipeline.papers.record import load_record
    from pipeline.words import amount

    base = read_base()
    papers = {}
    for name in known_papers():
        paper = load_paper(name, base)
        papers[name] = (paper, make_lines(name, paper, load_record(name)))
    _write(markdown, join_markdown(papers))
    _write(markdown.with_suffix(".html"), join_html(papers))
    answer(f"{markdown} and {markdown.with_suffix('.html')}: {amount(len(papers), 'paper')}")


def _write(path: Path, text: str) -> None:
    from pipeline.errors import PaperError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PaperError(f"{path}: cannot be written ({error.strerror}): --markdown takes another") from None


def _names(texts: list[str] | None) -> list[str] | None:
    return [name.strip() for text in texts for name in text.split(",") if name.strip()] if texts else None
