"""The command `emospec`: what people ask for outside the stages."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import one_line_errors
from pipeline.store.paths import METRICS, SPLIT_METRICS

app = typer.Typer(
    help="Emotion recognition in sound through spectrogram images. The work itself is a DVC pipeline: `dvc repro`.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Keep sub-commands even where there is one only."""


@app.command()
def results(metrics: Annotated[Path, typer.Argument(help="A metrics file.")] = METRICS) -> None:
    """Print the results: scores with intervals, the baselines on the same split, and what the split lets leak."""
    from pipeline.store.files import read_json
    from pipeline.summary import summarise

    typer.echo(summarise(read_json(metrics), read_json(SPLIT_METRICS)))


@app.command()
def check(params: Annotated[Path, typer.Argument(help="The parameters.")] = Path("params.yaml")) -> None:
    """Check params.yaml without doing any work."""
    from pipeline.params import load_params

    load_params(params)
    typer.echo(f"{params}: every key is known and in range")


@app.command()
def doctor() -> None:
    """Check that the installed packages go together: torch and torchvision must be a matching pair."""
    from pipeline.models.networks import network_names

    typer.echo(f"torch and torchvision match: {len(network_names())} networks to choose from")


def main() -> None:
    """Run the command; errors that emospec raises on purpose are one line."""
    with one_line_errors():
        app()
