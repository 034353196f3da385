"""Minima known by hand or by a direct solver."""

import numpy as np
import pytest

from pipeline.newton import _Inverse, minimum


class Bowl:
    """Half x'Ax - b'x, of rows of x together."""

    def __init__(self, matrix, right):
        self.matrix, self.right, self.n_products = matrix, right, 0

    def at(self, x):
        return float((0.5 * x * (x @ self.matrix) - self.right * x).sum()), x @ self.matrix - self.right

    def product(self, v):
        self.n_products += 1
        return v @ self.matrix


class Steep:
    """Sum of sqrt(1 + (x - 3)^2) and a little of x^2: a whole step of Newton's leads far away."""

    def at(self, x):
        self.x, root = x, np.sqrt(1 + (x - 3) ** 2)
        return float((root + 5e-4 * x**2).sum()), (x - 3) / root + 1e-3 * x

    def product(self, v):
        return v * ((1 + (self.x - 3) ** 2) ** -1.5 + 1e-3)


@pytest.mark.parametrize("largest", [1, 1e3, 1e6])
def test_the_minimum_of_a_parabola_solves_its_equations(largest):
    for seed in range(10):  # some of which lose the last gains in rounding
        rng = np.random.default_rng(seed)
        basis = np.linalg.qr(rng.normal(size=(30, 30)))[0]
        matrix = basis * np.geomspace(1, largest, 30) @ basis.T
        right = rng.normal(size=(3, 30))
        found = minimum(Bowl(matrix, right), np.zeros((3, 30)), tolerance=1e-9)
        np.testing.assert_allclose(found, np.linalg.solve(matrix, right.T).T, atol=1e-9)


def test_where_whole_steps_lead_away_shorter_ones_are_taken():
    found = minimum(Steep(), np.array([100.0, -50.0, 3.0]), tolerance=1e-9)
    gradient = Steep().at(found)[1]
    np.testing.assert_allclose(gradient, 0, atol=1e-12)
    assert np.ptp(found) < 1e-9  # the same from everywhere


def test_who_begins_at_the_minimum_stays():
    bowl = Bowl(np.diag([1.0, 2.0]), np.zeros((1, 2)))
    assert minimum(bowl, np.zeros((1, 2)), tolerance=1e-9).tolist() == [[0, 0]]
    assert bowl.n_products == 0


def test_products_with_all_directions_tell_the_inverse():
    rng = np.random.default_rng(1)
    matrix = (root := rng.normal(size=(5, 5))) @ root.T + np.eye(5)
    directions = np.linalg.eigh(matrix)[1].T  # conjugate, as those of conjugate gradients are
    inverse = _Inverse([(direction, direction @ matrix) for direction in directions])
    vector = rng.normal(size=5)
    np.testing.assert_allclose(inverse.times(vector), np.linalg.solve(matrix, vector))
    np.testing.assert_array_equal(_Inverse([]).times(vector), vector)
