"""Before any work: the time, disk and memory that every stage needs, and whether this machine has them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from pipeline.augment.attach import LEAK
from pipeline.console import n_workers, say
from pipeline.errors import CorpusError, ModelError, SplitError
from pipeline.params.sections import Model, Params
from pipeline.plan.counts import Counts, Sides, count_blocks, deal
from pipeline.plan.estimator_costs import EstimatorCosts, measure_head, measure_member
from pipeline.plan.fit import misfits, refusals, unknown_names
from pipeline.plan.job import Job
from pipeline.plan.machine import present_machine
from pipeline.plan.members import refuse_unfit_members
from pipeline.plan.model_needs import model_needs
from pipeline.plan.network_costs import measure_network
from pipeline.plan.network_counts import NetworkCosts
from pipeline.plan.page import page
from pipeline.plan.sound_costs import measured_sound
from pipeline.plan.sound_needs import sound_needs
from pipeline.plan.survey import survey_corpora
from pipeline.store.rendered import Rendered

__all__ = ["plan_work"]


def plan_work(params: Params) -> tuple[str, bool]:
    """Survey the corpora, measure for a few seconds, and estimate every stage.

    Returns
    -------
    The page of text, and whether everything fits.

    Raises
    ------
    CorpusError
        If a corpus is missing, faulty or without a usable recording, or no clip gives a block.
    SplitError
        If split.use and split.classes leave nothing.
    ModelError
        If there is no such network, or it cannot take images of this size.
    """
    job = _measured(params)
    needs = [*sound_needs(job), *model_needs(job)]
    devices = {costs.device for costs in job.networks.values()}
    machine = present_machine(Path.cwd(), devices=devices)
    lacking = misfits(needs, machine, are_drawn=params.slice.random_blocks > 0)
    refused = refusals(job)
    return page(needs, job, machine, misfits=lacking, refusals=refused), not (lacking or refused)


def _measured(params: Params) -> Job:
    refuse_unfit_members(params)
    survey = survey_corpora(params)
    counts = count_blocks(survey.clips, params)
    if not counts.n_blocks:
        raise CorpusError(f"no block is left of {len(survey.clips)} clips: see slice.* in params.yaml")
    if not counts.by_label:
        named = unknown_names(survey, params.split)
        raise SplitError(named or "split.use and split.classes leave out every clip: name classes that are to be kept")
    with measured_sound(survey, params) as (sound, images, names):
        job = Job(
            params=params,
            survey=survey,
            counts=counts,
            sides=_sides(counts, params),
            sound=sound,
            networks={},
            weights_bytes={},
            workers=n_workers(params.machine.workers),
        )
        networks = _measure_members(params, counts, images, names, n_learned=job.n_learned)
    weights = {name: _start_bytes(params.of_member(name)[0], costs) for name, costs in networks.items()}
    return dataclasses.replace(job, networks=networks, weights_bytes=weights, heads=_measure_heads(job, networks))


def _sides(counts: Counts, params: Params) -> Sides:
    sides = deal(counts.by_role, counts.n_units, params.split)
    if LEAK not in params.split.allow_leaks:
        return sides
    grown = 1 + counts.n_altered / counts.n_blocks  # altered sound is dealt to all sides
    return dataclasses.replace(
        sides,
        train=round(sides.train * grown),
        watched=round(sides.watched * grown),
        rows=round(sides.rows * grown),
    )


def _measure_members(
    params: Params, counts: Counts, images: Rendered, names: list[str], *, n_learned: int
) -> Mapping[str, NetworkCosts]:
    """Measure each member's network; members that differ in their seed or learning rate only are measured once."""
    known: dict[tuple[object, ...], NetworkCosts] = {}
    networks = {}
    for name in params.runs.members:
        model, train, _ = params.of_member(name)
        if model.is_estimator:
            n_classes = len(counts.by_label)
            networks[name] = measure_member(
                model, train, n_rows=n_learned, n_classes=n_classes, images=images, block_ids=names
            )
            continue
        own = model.model_copy(update={"weights": "random", "weights_sha256": None, "init": "torchvision"})
        key = (own, train.batch_images, train.optimizer, train.device, train.threads, train.deterministic)
        if key not in known:
            say(f"measuring {model.name}")
            known[key] = measure_network(model, train, n_classes=len(counts.by_label), images=images, block_ids=names)
        networks[name] = known[key]
    return networks


def _measure_heads(job: Job, networks: Mapping[str, NetworkCosts]) -> dict[str, EstimatorCosts]:
    """Measure each head, on logits or on as many features as its member's network has."""
    n_classes = len(job.counts.by_label)
    found = {}
    for name in job.params.runs.heads:
        head = job.params.heads[name]
        n_columns = n_classes if head.on == "logits" else networks[head.member].n_features
        n_rows = max(1, job.sides.train if head.fitted_on == "train" else job.sides.watched)
        try:
            found[name] = measure_head(head, n_rows=n_rows, n_columns=n_columns, n_classes=n_classes)
        except ModelError as error:
            raise ModelError(f"heads.{name}: {error}") from None
    return found


def _start_bytes(model: Model, costs: NetworkCosts) -> int:
    """Bytes of a member's starting weights; a path that is not there is fetch_weights' to refuse."""
    if model.weights == "random":
        return 0
    path = Path(model.weights)
    return path.stat().st_size if path.is_file() else costs.imagenet_bytes
