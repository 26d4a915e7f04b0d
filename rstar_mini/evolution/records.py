"""What stands in the files of a run that commands look into: its types, by which others' files are checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Required

from pydantic import AfterValidator, Field, FiniteFloat, NonNegativeInt, TypeAdapter, with_config
from typing_extensions import TypedDict

_Positive = Annotated[FiniteFloat, Field(ge=0)]
_Three = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
_Time = Annotated[str, AfterValidator(lambda text: datetime.fromisoformat(text) and text)]
_open = with_config(extra="allow")


@_open
class _Counted(TypedDict):
    """How many of n problems."""

    correct: _Positive
    n: NonNegativeInt


@_open
class _System(TypedDict, total=False):
    """One system on the held-out problems."""

    correct: Required[_Positive]
    n: Required[NonNegativeInt]
    unseen: _Counted
    tokens: _Positive
    samples: NonNegativeInt


@_open
class _Evaluation(TypedDict, total=False):
    n: NonNegativeInt
    seed: int
    systems: Required[dict[str, _System]]
    paired: Required[dict[str, _Three]]
    kinds: dict[str, _Evaluation]


@_open
class _RoundMetrics(TypedDict, total=False):
    """A round's metrics.json."""

    round: Required[NonNegativeInt]
    seed: int
    evaluation: _Evaluation
    coverage: dict[str, _Counted]
    ppm_accuracy: _Counted


@_open
class _ShardCounts(TypedDict):
    """What the search of a shard took: round-1/trees/shard-0000.json."""

    sampled: NonNegativeInt


@_open
class _Event(TypedDict, total=False):
    time: Required[_Time]
    event: Required[str]
    round: NonNegativeInt
    shard: NonNegativeInt
    of: NonNegativeInt
    seconds: _Positive
    dashboard: str


@_open
class _Digest(TypedDict):
    file: str
    sha256: str


@_open
class _Sign(TypedDict):
    """What an owner writes of itself."""

    id: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]  # part of a file's name where a run is taken over
    pid: Annotated[int, Field(ge=0, lt=2**31)]
    host: str
    seen: FiniteFloat


Row = dict[str, Any]


def _check(kind: Any) -> Callable[[Any], Row]:
    """Gives a row back as it is when it is of this kind.

    Raises:
        pydantic.ValidationError: it is not, a ValueError.
    """
    adapter = TypeAdapter(kind)

    def check(row: Any) -> Row:
        adapter.validate_python(row, strict=True)
        found: Row = row
        return found

    return check


round_metrics, shard_counts, sign = _check(_RoundMetrics), _check(_ShardCounts), _check(_Sign)
event_row, digest_row, any_row = _check(_Event), _check(_Digest), _check(dict[str, Any])
