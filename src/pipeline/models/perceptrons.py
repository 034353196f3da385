"""Anand and Verma's fully connected networks on hand-built features: FC2 with one hidden layer, FC3 with two.

The paper tuned the widths and does not print them; its convolutional networks end in affine layers of 64 and of the
classes, so hidden layers have 64 units here. ReLU follows each.
"""

from torch import nn

N_FEATURES, N_HIDDEN, N_OUTPUTS = 26, 64, 1000


def fc2() -> nn.Module:
    """Two layers: 26 - 64 - outputs."""
    return nn.Sequential(nn.Linear(N_FEATURES, N_HIDDEN), nn.ReLU(), nn.Linear(N_HIDDEN, N_OUTPUTS))


def fc3() -> nn.Module:
    """Three layers: 26 - 64 - 64 - outputs."""
    return nn.Sequential(
        nn.Linear(N_FEATURES, N_HIDDEN),
        nn.ReLU(),
        nn.Linear(N_HIDDEN, N_HIDDEN),
        nn.ReLU(),
        nn.Linear(N_HIDDEN, N_OUTPUTS),
    )
