"""``rtmpose predict``: keypoints of images, videos, cameras and streams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtmpose.cli import options
from rtmpose.cli.groups import FormatPaths, expand_groups
from rtmpose.cli.lab_formats import LabFormatOptions, lab_outputs
from rtmpose.ranges import COUNT, FRACTION

if TYPE_CHECKING:
    from rtmpose.pipeline import Pipeline

DEFAULT_FOLDER = Path("poses")
"""Of formats of labs that are given no place."""


@dataclass(frozen=True)
class DetectionOptions:
    """Which people are taken, and how they are cropped."""

    boxes: options.BoxesFile = None
    box_thr: Annotated[
        float,
        FRACTION,
        typer.Option(help="Lowest score of a detected box.", rich_help_panel=options.MODELS),
    ] = 0.3
    max_people: Annotated[
        int | None,
        COUNT,
        typer.Option(
            help="At most this number of people per frame, those with the highest-scoring boxes.",
            rich_help_panel=options.MODELS,
        ),
    ] = None
    person_thr: options.PersonThr = None
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias",
            help="Crop large people without aliasing: a little better, a little slower.",
            rich_help_panel=options.MODELS,
        ),
    ] = False


@expand_groups
def predict(
    sources: options.Sources,
    models: options.ModelOptions,
    detection: DetectionOptions,
    written: options.OutputOptions,
    formats: FormatPaths,
    labs: LabFormatOptions,
    frames: options.InputOptions,
    drawing: options.DrawOptions,
    speed: options.SpeedOptions,
) -> int:
    """Find people and their keypoints.

    A PATH that ends in the format's suffix (poses.csv) is one file for all sources; anything else
    is a folder that gets one file per source. The path - is standard output.

    Examples:
      rtmpose predict photo.jpg -o out

      rtmpose predict videos/ --json poses.json --csv poses.csv --resume

      rtmpose predict videos/ --jsonl results/ --limit 100

      rtmpose predict photos/ --to coco --to cvat=people.xml

      rtmpose predict 0 --show          (camera)
    """
    from rtmpose.backends.heap import keep_few_heaps
    from rtmpose.cli.boxes_file import read_boxes
    from rtmpose.cli.named_models import settings_of_models
    from rtmpose.cli.named_sources import read_sources
    from rtmpose.cli.terminal import job_progress, print_report
    from rtmpose.writers.job import predict_to_files
    from rtmpose.writers.outputs import Outputs

    keep_few_heaps()
    # Sources and boxes first: a wrong path should not cost the loading of models.
    named = read_sources(sources, frames)
    boxes = detection.boxes
    boxes_of = read_boxes(boxes) if boxes else None
    made = lab_outputs(labs, formats.paths, written.output, named.items, DEFAULT_FOLDER)

    # The models, then what is written.
    stills = all(item.still for item in named.items)
    num_images = len(named.items) if stills else 0
    pipeline = _open_pipeline(models, detection, speed, num_images)
    outputs = Outputs(
        made.formats,
        written.output,
        written.show,
        drawing.style(),
        openpose_format=written.openpose_format.value,
    )
    with job_progress() as on_progress:
        report = predict_to_files(
            pipeline,
            named.items,
            outputs,
            boxes=boxes_of,
            settings={
                **settings_of_models(models, boxes),
                "antialias": detection.antialias,
            },
            resume=written.resume,
            on_progress=on_progress,
        )
    if boxes_of is not None:
        boxes_of.warn_if_unmatched()
    made.write(report)
    named.add_to(report)
    return print_report(report, results_on_stdout=outputs.uses_stdout, shown=written.show)


def _open_pipeline(
    models: options.ModelOptions,
    detection: DetectionOptions,
    speed: options.SpeedOptions,
    num_images: int,
) -> Pipeline:
    from rtmpose.families import open_model
    from rtmpose.pipeline import Pipeline

    # Given boxes take the place of the detector, which is not opened then.
    whole_image = models.detector.lower() == "none"
    without_detector = whole_image or detection.boxes is not None
    model = open_model(
        None if without_detector else models.opened_detector(speed, num_images),
        models.pose,
        options=speed.backend_options(num_images),
        card=models.pose_card(),
        skeleton=models.keypoint_set(),
        antialias=detection.antialias,
        whole_image=whole_image,
    )
    return Pipeline(
        None,
        model,
        box_thr=detection.box_thr,
        max_people=detection.max_people,
        person_thr=detection.person_thr,
    )
