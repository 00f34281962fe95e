"""Imports point inward, importing does no work, and the two platforms stay apart."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "lumitag"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each room may import of the house; deeper names win.
ALLOWED = {
    "__init__": set(),
    "__main__": {"entrypoints"},
    "domain": set(),
    "errors": set(),
    "events": {"domain"},
    "ports": {"domain", "events"},
    "pipeline": {"domain", "events", "errors", "ports"},
    "settings": {"errors", "domain"},
    "telemetry": {"domain", "__init__"},
    "platform": {"domain", "events", "pipeline", "telemetry"},
    "recognition": {"recognition", "domain", "errors"},
    "evaluation": {"evaluation", "recognition", "domain", "errors"},  # of recognition only the taxonomy: see below
    "adapters.local": {
        *("adapters.local", "domain", "events", "errors", "ports", "pipeline"),
        *("recognition", "settings", "telemetry", "platform", "__init__"),
    },
    "adapters.aws": {
        *("adapters.aws", "domain", "events", "errors", "ports", "pipeline"),
        *("recognition", "settings", "telemetry"),
    },
    "adapters": set(),
    "bootstrap": {"pipeline", "platform", "settings", "adapters.local", "adapters.aws"},
    "entrypoints": {
        *("entrypoints", "bootstrap", "platform", "domain", "events", "errors", "ports", "pipeline"),
        *("settings", "telemetry", "recognition", "evaluation", "adapters.local", "adapters.aws", "__init__"),
    },
}


def room_of(dotted: str) -> str:
    parts = dotted.split(".")
    return next((".".join(parts[:n]) for n in (2, 1) if ".".join(parts[:n]) in ALLOWED), "__init__")


def imports_of(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def house_imports_of(module: Path) -> set[str]:
    modules = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in MODULES}
    inside = {name.removeprefix("lumitag.") for name in imports_of(module) if name.startswith("lumitag.")}
    inside = {name for name in inside if name in modules or f"{name}.__init__" in modules}
    return {room_of(name) for name in inside} | (
        {"__init__"} if "lumitag" in imports_of(module) and not inside else set()
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_inward(module: Path) -> None:
    room = room_of(".".join(module.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"))

    assert house_imports_of(module) <= ALLOWED[room] | {room}


def test_evaluation_knows_the_taxonomy_and_no_model() -> None:
    modules = (PACKAGE / "evaluation").glob("*.py")
    found = {name for module in modules for name in imports_of(module) if name.startswith("lumitag.recognition.")}

    assert {".".join(name.split(".")[:3]) for name in found} == {"lumitag.recognition.taxonomy"}


def test_the_core_needs_no_third_party() -> None:
    core = [PACKAGE / f"{name}.py" for name in ("domain", "errors", "events", "ports", "pipeline")]
    outside = {name.split(".")[0] for module in core for name in imports_of(module)} - {"lumitag"}

    assert outside <= set(sys.stdlib_module_names)


def test_every_port_has_its_adapter_under_its_own_name() -> None:
    names = {path.stem for path in (PACKAGE / "adapters" / "local").glob("*.py") if not path.stem.startswith("_")}

    assert {"object_store", "event_queue", "recognizer", "label_store", "notifier"} <= names


@pytest.mark.parametrize(("platform", "other"), [("local", "aws"), ("aws", "local")])
def test_no_platform_knows_another(platform: str, other: str) -> None:
    modules = (PACKAGE / "adapters" / platform).rglob("*.py")
    found = {name for module in modules for name in imports_of(module) if name.startswith(f"lumitag.adapters.{other}")}

    assert found == set()


def test_amazons_packages_stay_inside_the_aws_adapters() -> None:
    """They are an extra: nobody who does not ask for Amazon needs them."""
    amazon = {"boto3", "botocore"}
    found = [module for module in MODULES if amazon & {name.split(".")[0] for name in imports_of(module)}]

    assert {module.parent for module in found} == {PACKAGE / "adapters" / "aws"}


def test_the_aws_adapters_are_imported_without_amazons_packages() -> None:
    names = (path.stem for path in (PACKAGE / "adapters" / "aws").glob("[!_]*.py"))
    imports = ", ".join(f"lumitag.adapters.aws.{name}" for name in names)
    program = f"import sys, {imports}; assert not {{'boto3', 'botocore'}} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_importing_the_server_starts_nothing() -> None:
    """No thread, no socket, no model: a fresh interpreter that imports everything still runs one thread."""
    program = (
        "import threading, sys, lumitag.entrypoints.server, lumitag.entrypoints.cli;"
        "assert threading.active_count() == 1, threading.enumerate();"
        "assert 'onnxruntime' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
