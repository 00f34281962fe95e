"""The command line: every command in the order a new user meets it, and the one place that shows errors.

Data goes to standard output, everything else to standard error.
Exit codes: 0 done, 1 some failed, 2 wrong use, 130 stopped with Ctrl-C.
What is heavy is imported inside the commands, so that `lumitag --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from lumitag import __version__
from lumitag.entrypoints.commands import image_commands, options, store_commands, subscription_commands
from lumitag.entrypoints.commands.exit_codes import BROKEN_PIPE, DONE, INTERRUPTED, SOME_FAILED, WRONG_USE
from lumitag.entrypoints.commands.opening import settings_for
from lumitag.entrypoints.commands.output import ReaderGoneError
from lumitag.errors import InvalidRequest, InvalidSettings, LumitagError

app = typer.Typer(
    help="Label images as they arrive: upload, recognize, store the labels, notify, show and search.",
    epilog="Exit codes: 0 done, 1 some failed, 2 wrong use.",
    rich_markup_mode=None,  # Plain help looks the same on every terminal and in docs/cli.md.
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. What goes wrong is told in one line, never as a traceback."""
    _prepare_streams()
    try:
        return _run(arguments)
    except (ReaderGoneError, BrokenPipeError):
        _forget_stdout()
        return BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (LumitagError, OSError, typer.TyperException) as error:
        return _show(error)


@app.callback(invoke_without_command=True)
def lumitag(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Show the version, or what there is when no command is given."""
    if version:
        typer.echo(f"lumitag {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def up(
    *,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="The address to listen on.  [default: LUMITAG_HOST or 127.0.0.1]"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="The port.  [default: LUMITAG_PORT or 8000]"),
    ] = None,
    data: options.Data = None,
    workers: options.Workers = None,
) -> int:
    """Serve everything here: the page, the API, the recognizers and the notifiers."""
    from lumitag.entrypoints.server import serve  # noqa: PLC0415 - see above

    serve(settings_for(host=host, port=port, data=data, workers=workers))
    return DONE


@app.command()
def label(
    *,
    paths: options.Paths,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
    min_confidence: options.MinConfidence = None,
    max_labels: options.MaxLabels = None,
    workers: options.Workers = None,
    xmp: options.XMP = False,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
) -> int:
    """Label images on this machine without a server.

    Folders are searched for JPEG, PNG, WebP and GIF files, hidden ones left out; files that are named are always
    tried. There is one result a file, in the order of the files. What was recognized before is not recognized again.
    """
    from lumitag.entrypoints.commands.label_command import label_paths, wishes  # noqa: PLC0415 - see above

    output_format = options.output_format(table, json, jsonl, csv)
    settings = settings_for(workers=workers)
    return label_paths(
        paths,
        settings,
        wishes(settings, min_confidence, max_labels, xmp=xmp, no_cache=no_cache, quiet=quiet),
        output_format,
    )


@app.command()
def evaluate(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The folder of images.")],
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="CSV", help="What is true, a row an image: file, label.")
    ] = None,
    coco: Annotated[
        Path | None,
        typer.Option("--coco", metavar="JSON", help="What is true, with boxes: instances as COCO has them."),
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="The CSV names everything in the images, not only their subject.")
    ] = False,
    recognizer: Annotated[
        options.RecognizerName, typer.Option("--recognizer", help="Which recognizer is evaluated.")
    ] = options.RecognizerName.EMBEDDED,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Compare with an earlier report in JSON, or with rekognition or embedded.",
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            "--threshold",
            metavar="PERCENT",
            min=1,
            max=100,
            help="Labels from this percent on count as shown.  [default: the setting]",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page with plots.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Also write the JSON there, for a later --against.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out what the vocabulary does not have, and count it.")
    ] = False,
    images_per_month: Annotated[
        int | None, typer.Option("--images-per-month", metavar="N", min=1, help="Also price this many images a month.")
    ] = None,
    workers: options.Workers = None,
    yes: options.Yes = False,
    quiet: options.Quiet = False,
) -> int:
    """Measure how good the labels are on your own images, and what they cost.

    You say what is true of the images; docs/evaluate.md says what counts as right. Amazon Rekognition costs money:
    you are asked before.
    """
    from lumitag.entrypoints.commands.evaluate_command import EvaluateWishes, evaluate_folder  # noqa: PLC0415 - see above

    settings = settings_for(workers=workers)
    wishes = EvaluateWishes(
        folder=folder,
        labels=labels,
        coco=coco,
        complete=complete,
        skip_unknown=skip_unknown,
        recognizer=recognizer,
        against=against,
        min_confidence=settings.min_confidence_percent if min_confidence is None else min_confidence,
        images_per_month=images_per_month,
        as_json=json,
        save=save,
        html=html,
        yes=yes,
        quiet=quiet,
    )
    return evaluate_folder(settings, wishes)


@app.command()
def watch(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The folder to watch.")],
    upload: Annotated[bool, typer.Option("--upload", help="Put the images into the data folder instead.")] = False,
    existing: Annotated[bool, typer.Option("--existing", help="Start with the images that are there already.")] = False,
    min_confidence: options.MinConfidence = None,
    max_labels: options.MaxLabels = None,
    workers: options.Workers = None,
    xmp: options.XMP = False,
    no_cache: options.NoCache = False,
    data: options.Data = None,
) -> int:
    """Label the images in a folder as they come, until Ctrl-C.

    There is one line of JSON for each new or changed image. It is taken when it has not changed for a second.
    """
    from lumitag.entrypoints.commands import watch_command as watching  # noqa: PLC0415 - see above
    from lumitag.entrypoints.commands.label_command import wishes  # noqa: PLC0415 - see above

    settings = settings_for(workers=workers, data=data)
    batches = watching.batches(folder, existing)
    if upload:
        watching.upload_batches(batches, settings)
    else:
        watching.label_batches(
            batches, settings, wishes(settings, min_confidence, max_labels, xmp=xmp, no_cache=no_cache)
        )
    return DONE


for _commands in (image_commands, subscription_commands, store_commands):
    app.add_typer(_commands.app)


def _run(arguments: Sequence[str] | None) -> int:
    result = app(arguments, prog_name="lumitag", standalone_mode=False)
    sys.stdout.flush()
    return int(result or DONE)


def _show(error: Exception) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"lumitag: {_explain(error)}\n")
    is_wrong_use = isinstance(error, (InvalidRequest, InvalidSettings, typer.TyperException))
    return WRONG_USE if is_wrong_use else SOME_FAILED


def _explain(error: Exception) -> str:
    """Return one line that says what happened and what to do."""
    match error:
        case LumitagError():
            text = error.message
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            problem = error.format_message().replace("Value error, ", "").rstrip(".")
            text = f'{problem}. See "{context.command_path if context else "lumitag"} --help".'
        case PermissionError(filename=str()):
            text = f"{error.strerror}: {error.filename}. Change its permissions, or name another."
        case FileNotFoundError() | FileExistsError() | NotADirectoryError() | IsADirectoryError():
            text = f"{error.strerror}: {error.filename}. Check the path."
        case OSError(filename=None):
            text = error.strerror or str(error)
        case OSError():
            text = f"{error.strerror}: {error.filename}"
        case _:
            text = str(error)
    return " ".join(text.split())


def _prepare_streams() -> None:
    """Write any file name, even one that is no text, and keep the log lines of the adapters to the server."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # In JSON \udcff is an escape as well.
    logging.getLogger("lumitag").addHandler(logging.NullHandler())


def _forget_stdout() -> None:
    """Keep Python from failing once more on the closed pipe when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
