"""The options that several commands share, each worded once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lumitag.entrypoints.commands.output import OutputFormat, chosen_format


class RecognizerName(StrEnum):
    """Who finds the labels."""

    EMBEDDED = "embedded"
    REKOGNITION = "rekognition"


Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The data folder.  [default: LUMITAG_DATA or lumitag-data]")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, max=256, help="Recognizer processes.  [default: one a core]"),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        metavar="PERCENT",
        min=0,
        max=100,
        help="Leave labels below this percent out.  [default: the setting]",
    ),
]
MaxLabels = Annotated[
    int | None,
    typer.Option("--max-labels", metavar="N", min=1, help="At most this many labels an image.  [default: the setting]"),
]
AsTable = Annotated[bool, typer.Option("--table", help="A table for people; the default on a terminal.")]
AsJSON = Annotated[bool, typer.Option("--json", help="One JSON array.")]
AsJSONObject = Annotated[bool, typer.Option("--json", help="One JSON object; the default in a pipe.")]
AsJSONL = Annotated[bool, typer.Option("--jsonl", help="JSON Lines: one object a line; the default in a pipe.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="CSV for spreadsheets.")]
XMP = Annotated[
    bool, typer.Option("--xmp", help="Also merge the labels into a sidecar beside each image: cat.jpg.xmp.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Recognize again what was recognized before.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Paths = Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders and patterns such as '*.jpg'.")]

AllOf = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME", help="Images with this label; given twice, with both.")
]
AnyOf = Annotated[
    list[str] | None, typer.Option("--any", metavar="NAME", help="Images with this label or another --any.")
]
NoneOf = Annotated[list[str] | None, typer.Option("--not", metavar="NAME", help="Images without this label.")]
After = Annotated[
    str | None,
    typer.Option("--after", metavar="TIME", help="Uploaded at or after, such as 2026-11-23 or 2026-11-23T12:00Z."),
]
Before = Annotated[str | None, typer.Option("--before", metavar="TIME", help="Uploaded before this time.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most this many.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def output_format(table: bool, json: bool, jsonl: bool, csv: bool) -> OutputFormat:
    """Return the format that the four flags ask for."""
    return chosen_format(
        {OutputFormat.TABLE: table, OutputFormat.JSON: json, OutputFormat.JSONL: jsonl, OutputFormat.CSV: csv}
    )
