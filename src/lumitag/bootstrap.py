"""Builds the pipeline for one platform: the only place that knows them all."""

from __future__ import annotations

from lumitag.pipeline import Pipeline
from lumitag.platform import OnChange, Platform
from lumitag.settings import Settings

__all__ = ["Platform", "build_pipeline", "build_platform"]


def build_platform(settings: Settings, on_change: OnChange | None = None) -> Platform:
    """Return the platform that `settings` asks for. Imports stay inside, so that each needs only its own packages.

    `on_change` is called, after it is durable, with every record that changed and every image that was deleted.
    """
    from lumitag.adapters.local.platform import build  # noqa: PLC0415 - the aws platform must not import onnxruntime

    return build(settings, on_change)


def build_pipeline(settings: Settings) -> Pipeline:
    """Return only the pipeline of the platform that `settings` asks for."""
    return build_platform(settings).pipeline
