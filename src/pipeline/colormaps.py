"""Names of colormaps: our own, and matplotlib's by where the package cmap keeps them."""

import difflib
from collections.abc import Iterable

from pipeline.errors import ParamsError

OWN = ("jet", "grey", "sox")
REVERSED = "_r"  # after matplotlib's names: turned round

# Not gist_stern: there cmap is up to 58/255 away.
SHELVES = {
    "matplotlib": "CMRmap Grays Wistia binary brg bwr coolwarm gist_earth gist_gray gist_grey gist_heat gist_ncar"
    " gist_rainbow gist_yarg gist_yerg inferno magma nipy_spectral okabe_ito plasma seismic terrain twilight"
    " twilight_shifted viridis",
    "colorbrewer": "Accent Blues BrBG BuGn BuPu Dark2 GnBu Greens Greys OrRd Oranges PRGn Paired Pastel1 Pastel2 PiYG "
    "PuBu PuBuGn PuOr PuRd Purples RdBu RdGy RdPu RdYlBu RdYlGn Reds Set1 Set2 Set3 Spectral YlGn YlGnBu YlOrBr YlOrRd",
    "matlab": "autumn bone cool copper flag gray hot hsv pink prism spring summer winter",
    "gnuplot": "afmhot gnuplot gnuplot2 ocean rainbow",
    "seaborn": "tab10 tab20 tab20b tab20c",
    "crameri": "berlin managua vanimo",
    "cividis": "cividis",
    "cubehelix": "cubehelix",
    "google": "turbo",
}
SHELF_OF = {name: shelf for shelf, names in SHELVES.items() for name in names.split()}


def check_colormap(name: str, *, own: Iterable[str] = OWN) -> str:
    """Return the name of a colormap if there is one; matplotlib's may end in _r, which turns them round.

    Raises
    ------
    ParamsError
        Naming those that are spelt most like it.
    """
    names = [*own, *SHELF_OF]
    if name in names or name.removesuffix(REVERSED) in SHELF_OF:
        return name
    spelt = {known.lower(): known for known in names}
    near = [spelt[match] for match in difflib.get_close_matches(name.lower(), spelt, n=3)]
    advice = f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(sorted(names, key=str.lower))}"
    raise ParamsError(f"colormap {name!r}: there is none of that name: {advice}")
