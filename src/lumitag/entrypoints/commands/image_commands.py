"""The commands for the images in the data folder. A running server may use the same folder at the same time."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Annotated

import typer

from lumitag.domain import ImageStatus
from lumitag.entrypoints.commands import options
from lumitag.entrypoints.commands.exit_codes import DONE, SOME_FAILED
from lumitag.entrypoints.commands.image_files import find_images
from lumitag.entrypoints.commands.opening import opened, query_of, settings_for, shown_confidence
from lumitag.entrypoints.commands.output import (
    Failures,
    OutputFormat,
    confirm,
    counted,
    note,
    write_lines,
    write_values,
)
from lumitag.entrypoints.commands.upload_files import upload_files
from lumitag.entrypoints.commands.views import IMAGES, UPLOADS, image_page
from lumitag.entrypoints.export import ExportFormat, export_lines, json_line
from lumitag.errors import ImageNotFound
from lumitag.recognition.colors import with_color_names

app = typer.Typer()

Status = Annotated[
    ImageStatus | None, typer.Option("--status", metavar="STATUS", help=f"One of {', '.join(ImageStatus)}.")
]
Keys = Annotated[list[str], typer.Argument(metavar="KEY", help="The keys of the images.")]


@app.command()
def upload(
    *,
    paths: options.Paths,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
    data: options.Data = None,
) -> int:
    """Put images into the data folder; a running server recognizes them."""
    output_format = options.output_format(table, json, jsonl, csv)
    failures = Failures()
    with opened(settings_for(data=data), create=True) as platform:
        write_values(failures.counting(upload_files(platform.pipeline, find_images(paths))), output_format, UPLOADS)
    return failures.exit_code


@app.command()
def search(
    *,
    label: options.AllOf = None,
    any_of: options.AnyOf = None,
    none_of: options.NoneOf = None,
    min_confidence: options.MinConfidence = None,
    status: Status = None,
    after: options.After = None,
    before: options.Before = None,
    limit: options.Limit = 50,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
    data: options.Data = None,
) -> int:
    """Find images by their labels, newest first."""
    output_format = options.output_format(table, json, jsonl, csv)
    settings = settings_for(data=data)
    confidence = shown_confidence(settings, min_confidence)
    query = query_of(
        confidence, all_of=label, any_of=any_of, none_of=none_of, status=status, after=after, before=before, limit=limit
    )
    with opened(settings) as platform:
        found = islice(platform.pipeline.search_all(query), limit)
        shown = (record.with_visible_labels(confidence, settings.max_labels) for record in found)
        if output_format is OutputFormat.CSV:
            write_lines(export_lines(shown, ExportFormat.CSV))
        else:
            write_values((record.to_json() for record in shown), output_format, IMAGES)
    return DONE


@app.command()
def show(
    *,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of the image.")],
    table: options.AsTable = False,
    json: options.AsJSONObject = False,
    min_confidence: options.MinConfidence = None,
    data: options.Data = None,
) -> int:
    """Show all that is known about one image."""
    output_format = options.output_format(table, json, jsonl=False, csv=False)
    settings = settings_for(data=data)
    with opened(settings) as platform:
        record = platform.pipeline.show_image(key)
    shown = with_color_names(record.with_visible_labels(shown_confidence(settings, min_confidence)).to_json())
    write_lines(image_page(shown) if output_format is OutputFormat.TABLE else [json_line(shown)])
    return DONE


@app.command()
def export(
    *,
    export_format: Annotated[
        ExportFormat, typer.Option("--format", metavar="FORMAT", help="jsonl or csv.")
    ] = ExportFormat.JSONL,
    label: options.AllOf = None,
    any_of: options.AnyOf = None,
    none_of: options.NoneOf = None,
    min_confidence: options.MinConfidence = None,
    status: Status = None,
    after: options.After = None,
    before: options.Before = None,
    data: options.Data = None,
) -> int:
    """Write every image and all its labels, newest first."""
    settings = settings_for(data=data)
    confidence = shown_confidence(settings, min_confidence)
    query = query_of(
        confidence, all_of=label, any_of=any_of, none_of=none_of, status=status, after=after, before=before
    )
    query = replace(query, with_properties=export_format.has_properties)
    with opened(settings) as platform:
        write_lines(export_lines(platform.pipeline.search_all(query), export_format, confidence))
    return DONE


@app.command()
def delete(keys: Keys, yes: options.Yes = False, data: options.Data = None) -> int:
    """Forget images: their bytes, their labels and what waits to be told about them."""
    confirm(f"Delete {counted(len(keys), 'image')} for good?", yes)
    exit_code = DONE
    with opened(settings_for(data=data)) as platform:
        for key in keys:
            try:
                platform.pipeline.delete_image(key)
            except ImageNotFound as error:
                note(f"{key}: {error.message}")
                exit_code = SOME_FAILED
    return exit_code


@app.command()
def relabel(
    *,
    label: options.AllOf = None,
    any_of: options.AnyOf = None,
    none_of: options.NoneOf = None,
    min_confidence: options.MinConfidence = None,
    status: Status = None,
    after: options.After = None,
    before: options.Before = None,
    every: Annotated[bool, typer.Option("--every", help="Also what the present model has labelled already.")] = False,
    data: options.Data = None,
) -> int:
    """Have images recognized again, such as after an update of the model."""
    settings = settings_for(data=data)
    query = query_of(
        shown_confidence(settings, min_confidence),
        all_of=label,
        any_of=any_of,
        none_of=none_of,
        status=status,
        after=after,
        before=before,
    )
    with opened(settings) as platform:
        queued = platform.pipeline.relabel(query, every)
    note(f"{counted(queued, 'image')} queued to be recognized again.")
    return DONE
