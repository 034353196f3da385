"""The command `emospec`: what people ask for outside the stages."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import answer, no_failure_exits_with_one, one_line_errors
from pipeline.papers.commands import papers_app
from pipeline.search.commands import search_app
from pipeline.store.paths import METRICS, SPLIT_METRICS

app = typer.Typer(
    help="Emotion recognition in sound through spectrogram images. The work itself is a DVC pipeline: `dvc repro`.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
corpora_app = typer.Typer(
    help="Which corpora there are, and what of them is here.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.add_typer(corpora_app, name="corpora")
app.add_typer(search_app, name="search")
app.add_typer(papers_app, name="papers")


@app.callback()
def _commands() -> None:
    """Keep sub-commands even where there is one only."""


@app.command()
def results(metrics: Annotated[Path, typer.Argument(help="A metrics file.")] = METRICS) -> None:
    """Print the results: scores with intervals, the baselines on the same split, and what the split lets leak."""
    from pipeline.store.files import read_json
    from pipeline.summary import summarise

    answer(summarise(read_json(metrics), read_json(SPLIT_METRICS)))


@app.command()
def check(params: Annotated[Path, typer.Argument(help="The parameters.")] = Path("params.yaml")) -> None:
    """Check params.yaml, and that its networks are there and can take such blocks, without doing any work."""
    from pipeline.params import load_params
    from pipeline.plan.members import refuse_unfit_members

    refuse_unfit_members(load_params(params))
    answer(f"{params}: every key is known and in range")


@app.command()
def plan(params: Annotated[Path, typer.Argument(help="The parameters.")] = Path("params.yaml")) -> None:
    """Before any work: the time, disk and memory that each stage will take. Exit status 1 if something cannot fit."""
    from pipeline.params import load_params
    from pipeline.plan import plan_work

    text, fits = plan_work(load_params(params))
    answer(text)
    if not fits:
        raise typer.Exit(1)


@app.command()
def parameters(params: Annotated[Path, typer.Argument(help="The parameters.")] = Path("params.yaml")) -> None:
    """Describe every key of params.yaml in Markdown: what it may be, from the schema, and what it means."""
    from pipeline.params import load_params
    from pipeline.params.page import parameters_page

    load_params(params)  # a file that cannot be read or is wrong is an error, not a page
    answer(parameters_page(params.read_text(encoding="utf-8")), nl=False)


def _md(path: Path | None) -> Path | None:
    """Take no other file for the page: one that the gate reads could be overwritten."""
    if path is not None and path.suffix != ".md":
        raise typer.BadParameter(f"{path}: must end in .md")
    return path


def _json(path: Path | None) -> Path | None:
    """Take no other file for the numbers, and none that results are read from."""
    if path is not None and (path.suffix != ".json" or path.resolve().parent == METRICS.parent.resolve()):
        raise typer.BadParameter(f"{path}: must end in .json and lie outside {METRICS.parent}/")
    return path


def _png(path: Path | None) -> Path | None:
    """Take no other file for a picture."""
    if path is not None and path.suffix != ".png":
        raise typer.BadParameter(f"{path}: must end in .png")
    return path


def _csv(path: Path | None) -> Path | None:
    """Take no other file for a table."""
    if path is not None and path.suffix != ".csv":
        raise typer.BadParameter(f"{path}: must end in .csv")
    return path


@app.command()
def gate(
    against: Annotated[str, typer.Option(help="A commit, branch, tag or DVC experiment.")] = "HEAD",
    markdown: Annotated[Path | None, typer.Option(help="Write the page to this .md file, too.", callback=_md)] = None,
) -> None:
    """Compare metrics with a git revision. Exit status: 0, 1 on a regression, 2 where the two cannot be compared."""
    with no_failure_exits_with_one():
        from pipeline.gate import run_gate, write_markdown

        outcome = run_gate(against)
        answer(outcome.page.as_text(), err=outcome.status == 2)
        if markdown is not None:
            write_markdown(markdown, outcome.page)
    raise typer.Exit(outcome.status)


@app.command()
def leaks(
    every: Annotated[bool, typer.Option("--all", help="Name every pair of duplicates.")] = False,
    split: Annotated[Path, typer.Argument(help="A split's metrics file.")] = SPLIT_METRICS,
) -> None:
    """Show what test side and training have in common: overlapping sound, clips, groups, near duplicates."""
    from pipeline.leaks import leaks_page
    from pipeline.store.files import read_json

    answer(leaks_page(read_json(split), all_pairs=every))


@app.command()
def gap(
    on: Annotated[str, typer.Option(help="The honest split's unit: a field such as group or speaker.")] = "group",
    by: Annotated[
        list[str] | None,
        typer.Option(help="The splits that are compared with it: a,b. Repeatable.", show_default="block,clip"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="How often all is repeated.")] = 5,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="A key=value for every run, as of dvc exp run -S.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this .md file, too.", callback=_md)] = None,
) -> None:
    """Measure what splits that leak add to the score: one model, the same test blocks, equal training sizes."""
    from pipeline.errors import GapError
    from pipeline.gap import as_markdown, as_text, measure_gap
    from pipeline.params import load_params

    if markdown is not None and not markdown.parent.is_dir():  # said before minutes of training
        raise GapError(f"{markdown}: there is no folder {markdown.parent}: give --markdown another path")
    found = measure_gap(
        load_params(), on=on, by=",".join(by or ["block,clip"]).split(","), seeds=seeds, settings=settings or []
    )
    answer(as_text(found))
    if markdown is not None:
        try:
            markdown.write_text(as_markdown(found), encoding="utf-8")
        except OSError as error:
            raise GapError(f"{markdown}: cannot be written ({error.strerror}): give --markdown another path") from None


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A revision, an experiment, workspace, or a folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    json: Annotated[Path | None, typer.Option(help="Write the same to this .json file, too.", callback=_json)] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the intervals and of the tests.")] = 10000,
    seed: Annotated[int, typer.Option(min=0, help="Seeds them.")] = 0,
) -> None:
    """Test whether one of two results on the same test clips is better. Exit status 2 if they cannot be paired."""
    with no_failure_exits_with_one():
        from pipeline.paired import compare_results
        from pipeline.store.files import write_json

        outcome = compare_results(first, second, n_resamples=resamples, seed=seed)
        answer(outcome.as_text(), err=bool(outcome.reasons))
        if json is not None:
            write_json(json, outcome.as_json())
    raise typer.Exit(2 if outcome.reasons else 0)


@app.command()
def show(
    clip: Annotated[str, typer.Argument(help="A clip_id, as emodb/wav/03a01Fa.wav, or the path of any sound file.")],
    block: Annotated[int | None, typer.Option(min=0, help="Which block, from 0.", show_default="the loudest")] = None,
    at: Annotated[float | None, typer.Option(min=0, help="The block whose middle is nearest to it, s.")] = None,
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    other: Annotated[Path | None, typer.Option("--with", help="Beside it, by other parameters.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="Beside it, a key=value changed, as dvc exp run -S.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The .png file.", show_default="the clip's name", callback=_png)
    ] = None,
) -> None:
    """Draw a block of a clip as params.yaml represents it, with axes; beside it, if asked, by other parameters."""
    from pipeline.show import show_clip

    answer(show_clip(clip, block=block, at=at, params=params, other=other, settings=settings or [], out=out))


@app.command()
def gradcam(
    clip: Annotated[str, typer.Argument(help="A clip_id, as emodb/wav/03a01Fa.wav, or the path of any sound file.")],
    run: Annotated[
        str | None, typer.Option(help="A trained run, FOLD-MEMBER.", show_default="the first that tests the clip")
    ] = None,
    block: Annotated[int | None, typer.Option(min=0, help="Which block, from 0.", show_default="the loudest")] = None,
    at: Annotated[float | None, typer.Option(min=0, help="The block whose middle is nearest to it, s.")] = None,
    of: Annotated[str, typer.Option("--class", help="Which class: predicted, actual, or its name.")] = "predicted",
    layer: Annotated[
        str | None, typer.Option(help="Whose feature maps: a layer's name.", show_default="the last convolution")
    ] = None,
    params: Annotated[Path, typer.Option(help="The parameters that it was trained by.")] = Path("params.yaml"),
    out: Annotated[
        Path | None, typer.Option(help="The .png file.", show_default="the clip's name", callback=_png)
    ] = None,
) -> None:
    """Draw where in a block a trained network finds what speaks for a class (Grad-CAM), over its spectrogram."""
    from pipeline.pictures.cam import draw_cam

    answer(draw_cam(clip, run=run, block=block, at=at, of=of, layer=layer, params=params, out=out))


@app.command()
def filters(
    run: Annotated[str, typer.Argument(help="A trained run, FOLD-MEMBER, as 0-a.")],
    blocks: Annotated[int, typer.Option(min=3, help="At most so many blocks of the test side.")] = 500,
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    out: Annotated[
        Path | None, typer.Option(help="The .png file.", show_default="filters_RUN.png", callback=_png)
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="The .csv file of all ranks.", show_default="beside the picture", callback=_csv)
    ] = None,
) -> None:
    """Draw the first layer's filters of a trained run, ranked by pitch, formants, periodicity and silence."""
    from pipeline.pictures.filters import show_filters

    answer(show_filters(run, n_blocks=blocks, params=params, out=out, table=table))


@app.command()
def probabilities(
    clip: Annotated[str, typer.Argument(help="A clip_id of the split, as emodb/wav/03a01Fa.wav.")],
    run: Annotated[
        str | None, typer.Option(help="One run, FOLD-MEMBER.", show_default="all members of the fold that tests it")
    ] = None,
    params: Annotated[
        Path, typer.Option(help="Whose spectrogram is drawn above, and how blocks become an answer.")
    ] = Path("params.yaml"),
    out: Annotated[
        Path | None, typer.Option(help="The .png file.", show_default="the clip's name", callback=_png)
    ] = None,
) -> None:
    """Draw the probability of every class in each block of a test clip along its time, and the answer so far."""
    from pipeline.pictures.probabilities import draw_probabilities

    answer(draw_probabilities(clip, run=run, params=params, out=out))


@app.command()
def watch(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Which runs, FOLD-MEMBER.", show_default="those in progress, or the one that grew last"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print once and end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds from one look to the next.")] = 5.0,
    png: Annotated[Path | None, typer.Option(help="Draw them to this .png file, too.", callback=_png)] = None,
) -> None:
    """Follow learning curves while runs train: loss and UAR of training and validation, in the terminal or as a PNG."""
    from pipeline.pictures.watch import watch as follow

    follow(runs or [], once=once, every=every, png=png)


@app.command()
def locked() -> None:
    """Check without running anything that dvc.lock was made by these sources and parameters. Exit status 1 if not."""
    with no_failure_exits_with_one():
        from pipeline.lockfile import find_stale

        stale = find_stale()
        answer("\n".join(stale) if stale else "dvc.lock: every stage is as its sources and parameters are")
    if stale:
        raise typer.Exit(1)


@app.command()
def restore() -> None:
    """Go back to the committed parameters and results from what this machine has run; runs nothing."""
    from pipeline.restore import restore as bring_back

    answer(bring_back())


@app.command()
def doctor(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: say what would be mended.")] = False,
) -> None:
    """Bring a project back after a kill or a bad disk, and check packages. Exit status 1 if not all is well then."""
    from pipeline.doctor import examine

    text, is_well = examine(mend=not dry_run)
    answer(text)
    if not is_well:
        raise typer.Exit(1)


Root = Annotated[Path | None, typer.Option(help="Where the corpora's folders lie.", show_default="data.root")]
CorpusName = Annotated[str, typer.Argument(metavar="NAME", help="A known corpus, or a folder.")]


@corpora_app.callback()
def corpora(context: typer.Context, root: Root = None) -> None:
    """List all corpora: those that are known, and the folders under data.root; what of each is here."""
    context.obj = root
    if context.invoked_subcommand is None:
        from pipeline.obtain import list_corpora

        answer(list_corpora(root))


@corpora_app.command("check")
def check_corpus(
    context: typer.Context,
    name: CorpusName,
    root: Root = None,
    show_all: Annotated[bool, typer.Option("--all", help="Give lists in full.")] = False,
) -> None:
    """Read every file of a corpus, compare with the publisher's list. Exit status 1 if any is missing or damaged."""
    from pipeline.obtain import check_corpus as read_corpus

    text, is_whole = read_corpus(name, root or context.obj, show_all=show_all)
    answer(text)
    raise typer.Exit(0 if is_whole else 1)


@corpora_app.command("get")
def get_corpus(context: typer.Context, name: CorpusName, root: Root = None) -> None:
    """Download a corpus into its folder, or say how to come by it. Exit status 1 if it is not here then."""
    from pipeline.obtain import get_corpus as fetch_corpus

    text, is_here = fetch_corpus(name, root or context.obj)
    answer(text)
    raise typer.Exit(0 if is_here else 1)


def main() -> None:
    """Run the command; errors that emospec raises on purpose are one line."""
    with one_line_errors():
        app()
