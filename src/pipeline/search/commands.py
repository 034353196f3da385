"""The commands `emospec search ...`; what they need is imported when one is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.console import answer
from pipeline.errors import SearchError

if TYPE_CHECKING:
    from pipeline.search.record import Record

search_app = typer.Typer(
    help="Search over any parameters through DVC's experiment queue, ranked on the validation side.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _ending(suffix: str) -> Any:
    def check(path: Path | None) -> Path | None:
        if path is not None and path.suffix != suffix:
            raise typer.BadParameter(f"{path}: must end in {suffix}")
        if path is not None and not path.parent.is_dir():
            raise typer.BadParameter(f"{path}: there is no folder {path.parent}")
        return path

    return check


SPACE_HELP = "key=a,b,c, or key= choice(...), uniform(low,high), loguniform(low,high), integers(low,high). Repeatable."
Settings = Annotated[list[str], typer.Option("--set", "-S", help=SPACE_HELP)]
Name = Annotated[str | None, typer.Option(help="Of the search.", show_default="made from what is searched")]
By = Annotated[str | None, typer.Option(help="The score that ranks.", show_default="validation.uar")]
OnTest = Annotated[bool, typer.Option("--select-on-test", help="Rank by the test side: optimistic.")]
Then = Annotated[int, typer.Option(min=0, help="Run so many of the best again, with --then-set.")]
ThenSet = Annotated[list[str] | None, typer.Option(help="A key=value for those, as train.epochs=400. Repeatable.")]
Jobs = Annotated[int, typer.Option(min=1, help="Experiments at a time; they share the cores and the GPU.")]
Retry = Annotated[bool, typer.Option("--retry", help="Run again what has failed.")]
Dry = Annotated[bool, typer.Option("--dry", help="Check and list the runs, queue none.")]
Markdown = Annotated[Path | None, typer.Option(help="Write the tables to this .md file, too.", callback=_ending(".md"))]
Csv = Annotated[Path | None, typer.Option(help="Write all runs to this .csv file, too.", callback=_ending(".csv"))]


@search_app.command("grid")
def search_grid(
    settings: Settings,
    name: Name = None,
    by: By = None,
    select_on_test: OnTest = False,
    then: Then = 0,
    then_set: ThenSet = None,
    most: Annotated[int, typer.Option(min=1, help="Refuse a grid of more runs.")] = 200,
    jobs: Jobs = 1,
    retry: Retry = False,
    dry: Dry = False,
    markdown: Markdown = None,
    csv: Csv = None,
) -> None:
    """Try every combination of the values; again, what is missing. Exit status 1 if no run succeeds."""
    _search(
        {"settings": settings, "name": name, "by": by, "select_on_test": select_on_test, "then": then}
        | {"then_settings": then_set or [], "most": most, "jobs": jobs, "retry": retry},
        dry=dry,
        markdown=markdown,
        csv=csv,
    )


@search_app.command("random")
def search_random(
    settings: Settings,
    runs: Annotated[
        int, typer.Option(min=1, max=10000, help="How many combinations are drawn; more add to those.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seeds the draws.")] = 0,
    name: Name = None,
    by: By = None,
    select_on_test: OnTest = False,
    then: Then = 0,
    then_set: ThenSet = None,
    jobs: Jobs = 1,
    retry: Retry = False,
    dry: Dry = False,
    markdown: Markdown = None,
    csv: Csv = None,
) -> None:
    """Try combinations drawn at random; again, what is missing. Exit status 1 if no run succeeds."""
    _search(
        {"settings": settings, "name": name, "by": by, "select_on_test": select_on_test, "then": then}
        | {"then_settings": then_set or [], "runs": runs, "seed": seed, "jobs": jobs, "retry": retry},
        dry=dry,
        markdown=markdown,
        csv=csv,
    )


@search_app.command("table")
def search_table(
    name: Annotated[str | None, typer.Argument(help="A search.", show_default="the only one")] = None,
    markdown: Markdown = None,
    csv: Csv = None,
) -> None:
    """Show what a search has found, also while it runs. Runs nothing."""
    from pipeline.search.record import read_record

    _show(read_record(name), markdown, csv)


def _search(asked: dict[str, Any], *, dry: bool, markdown: Path | None, csv: Path | None) -> None:
    from pipeline.search.conduct import search
    from pipeline.search.plan import Asked, planned

    if dry:
        answer(planned(Asked(**asked)))
    else:
        record = search(Asked(**asked))
        _show(record, markdown, csv)
        if not any(entry.outcome and entry.outcome.scores for entry in record.first.values()):
            raise typer.Exit(1)


def _show(record: Record, markdown: Path | None, csv: Path | None) -> None:
    from pipeline.search.page import as_csv, as_markdown, as_page

    answer(as_page(record))
    for path, give in ((markdown, as_markdown), (csv, as_csv)):
        if path is not None:
            try:
                path.write_text(give(record), encoding="utf-8")
            except OSError as error:
                raise SearchError(
                    f"{path}: cannot be written ({error.strerror}): `emospec search table {record.name}` takes another"
                ) from None
