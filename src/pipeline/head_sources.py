"""Which outputs each head is fitted to, by content, so that it is fitted anew exactly when these change."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.errors import StoreError
from pipeline.store.files import sha256_of, write_json
from pipeline.store.paths import HEAD_SOURCES, head_source, outputs_h5, run_key

ALL_HEADS = HEAD_SOURCES / "heads.json"


@dataclass(frozen=True, kw_only=True)
class HeadRecipe:
    """One head, as in params.yaml's section `heads`."""

    member: str
    on: str  # logits or features
    kind: str  # one of heads.HEADS
    fitted_on: str  # train or validation
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)  # of the kind


def list_heads(folds: Sequence[int], heads: Mapping[str, HeadRecipe]) -> None:
    """Say of each fold and head that is to be fitted which outputs it is fitted to, by content.

    What lists all heads is written where there are none too, so that the folder of heads is always there.

    Raises
    ------
    StoreError
        If outputs are missing.
    """
    write_json(ALL_HEADS, {name: asdict(head) for name, head in heads.items()})
    for fold in folds:
        for name, head in heads.items():
            path = outputs_h5(run_key(fold, head.member))
            if not path.is_file():
                raise StoreError(f"{path}: missing: run `dvc repro`")
            write_json(head_source(run_key(fold, name)), {"path": path.as_posix(), "sha256": sha256_of(path)})
