"""Two processes that train together, against one: weights, curves, what is written; and what happens when one ends."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import curve_of, files_under, make_project, one_thread  # noqa: F401 - a fixture
from safetensors.numpy import load_file
from team_run import KINDS, go
from torch import nn

from pipeline.errors import ModelError
from pipeline.learning import launch, synced
from pipeline.learning.launch import use_processes
from pipeline.learning.sides import Step
from pipeline.learning.synced import SyncedNorm, WholeDraws, draws_at_random, sync_norms
from pipeline.learning.team import ALONE, LOST, Team, team_of_environment
from pipeline.models.checkpoint import WEIGHTS
from pipeline.models.networks import start_network
from pipeline.store.paths import curves_csv, model_folder, resume_folder

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = TESTS / "learning/team_run.py"
TOGETHER = ("norms", "dropout", "weights", "stops", "clips", "one", "frozen")
FURTHEST = 1e-4  # largest difference of a layer's weights over its largest weight
LOSSES = 1e-4
CPU = torch.device("cpu")


def team_of(n, *kinds, folder):
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(n), *kinds],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def project(folder, kind):
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_project(validation=KINDS[kind].get("validation", "none"))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Folder in which two processes have trained all kinds."""
    top = tmp_path_factory.mktemp("two")
    for kind in TOGETHER:
        project(top / kind, kind)
    done = team_of(2, *TOGETHER, folder=top)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("train: 16/16 batches") == 1, done.stderr  # one of them speaks
    return top


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOGETHER)
def test_two_processes_end_as_one_does(together, tmp_path, monkeypatch, kind):
    project(tmp_path / "one", kind)
    monkeypatch.chdir(tmp_path / "one")
    go(kind)
    weights, points = load_file(model_folder("0-a") / WEIGHTS), curve_of(0)
    names = set(files_under(tmp_path / "one"))
    monkeypatch.chdir(together / kind)
    others, others_points = load_file(model_folder("0-a") / WEIGHTS), curve_of(0)
    assert set(files_under(together / kind)) == names
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        assert np.abs(value - others[name]).max() <= FURTHEST * max(np.abs(value).max(), 1e-3), name
    assert len(points) == len(others_points) > 1
    for point, other in zip(points, others_points, strict=True):
        assert (point.iteration, point.epoch, point.side) == (other.iteration, other.epoch, other.side)
        assert (point.accuracy, point.uar) == (other.accuracy, other.uar)
        assert other.loss == pytest.approx(point.loss, abs=LOSSES)
    assert len({point.loss for point in points}) > 1  # something was learnt


@pytest.mark.slow
def test_a_process_that_fails_ends_all_with_one_line(tmp_path):
    project(tmp_path / "dropout", "dropout")
    done = team_of(2, "dropout:fail", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: the second step is one too many\n")
    assert not (tmp_path / "dropout" / model_folder("0-a")).exists()


@pytest.mark.kills
def test_after_the_kill_of_one_process_the_run_is_gone_on_with(tmp_path, together):
    project(tmp_path / "dropout", "dropout")
    folder = tmp_path / "dropout"
    done = team_of(2, "dropout:die", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: process 1 of the training was killed by SIGKILL")
    assert done.stderr.count("\n") == 1
    assert not (folder / model_folder("0-a")).exists()
    assert (folder / resume_folder("0-a")).is_dir()
    again = team_of(2, "dropout", folder=tmp_path)
    assert again.returncode == 0
    assert "train 0-a: goes on after iteration " in again.stderr
    for name in (model_folder("0-a") / WEIGHTS, curves_csv("0-a")):
        assert (folder / name).read_bytes() == (together / "dropout" / name).read_bytes()
    assert not (folder / resume_folder("0-a")).exists()
    assert not [name for name in files_under(folder) if name.endswith(".part")]


# shares


@pytest.mark.parametrize(("n", "shares"), [(10, [4, 3, 3]), (3, [1, 1, 1]), (9, [3, 3, 3])])
def test_items_are_shared_out_once_and_evenly(n, shares):
    slices = [Team(rank, 3).share(n) for rank in range(3)]
    assert [own.stop - own.start for own in slices] == shares
    assert [i for own in slices for i in range(n)[own]] == list(range(n))


def test_fewer_items_than_processes_go_to_all_of_them():
    assert [Team(rank, 3).share(2) for rank in range(3)] == [slice(0, 2)] * 3
    assert [list(range(2)[Team(rank, 3).deal(2)]) for rank in range(3)] == [[0], [1], []]


def test_clips_stay_whole():
    step = Step(0, np.arange(9), [2, 4, 3], np.arange(9) + 9)
    own = step.part(Team(1, 2).share(step.n_items))
    assert own.chosen.tolist() == [6, 7, 8]
    assert own.draws.tolist() == [15, 16, 17]
    assert own.lengths == [3]
    assert step.rows_of(Team(0, 2).share(3)) == slice(0, 6)


# layers that look at the whole batch


class Both:
    """The sums over two processes, of which the other's addends are known beforehand."""

    def __init__(self, monkeypatch):
        self.others = []
        monkeypatch.setattr(synced.dist, "all_reduce", lambda total: total.add_(self.others.pop(0)))


@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm2d, (7, 4, 3, 5)), (nn.BatchNorm1d, (5, 4))])
def test_normalisation_over_two_processes_is_that_over_all_rows(monkeypatch, kind, shape):
    torch.manual_seed(3)
    values, target = 3 * torch.randn(shape) + 5, torch.randn(shape)
    norm = kind(4, momentum=0.3)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    whole = copy.deepcopy(norm)
    expected = whole(values.requires_grad_())
    (expected * target).sum().backward()
    own, other = values.detach()[:3].clone().requires_grad_(), values.detach()[3:]
    network = nn.Sequential(copy.deepcopy(norm))
    sync_norms(network, CPU)
    both, over = Both(monkeypatch), [0, *range(2, len(shape))]
    count = torch.tensor([other.numel() / 4], dtype=torch.float64)
    mean = values.detach().double().mean(over)
    view = (1, -1, *[1] * (len(shape) - 2))
    both.others += [
        torch.cat([other.double().sum(over), count]),
        (other.double() - mean.view(view)).square().sum(over),
    ]
    answer = network(own)
    torch.testing.assert_close(answer, expected[:3])
    torch.testing.assert_close(network[0].running_mean, whole.running_mean)
    torch.testing.assert_close(network[0].running_var, whole.running_var)
    assert network[0].num_batches_tracked == 1
    # derivatives of each process's loss by the sum of squares, and of the other's by the sum of values
    centred, n = values.detach().double() - mean.view(view), values.numel() / 4
    deviation = 1 / (centred.square().mean(over) + norm.eps).sqrt()
    by_squares = [
        -0.5 * (centred[rows] * target[rows]).sum(over) * norm.weight.detach() * deviation**3 / n
        for rows in (slice(0, 3), slice(3, None))
    ]
    by_mean = -(target[3:].double().sum(over) * norm.weight.detach() * deviation)
    by_mean -= 2 * sum(by_squares) * centred[3:].sum(over)
    both.others += [by_squares[1], torch.cat([by_mean / n, torch.zeros(1, dtype=torch.float64)])]
    (answer * target[:3]).sum().backward()
    torch.testing.assert_close(own.grad, values.grad[:3], rtol=1e-4, atol=1e-5)


def test_normalisation_of_rows_that_all_have_is_the_layer_s_own(monkeypatch):
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Sequential(nn.BatchNorm2d(2)))
    own = copy.deepcopy(network[0])
    sync_norms(network, CPU)
    assert isinstance(network[0], SyncedNorm)
    assert isinstance(network[1][0], SyncedNorm)
    network[0].has_whole = True
    values = torch.randn(5, 4)
    assert torch.equal(network[0](values), own(values))
    assert torch.equal(network[0].running_var, own.running_var)
    network.eval()
    own.eval()
    network[0].has_whole = False
    assert torch.equal(network[0](values), own(values))


def test_the_weights_and_names_stay_those_of_the_network():
    network = start_network("resnet18", n_classes=3, weights=None, init="kaiming", seed=0, frozen=1)
    names, parameters = list(network.state_dict()), list(network.parameters())
    sync_norms(network, CPU)
    assert list(network.state_dict()) == names
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))
    network.train()
    assert not network.trunk.bn1.training  # it is frozen with the layer before it
    assert network.trunk.layer1[0].bn1.training


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("layer", [nn.Dropout(0.4), nn.Dropout2d(0.3), nn.Dropout(0.4, inplace=True)])
def test_rows_are_dropped_as_in_one_process(layer, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    values = torch.rand(7, 5, 4, 3).contiguous(memory_format=layout)
    torch.manual_seed(5)
    expected, then = layer(values.clone(memory_format=torch.preserve_format)), torch.rand(3)
    for rows in (slice(0, 4), slice(4, 7)):
        torch.manual_seed(5)
        own = values[rows].clone(memory_format=torch.preserve_format)
        with WholeDraws(rows, 7):
            answer = layer(own)
        assert torch.equal(answer, expected[rows])
        assert torch.equal(torch.rand(3), then)  # the random numbers stay in step


def test_the_dropout_of_gpus_is_drawn_for_the_whole_batch_too():
    values = torch.rand(6, 4) + 1
    answers = []
    for rows in (slice(0, 4), slice(4, 6)):
        torch.manual_seed(5)
        own = values[rows].clone().requires_grad_()
        with WholeDraws(rows, 6):
            answer, mask = torch.native_dropout(own, 0.25, True)
        answer.sum().backward()
        torch.testing.assert_close(answer, values[rows] * mask / 0.75)
        torch.testing.assert_close(own.grad, mask / 0.75)
        answers.append(mask)
    torch.manual_seed(5)
    assert torch.equal(torch.cat(answers), torch.empty(6, 4).bernoulli_(0.75).bool())


@pytest.mark.parametrize(("name", "draws"), [("squeezenet1_1", True), ("efficientnet_b0", True), ("resnet18", False)])
def test_only_networks_that_draw_are_looked_through(name, draws):
    network = start_network(name, n_classes=3, weights=None, init="torchvision", seed=0)
    assert draws_at_random(network) is draws
    if name == "squeezenet1_1":
        still = start_network(name, n_classes=3, weights=None, init="torchvision", seed=0, dropout=0.0)
        assert not draws_at_random(still)


# where each process computes


@pytest.fixture
def gpus(monkeypatch):
    """A machine of so many GPUs, as torch tells of one."""

    def have(n):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n)
        monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)

    return have


def test_each_process_has_a_gpu_of_its_own(gpus):
    gpus(2)
    assert [str(Team(rank, 4, rank % 2, 2).device("auto")) for rank in range(4)] == ["cuda:0", "cuda:1"] * 2
    assert Team(1, 2, 1, 2).device("cpu") == CPU
    with pytest.raises(ModelError, match=r"3 processes need a GPU each, and there are 2: set train\.processes to 2"):
        Team(0, 3, 0, 3).device("cuda")
    with pytest.raises(ModelError, match=r"train\.device: cuda:1 is one device, and 2 processes train"):
        Team(0, 2, 0, 2).device("cuda:1")


def test_without_a_gpu_processes_share_the_processor(gpus, capsys, monkeypatch):
    gpus(0)
    assert Team(1, 2, 1, 2).device("auto") == CPU
    assert Team(1, 2, 1, 2).device("cuda") == CPU
    assert "note: train.device cuda is not there: computing on the CPU" in capsys.readouterr().err
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert [Team(0, n, 0, n).threads(0) for n in (2, 3, 9)] == [3, 2, 1]
    assert [Team(0, 2, 0, 2).threads(n) for n in (1, 4)] == [1, 2]
    assert (ALONE.threads(0), ALONE.threads(5)) == (0, 5)


def test_the_team_is_what_the_launcher_says(monkeypatch):
    assert team_of_environment() == ALONE
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    assert team_of_environment() == ALONE  # some other launcher's
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert team_of_environment() == Team(rank=3, size=4, local_rank=1, local_size=2)
    assert not team_of_environment().leads
    use_processes(8)  # it is one of them: nothing is started


# why it ended


def test_what_has_said_why_is_left_to_say_so():
    with pytest.raises(SystemExit) as ended:
        launch._explain({0: LOST, 1: 3})
    assert ended.value.code == 3


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({0: -15, 1: -9}, "process 1 of the training was killed by SIGKILL, as the system does where memory runs out"),
        ({0: LOST, 2: -11}, "process 2 of the training was killed by SIGSEGV: start it again"),
        ({0: LOST, 1: LOST}, "the processes of the training lost one another: start it again"),
    ],
)
def test_a_silent_end_is_explained(statuses, said):
    with pytest.raises(ModelError, match=said):
        launch._explain(statuses)
