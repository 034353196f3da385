"""Values into colours: MATLAB's jet, grey, a palette like SoX's, and matplotlib's maps, as tables of 8-bit RGB."""

import difflib
import functools

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ParamsError

Colours = NDArray[np.float64]


def jet(n_colours: int) -> Colours:
    """Colours (n_colours, 3), 0 to 1, of MATLAB's jet.

    One trapezium, rising over a quarter of the table, flat for a quarter less one and falling over a quarter, serves
    all three channels: centred for green, a quarter later for red and a quarter earlier for blue. MATLAB's
    documentation of `jet` prints the values; matplotlib's jet is another map, up to 35/255 away at 64 colours.
    """
    quarter = -(-n_colours // 4)
    rise = np.arange(1, quarter + 1) / quarter
    trapezium = np.concatenate([rise, np.ones(quarter - 1), rise[::-1]])
    # 0-based position of green's first value; the tables whose length leaves 1 modulo 4 begin one earlier
    green = -(-quarter // 2) - (n_colours % 4 == 1)
    colours = np.zeros((n_colours, 3))
    for channel, first in enumerate((green + quarter, green, green - quarter)):
        places = first + np.arange(len(trapezium))
        inside = (places >= 0) & (places < n_colours)
        colours[places[inside], channel] = trapezium[inside]
    return colours


def grey(n_colours: int) -> Colours:
    """Colours (n_colours, 3), 0 to 1, from black to white."""
    return np.repeat(np.linspace(0, 1, n_colours)[:, None], 3, axis=1)


# From silence to full scale, equally far apart in decibels.
SOX_LIKE = ((0, 0, 0), (0, 0, 0.45), (0.5, 0, 0.6), (0.85, 0, 0.25), (1, 0.45, 0), (1, 0.9, 0), (1, 1, 1))


def sox_like(n_colours: int) -> Colours:
    """Colours (n_colours, 3), 0 to 1: black, blue, purple, red, orange, yellow and white, blended linearly.

    In the manner of the pictures that SoX's `spectrogram` draws by default; its manual gives no values, so these are
    not its own.
    """
    at = np.linspace(0, len(SOX_LIKE) - 1, n_colours)
    stops = np.array(SOX_LIKE, dtype=np.float64)
    return np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T], axis=1)


COLORMAPS = {"jet": jet, "grey": grey, "sox": sox_like}

# matplotlib's maps by where the package cmap keeps them. Not gist_stern: there cmap is up to 58/255 away.
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
# What matplotlib holds as a list of colours it samples without blending; other maps are lines between a few colours.
LISTED = {
    *("viridis", "plasma", "inferno", "magma", "cividis", "turbo"),
    *("twilight", "twilight_shifted", "berlin", "managua", "vanimo"),
}
REVERSED = "_r"


def check_colormap(name: str) -> str:
    """Return the name of a colormap if there is one; matplotlib's may end in _r, which turns them round.

    Raises
    ------
    ParamsError
        Naming those that are spelt most like it.
    """
    names = [*COLORMAPS, *SHELF_OF]
    if name in COLORMAPS or name.removesuffix(REVERSED) in SHELF_OF:
        return name
    spelt = {known.lower(): known for known in names}
    near = [spelt[match] for match in difflib.get_close_matches(name.lower(), spelt, n=3)]
    advice = f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(sorted(names, key=str.lower))}"
    raise ParamsError(f"colormap {name!r}: there is none of that name: {advice}")


def _matplotlibs(name: str, n_colours: int) -> Colours:
    """Colours (n_colours, 3), 0 to 1, as matplotlib's `colormaps[name].resampled(n_colours)` has them."""
    import cmap

    base = name.removesuffix(REVERSED)
    chosen = cmap.Colormap(f"{SHELF_OF[base]}:{base}")
    if base in LISTED or chosen.interpolation == "nearest":
        listed: Colours = np.asarray(chosen.color_stops.color_array, dtype=np.float64)
        if base != name:
            listed = listed[::-1]
        # the last place closes the range, as everywhere in matplotlib
        place = np.minimum((np.linspace(0, 1, n_colours) * len(listed)).astype(np.int64), len(listed) - 1)
        return listed[place, :3]
    table: Colours = np.asarray(chosen.lut(n_colours), dtype=np.float64)[:, :3]
    return table[::-1] if base != name else table


@functools.lru_cache
def colour_table(colormap: str, n_colours: int) -> NDArray[np.uint8]:
    """Colours (n_colours, 3) as 8-bit RGB, rounded to nearest.

    Raises
    ------
    ParamsError
        If there is no such colormap.
    """
    check_colormap(colormap)
    own = COLORMAPS.get(colormap)
    return np.round(255 * (own(n_colours) if own else _matplotlibs(colormap, n_colours))).astype(np.uint8)


@functools.lru_cache
def packed_table(colormap: str, n_colours: int) -> NDArray[np.int32]:
    """The same colours as one number each (n_colours,), red lowest, so that one look-up finds all three channels."""
    return colour_table(colormap, n_colours).astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
