"""Values into colours: MATLAB's jet, grey, a palette like SoX's, and matplotlib's maps, as tables of 8-bit RGB."""

import functools

import numpy as np
from numpy.typing import NDArray

from pipeline.colormaps import REVERSED, SHELF_OF, check_colormap

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

# What matplotlib holds as a list of colours it samples without blending; other maps are lines between a few colours.
LISTED = {
    *("viridis", "plasma", "inferno", "magma", "cividis", "turbo"),
    *("twilight", "twilight_shifted", "berlin", "managua", "vanimo"),
}


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
    check_colormap(colormap, own=COLORMAPS)
    own = COLORMAPS.get(colormap)
    return np.round(255 * (own(n_colours) if own else _matplotlibs(colormap, n_colours))).astype(np.uint8)


@functools.lru_cache
def packed_table(colormap: str, n_colours: int) -> NDArray[np.int32]:
    """The same colours as one number each (n_colours,), red lowest, so that one look-up finds all three channels."""
    return colour_table(colormap, n_colours).astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
