"""What the stages need that look at all corpora and folds: split, networks, baselines, metrics."""

from pipeline.aggregation import RULES
from pipeline.baselines import ROWS_AT_ONCE, THUMBNAIL_CELLS
from pipeline.calibration import count_resamples
from pipeline.features.chosen import representation_of
from pipeline.fold_baselines import BATCH_BYTES
from pipeline.learning.reuse import MOST_IN_MEMORY
from pipeline.learning.watching import OUTPUT_BATCH
from pipeline.models.preparation import n_channels_of
from pipeline.plan.job import FILE_BYTES, ROW_MEMORY, Job, Need, block_bytes, input_bytes, rows_in_chunks
from pipeline.plan.network_counts import KEPT, NetworkCosts, copies_to_learn
from pipeline.regression import PIECE_BYTES
from pipeline.store.folds import ROWS_IN_CHUNK
from pipeline.words import amount

DRAW_SECONDS = 1e-7  # of one unit in one resample
SKLEARN_BYTES = 80_000_000
FACTS_BYTES = 80  # of what is collected of a block beside its image
HEAD_SHARE = 0.02  # of a step, that the head of a frozen network takes alone: SqueezeNet 0.013, DenseNet121 0.002


def model_needs(job: Job) -> list[Need]:
    """Estimate the stages after the images, in the order in which they run."""
    heads = (_list_heads, _train_heads) if job.heads else (_list_heads,)
    makers = (_list, _split, _fetch, _train, _predict, *heads, _baselines, _evaluate, _report)
    return [make(job) for make in makers]


def _list(job: Job) -> Need:
    seconds = job.sound.start_torch_seconds
    return Need(
        stage="list_spectrograms",
        runs=1,
        items=amount(len(job.params.corpora), "file"),
        seconds=seconds,
        disk=200 * len(job.params.corpora),
        memory=job.sound.base_torch_bytes,
    )


def _split(job: Job) -> Need:
    row = 2 * job.counts.name_bytes + 40  # the unit is called as the clip, or shorter
    # A byte for each block and fold; rows themselves where altered blocks are dealt too.
    dealt = job.split_rows * (ROW_MEMORY["block"] if job.is_augmented_before else 1)
    tables = ROW_MEMORY["clip"] * len(job.counts.of_clip) + 3 * ROW_MEMORY["held"] * job.counts.n_blocks
    return Need(
        stage="split_blocks",
        runs=1,
        items=amount(job.sides.n_folds, "fold"),
        seconds=job.sound.start_seconds + 3 * job.split_seconds,
        disk=job.split_rows * row,
        memory=job.sound.base_bytes + dealt + tables,
    )


def _fetch(job: Job) -> Need:
    weights = sum(job.weights_bytes.values())
    return Need(
        stage="fetch_weights",
        runs=len(job.networks),
        items=amount(len(job.networks), "member"),
        seconds=len(job.networks) * job.sound.start_torch_seconds + 2 * weights / job.sound.written_per_second,
        disk=weights + 200 * len(job.networks),
        memory=job.sound.base_torch_bytes + 3 * max(job.weights_bytes.values()),
    )


def _train(job: Job) -> Need:
    n_folds, n_members = len(job.params.runs.folds), len(job.networks)
    n_points = {name: _steps_and_points(job, name)[1] for name in job.networks}
    curves = 60 * sum(n_points.values()) * (2 if job.sides.watched else 1)
    state = sum(costs.state_bytes for costs in job.networks.values())
    return Need(
        stage="train_model",
        runs=n_folds * n_members,
        items=f"{amount(n_folds * n_members, 'run')}, about {amount(job.n_learned, job.item)}",
        seconds=n_folds * sum(_train_seconds(job, name, costs) for name, costs in job.networks.items()),
        disk=n_folds * (state + 10_000 * n_members + curves),
        memory=max(_train_memory(job, name, costs) for name, costs in job.networks.items()),
        gpu=max(_learning_bytes(job, name, costs) if _on_gpu(costs) else 0 for name, costs in job.networks.items()),
    )


def _steps_and_points(job: Job, name: str) -> tuple[int, int]:
    """Number of a member's training steps in one fold, and of points on its curve."""
    _, train, _ = job.params.of_member(name)
    n_steps = train.epochs * -(-job.n_learned // train.batch_images)
    return n_steps, -(-n_steps // train.validate_every)


def _train_seconds(job: Job, name: str, costs: NetworkCosts) -> float:
    """One run: to start, to read the split, to learn and watch, to write the weights and digest them."""
    n_steps, n_points = _steps_and_points(job, name)
    learning = n_steps * costs.step_seconds + n_points * job.sides.watched * costs.predict_seconds
    if _reuses_features(job, name):
        learning = HEAD_SHARE * learning + (job.n_learned + job.sides.watched) * costs.predict_seconds
    writing = 2 * costs.state_bytes / job.sound.written_per_second
    return job.sound.start_torch_seconds + job.split_seconds + learning + writing


def _reuses_features(job: Job, name: str) -> bool:
    """Whether what enters the head is computed once: see `learning.reuse`."""
    model, train, _ = job.params.of_member(name)
    alters = any(job.params.augment.of_images.values())
    return model.frozen == "all" and model.sequence == "none" and train.reuse_frozen and train.epochs > 1 and not alters


def _train_memory(job: Job, name: str, costs: NetworkCosts) -> int:
    held = 2 * costs.state_bytes if _on_gpu(costs) else _learning_bytes(job, name, costs)
    held += MOST_IN_MEMORY if _reuses_features(job, name) else 0
    tables = job.split_memory + ROW_MEMORY["place"] * job.counts.n_blocks
    return job.sound.base_torch_bytes + tables + job.weights_bytes[name] + held


def _on_gpu(costs: NetworkCosts) -> bool:
    return costs.device.startswith("cuda")


def _learning_bytes(job: Job, name: str, costs: NetworkCosts) -> int:
    """Weights, gradients and the optimizer's state; the best weights so far; what a batch keeps, and its gradients."""
    model, train, _ = job.params.of_member(name)
    n_images = train.batch_images
    if model.sequence != "none":  # a clip, or a stretch of it, is the least that a batch holds
        longest = max(job.counts.of_clip)
        n_images = max(n_images, min(longest, model.sequence_blocks or longest))
    best = 2 * costs.state_bytes if train.keep == "best" else 0
    batch = n_images * (costs.saved_bytes + 2 * costs.largest_bytes + input_bytes(job.params))
    # At the end the weights are copied once more to be written; what the batch kept is free by then.
    own = costs.state_bytes + copies_to_learn(train) * costs.trainable_bytes + best
    return round(KEPT * (own + max(batch, costs.state_bytes)))


def _predict(job: Job) -> Need:
    n, n_folds = job.sides.rows, len(job.params.runs.folds)
    networks = job.networks.values()
    seconds = [
        job.sound.start_torch_seconds
        + job.split_seconds
        + n * costs.predict_seconds
        + costs.state_bytes / job.sound.written_per_second
        for costs in networks
    ]
    row = job.counts.name_bytes + 10  # a block's name and side
    disk = [_output_rows(n) * (_output_bytes(job, costs) + row) + FILE_BYTES for costs in networks]
    return Need(
        stage="predict_blocks",
        runs=n_folds * len(networks),
        items=f"{amount(n_folds * len(networks), 'run')}, {amount(n, job.item)}",
        seconds=n_folds * sum(seconds),
        disk=n_folds * sum(disk),
        memory=max(_predict_memory(job, name, costs) for name, costs in job.networks.items()),
        gpu=max(costs.state_bytes + _forward_bytes(job, costs) if _on_gpu(costs) else 0 for costs in networks),
    )


def _output_rows(n: int) -> int:
    """Rows on disk of arrays over `n` blocks, as `store.folds` writes them."""
    return rows_in_chunks(n, min(n, ROWS_IN_CHUNK))


def _output_bytes(job: Job, costs: NetworkCosts) -> int:
    """Logits and features of one block."""
    return 4 * (len(job.counts.by_label) + costs.n_features)


def _forward_bytes(job: Job, costs: NetworkCosts) -> int:
    """A batch on its way through the network, from one layer to the next."""
    return OUTPUT_BATCH * (2 * costs.largest_bytes + input_bytes(job.params))


def _predict_memory(job: Job, name: str, costs: NetworkCosts) -> int:
    n = job.sides.rows
    model, _, _ = job.params.of_member(name)
    network = 2 * costs.state_bytes + (0 if _on_gpu(costs) else _forward_bytes(job, costs))
    tables = job.split_memory + (ROW_MEMORY["place"] + 2 * job.counts.name_bytes) * n
    # Outputs are written as they come; an estimator's, and those of clips in order, are put together at the end: twice.
    held = 2 * n if model.is_estimator or model.sequence != "none" else OUTPUT_BATCH
    return job.sound.base_torch_bytes + tables + network + held * _output_bytes(job, costs)


def _list_heads(job: Job) -> Need:
    """It reads the outputs of heads' members once, to digest them."""
    n_folds, n_heads = len(job.params.runs.folds), len(job.heads)
    members = [job.networks[job.params.heads[name].member] for name in job.heads]
    read = n_folds * job.sides.rows * sum(_output_bytes(job, costs) for costs in members)
    return Need(
        stage="list_heads",
        runs=1,
        items=amount(n_heads, "head"),
        seconds=job.sound.start_seconds + read / job.sound.hashed_per_second,
        disk=200 + n_heads * (400 + n_folds * 200),
        memory=job.sound.base_bytes,
    )


def _train_heads(job: Job) -> Need:
    """Each reads its member's outputs, the split, fits, answers for every block, and writes as many logits."""
    n, n_folds = job.sides.rows, len(job.params.runs.folds)
    row = 4 * len(job.counts.by_label) + job.counts.name_bytes + 10
    outputs = _output_rows(n) * row + FILE_BYTES
    # scikit-learn takes about as long to start as torch
    each = job.sound.start_torch_seconds + job.split_seconds
    of_member = {name: _output_bytes(job, job.networks[job.params.heads[name].member]) for name in job.heads}
    return Need(
        stage="train_head",
        runs=n_folds * len(job.heads),
        items=amount(n_folds * len(job.heads), "head"),
        seconds=n_folds * sum(each + costs.fit_seconds + n * costs.predict_seconds for costs in job.heads.values()),
        disk=n_folds * sum(costs.file_bytes + outputs + 2000 for costs in job.heads.values()),
        memory=job.sound.base_bytes
        + SKLEARN_BYTES
        + job.split_memory
        + max(costs.fit_bytes + 3 * n * of_member[name] for name, costs in job.heads.items()),
    )


def _baselines(job: Job) -> Need:
    n, n_folds = job.sides.rows, len(job.params.runs.folds)
    chosen = representation_of(job.params)
    channels = 0 if chosen.kind == "features" else n_channels_of(chosen.kind, chosen.shape)
    n_classes, n_values = len(job.counts.by_label), channels * THUMBNAIL_CELLS**2
    row = 3 * 8 * n_classes + job.counts.name_bytes + 10
    fitting = job.sides.train * n_values * n_classes * job.sound.fit_per_value
    each = job.sound.start_seconds + job.split_seconds + n * job.sound.thumbnail_per_block + fitting
    tables = job.split_memory + n * (FACTS_BYTES + ROW_MEMORY["place"])
    # A piece as it lies on disk, and in double precision; and images that are shrunk.
    pieces = 2 * PIECE_BYTES + 12 * ROWS_AT_ONCE * n_values + max(BATCH_BYTES, block_bytes(job.params))
    return Need(
        stage="fit_baselines",
        runs=n_folds,
        items=amount(n_folds, "fold"),
        seconds=n_folds * each,
        disk=n_folds * (_output_rows(n) * row + FILE_BYTES),
        memory=job.sound.base_bytes + tables + pieces,
    )


def _evaluate(job: Job) -> Need:
    n_runs = len(job.params.runs.folds) * len(job.networks)
    how, n_units = job.params.evaluate, job.counts.n_units
    # blocks and clips of each member, their mean (also without temperatures), heads, ensembles, three baselines; rules
    levels = 2 * (len(job.networks) + len(job.heads) + 4 + len(how.ensembles) + (how.calibrate != "none")) + len(RULES)
    calibrating = count_resamples(how.n_resamples, max(n_units, 1))
    drawing = levels * (how.n_resamples + calibrating) * n_units * DRAW_SECONDS
    n_blocks = job.counts.n_blocks
    tables = len(job.params.runs.folds) * job.split_memory + 2 * ROW_MEMORY["held"] * n_blocks
    answers = 8 * len(job.counts.by_label) * n_blocks * (len(job.networks) + len(job.heads) + 4)
    reading = (len(job.params.runs.folds) + n_runs) * job.split_seconds
    return Need(
        stage="evaluate_model",
        runs=1,
        items=amount(n_runs, "run"),
        seconds=job.sound.start_seconds + drawing + reading,
        disk=100 * job.sides.rows + 100_000,
        memory=job.sound.base_bytes + tables + answers + 2**22,
        in_cache=False,
    )


def _report(job: Job) -> Need:
    n_pictures = len(job.counts.by_label) + job.params.report.wrong_clips
    return Need(
        stage="report",
        runs=1,
        items="1 page",
        seconds=job.sound.start_torch_seconds + job.split_seconds,
        disk=100_000 + round(0.7 * n_pictures * block_bytes(job.params)),  # a PNG of half, as text
        memory=job.sound.base_torch_bytes + (ROW_MEMORY["held"] + 2 * ROW_MEMORY["place"]) * job.counts.n_blocks,
    )
