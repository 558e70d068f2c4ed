"""What TensorBoard shows of a run, written with TensorBoard's own writer, which needs neither torch nor TensorFlow."""

from __future__ import annotations

import csv
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo
from tensorboard.plugins.text import metadata as text
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from genbench import Record
from genbench.layout import RunKey

SUFFIX = ".genbench"
"""Of the event files: an earlier attempt's are removed, nobody else's."""
FLUSH_SECONDS = 5
WHERE = ("step", "images", "flops", "seconds", "n")
"""Columns of the training curve that say where a row stands; those of scores begin with ``score:``."""


class Board:
    """The event file of one run, ``<root>/<benchmark>/<model>/seed-<k>/``; the folders are those of the results.

    TensorBoard's steps are whole numbers: images that training has seen and, for the same figures against compute,
    millions of floating-point operations. Its scalars are float32.

    Raises:
        OSError: if the folder can't be written to.
    """

    def __init__(self, root: Path, benchmark: str, model: str, seed: int) -> None:
        folder = root / RunKey(benchmark, model, seed).path
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
            earlier.unlink()
        self._writer = EventFileWriter(str(folder), flush_secs=FLUSH_SECONDS, filename_suffix=SUFFIX)
        self._began = time.monotonic()

    def progress(self, stage: str, share: float) -> None:
        """The share of a stage that is done, in [0, 1], against milliseconds since the run began."""
        self._scalar(f"progress/{stage}", share, int(1000 * (time.monotonic() - self._began)))

    def result(self, record: Record, folder: Path) -> None:
        """All that is known of a run when its record stands."""
        self._text("status", record.status if record.reason is None else f"{record.status}: {record.reason}")
        self._hparams({"model": record.model.name, "seed": record.seed, **record.model.config})
        if (folder / "curve.csv").is_file():
            self._losses(folder / "curve.csv")
        for milestone in record.milestones:
            for name, score in milestone.scores.items():
                self._against_both("milestones", name, score.value, milestone.images, milestone.flops)
        for name, score in record.scores.items():
            self._scalar(f"scores/{name}", score.value, int(record.spent["images"]))
        if (folder / "samples.png").is_file():
            self._image("samples", (folder / "samples.png").read_bytes())

    def close(self) -> None:
        """Write what is left. Nothing can be added afterwards."""
        self._writer.close()

    def _losses(self, curve: Path) -> None:
        with curve.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                for name, value in _logged(row):
                    self._against_both("training", name, value, int(row["images"]), float(row["flops"]))

    def _against_both(self, group: str, name: str, value: float, images: int, flops: float) -> None:
        self._scalar(f"{group} by images/{name}", value, images)
        self._scalar(f"{group} by MFLOP/{name}", value, int(flops / 1e6))

    def _scalar(self, tag: str, value: float, step: int) -> None:
        self._add(Summary.Value(tag=tag, simple_value=value), step)

    def _image(self, tag: str, png: bytes) -> None:
        width, height = struct.unpack(">II", png[16:24])  # of the header, which is the first part of every PNG
        image = Summary.Image(width=width, height=height, encoded_image_string=png)
        self._add(Summary.Value(tag=tag, image=image))

    def _text(self, tag: str, words: str) -> None:
        tensor = TensorProto(
            dtype="DT_STRING", string_val=[words.encode()], tensor_shape=TensorShapeProto(dim=[{"size": 1}])
        )
        self._add(Summary.Value(tag=tag, metadata=text.create_summary_metadata(tag, ""), tensor=tensor))

    def _hparams(self, values: Mapping[str, bool | float | str]) -> None:
        session = SessionStartInfo(start_time_secs=time.time())
        for key, value in values.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(session.hparams[key], kind, value)
        content = HParamsPluginData(session_start_info=session, version=hparams.PLUGIN_DATA_VERSION)
        plugin = SummaryMetadata.PluginData(plugin_name=hparams.PLUGIN_NAME, content=content.SerializeToString())
        self._add(Summary.Value(tag=hparams.SESSION_START_INFO_TAG, metadata=SummaryMetadata(plugin_data=plugin)))

    def _add(self, value: Summary.Value, step: int = 0) -> None:
        self._writer.add_event(Event(summary=Summary(value=[value]), step=step, wall_time=time.time()))


def _logged(row: Mapping[str, str]) -> Iterable[tuple[str, float]]:
    """What the model logged in a row of its curve: ``loss`` and its like."""
    for name, value in row.items():
        if value and name not in WHERE and not name.startswith("score:"):
            yield name, float(value)
