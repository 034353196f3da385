"""Values into colours: MATLAB's jet and grey, as tables of 8-bit RGB."""

import functools

import numpy as np
from numpy.typing import NDArray


def jet(n_colours: int) -> NDArray[np.float64]:
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


def grey(n_colours: int) -> NDArray[np.float64]:
    """Colours (n_colours, 3), 0 to 1, from black to white."""
    return np.repeat(np.linspace(0, 1, n_colours)[:, None], 3, axis=1)


COLORMAPS = {"jet": jet, "grey": grey}


@functools.lru_cache
def colour_table(colormap: str, n_colours: int) -> NDArray[np.uint8]:
    """Colours (n_colours, 3) as 8-bit RGB, rounded to nearest."""
    return np.round(255 * COLORMAPS[colormap](n_colours)).astype(np.uint8)


@functools.lru_cache
def packed_table(colormap: str, n_colours: int) -> NDArray[np.int32]:
    """The same colours as one number each (n_colours,), red lowest, so that one look-up finds all three channels."""
    return colour_table(colormap, n_colours).astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
