"""The commands that look after an installation: backup, restore, verify, doctor, labels, settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lumitag.domain import Json
from lumitag.entrypoints.commands import options
from lumitag.entrypoints.commands.exit_codes import DONE, SOME_FAILED
from lumitag.entrypoints.commands.opening import settings_for
from lumitag.entrypoints.commands.output import OutputFormat, counted, json_array_lines, note, write_lines, write_values
from lumitag.entrypoints.commands.views import LABEL_CHANGES, LABELS, SETTINGS
from lumitag.entrypoints.export import json_line

if TYPE_CHECKING:
    from lumitag.entrypoints.commands.backup_layout import Damage
    from lumitag.entrypoints.commands.doctor import Finding

app = typer.Typer()


@app.command()
def backup(
    *,
    target: Annotated[Path, typer.Argument(metavar="BACKUP", help="The new folder to put the backup in.")],
    link: Annotated[
        bool, typer.Option("--link", help="Share the bytes with the data folder, where the disk can, to save room.")
    ] = False,
    data: options.Data = None,
) -> int:
    """Copy the data folder, complete and checked, while a server may run on it."""
    from lumitag.entrypoints.commands.backup import back_up  # noqa: PLC0415 - heavy

    damages = DamageReport()
    images = back_up(settings_for(data=data), target, link, damages.add)
    note(f"{counted(images, 'image')} backed up to {target}.")
    return damages.exit_code


@app.command()
def restore(
    *,
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help='A folder that "lumitag backup" has made.')],
    force: Annotated[
        bool, typer.Option("--force", help="Rename a data folder that is there already; it is kept, not deleted.")
    ] = False,
    data: options.Data = None,
) -> int:
    """Make a data folder from a backup."""
    from lumitag.entrypoints.commands.restore import restore as restore_backup  # noqa: PLC0415 - heavy

    damages = DamageReport()
    target = settings_for(data=data).data
    aside = restore_backup(source, target, force, damages.add)
    if aside is not None:
        note(f"What was in {target} is now in {aside}.")
    note(f"{source} restored to {target}.")
    return damages.exit_code


@app.command()
def verify(data: options.Data = None) -> int:
    """Say which images of a data folder or a backup are missing, truncated or changed.

    Every image is read. --data names the data folder or the backup.
    """
    from lumitag.entrypoints.commands.restore import verify as verify_images  # noqa: PLC0415 - heavy

    damages, images = DamageReport(), 0
    for damage in verify_images(settings_for(data=data)):
        images += 1
        if damage is not None:
            damages.add(damage)
    note(f"{counted(images, 'image')} verified, {damages.count:,} damaged.")
    return damages.exit_code


@app.command()
def doctor(json: options.AsJSON = False, data: options.Data = None) -> int:
    """Check everything that Lumitag needs on this machine."""
    from lumitag.entrypoints.commands.doctor import diagnose  # noqa: PLC0415 - heavy

    findings: list[Finding] = []

    def told() -> Iterator[Finding]:
        for finding in diagnose(data=data):
            findings.append(finding)
            yield finding

    write_lines(json_array_lines(one.to_json() for one in told()) if json else (one.line for one in told()))
    return SOME_FAILED if any(one.problem for one in findings) else DONE


@app.command()
def labels(
    *,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Test a labels file and list what it would change.")
    ] = None,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
) -> int:
    """List every label that an image can get, or what a labels file would change."""
    from lumitag.entrypoints.commands import labels_command  # noqa: PLC0415 - heavy

    output_format = options.output_format(table, json, jsonl, csv)
    settings = settings_for()
    if check is None:
        taxonomy = labels_command.vocabulary(settings, settings.labels_file)
        write_values(labels_command.label_values(taxonomy), output_format, LABELS)
        return DONE
    before, after = (labels_command.vocabulary(settings, labels_file) for labels_file in (None, check))
    changes = list(labels_command.change_values(before, after))
    write_values(changes, output_format, LABEL_CHANGES)
    note(f"{check} is valid. It changes {counted(len({change['concept'] for change in changes}), 'label')}.")
    return DONE


@app.command()
def settings(
    *,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
) -> int:
    """List every setting, its value and where it comes from. Secrets are masked."""
    from lumitag.entrypoints.commands.settings_report import setting_rows  # noqa: PLC0415 - heavy

    any_flag = table or json or jsonl or csv
    output_format = options.output_format(table, json, jsonl, csv) if any_flag else OutputFormat.TABLE
    rows: list[Json] = list(setting_rows(settings_for()))
    write_values(rows, output_format, SETTINGS)
    return DONE


class DamageReport:
    """Writes each damaged image as one line of JSON and counts them."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def exit_code(self) -> int:
        """What the command returns."""
        return SOME_FAILED if self.count else DONE

    def add(self, damage: Damage) -> None:
        """Write one."""
        self.count += 1
        write_lines([json_line(damage.to_json())])
