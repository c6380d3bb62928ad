"""Run a picture's record again and compare what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from latentry_replay.borrowing import borrowed
from latentry_replay.comparing import Difference, PixelDifference, differences, pixel_difference
from latentry_replay.finding import input_files
from latentry_replay.foreign import Foreign, read_foreign
from latentry_replay.picture import Picture
from latentry_replay.rebuilding import Rerun, rebuilt
from latentry_replay.record import Record, read_record
from latentry_sdk import Artifact, Host, InvalidInput
from latentry_sdk.records import read_texts


@dataclass(frozen=True)
class Outcome:
    """A replay: whose record it was made from, the new picture, and how both differ.

    `lost` is what the record asks for and the replay did not do.
    """

    source: str
    artifact: Artifact
    pixels: PixelDifference
    differences: tuple[Difference, ...]
    lost: tuple[str, ...]


def replayed(host: Host, picture: Picture, *, model: str | None, inputs: Mapping[str, Path]) -> Outcome:
    """The outcome of running the picture's record; our own comes before any other."""
    record = read_record(picture.texts)
    if record is not None:
        files = input_files(record.inputs, inputs, picture.path.parent)
        rerun = rebuilt(host, record, model=model, inputs=files)
        return _run(host, picture, rerun, "Latentry", record)
    foreign = read_foreign(picture.texts)
    if foreign is None:
        raise InvalidInput("the picture says nothing of how it was made", fix="see `latentry info --help`")
    outcome = _run(host, picture, borrowed(host, foreign, model=model, inputs=inputs), foreign.generator)
    return replace(outcome, differences=_model_differs(foreign, outcome))


def _run(host: Host, picture: Picture, rerun: Rerun, source: str, record: Record | None = None) -> Outcome:
    artifact = host.run(rerun.request).artifacts[rerun.position]
    pixels = pixel_difference(picture.data, artifact.data, picture.max_pixels)
    found = tuple(differences(record, _record_of(artifact, picture.max_pixels))) if record else ()
    return Outcome(source, artifact, pixels, found, rerun.lost)


def _record_of(artifact: Artifact, max_pixels: int) -> Record:
    record = read_record(read_texts(artifact.data, "the replay", max_pixels))
    if record is None:
        raise InvalidInput("the task's pictures have no record to compare with")
    return record


def _model_differs(foreign: Foreign, outcome: Outcome) -> tuple[Difference, ...]:
    """The model's hash as the other program wrote it, against ours to as many digits."""
    recorded = str(foreign.settings.get("model_hash") or "").lower()
    here = read_record(read_texts(outcome.artifact.data, "the replay", 1 << 40))
    found = (here.applied.model.sha256 or "")[: len(recorded)] if here else ""
    return (Difference("model hash", recorded, found),) if recorded != found else ()
