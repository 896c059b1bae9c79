"""A Linux guest with the virtual PCIe board in a slot: a real kernel enumerates it, and the driver
in the guest drives it as on any server.

QEMU and kernel are Debian's, unpacked into the cache by ``mmdebstrap --variant=extract``: nothing
is installed on this machine. The guest's root is an initramfs of busybox, this very Python, and the
packages that the driver needs; ``in_guest.py`` is what it runs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import lzma
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from intaglio.errors import IntaglioError
from intaglio.sim import runner
from intaglio.sim.pcie.cpio import Archive

MIRROR = "http://deb.debian.org/debian"
SUITE = "trixie"
QEMU_PACKAGES = "qemu-system-x86"
KERNEL_PACKAGES = "linux-image-cloud-amd64,busybox-static"
MIN_QEMU = (10, 1)
"""The first that is a client of vfio-user."""
MEMORY_MB = 1024
EXTRAS = ("orders", "pcie")
"""Of this package, in the guest."""
MARK = "@@"
"""Begins the lines of the console that :mod:`in_guest` writes, each a JSON object."""

_MODULES = (
    "virt/lib/irqbypass",
    "drivers/iommu/iommufd/iommufd",
    "drivers/vfio/vfio",
    "drivers/vfio/vfio_iommu_type1",
    "drivers/vfio/pci/vfio-pci-core",
    "drivers/vfio/pci/vfio-pci",
)
"""Kernel modules in the order of loading; those that the kernel has built in are left out."""
_SKIPPED = {"__pycache__", "test", "tests", "idlelib", "site-packages", "ensurepip", "turtledemo"}
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_OPTIONS = (
    *("-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MB)),
    *("-object", f"memory-backend-memfd,id=mem,size={MEMORY_MB}M,share=on"),
    *("-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"),
)
# QEMU without KVM cannot remap interrupts, which VFIO asks for unless told otherwise.
_IOMMU = ("-device", "intel-iommu,intremap=off,caching-mode=on")
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=dumb LD_LIBRARY_PATH={libraries}
export PYTHONPATH=/site PYTHONDONTWRITEBYTECODE=1
mkdir -p /proc /sys /dev /tmp /root
mount -t proc none /proc && mount -t sysfs none /sys && mount -t devtmpfs none /dev
for module in {modules}; do insmod /modules/$module.ko; done
echo Y > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
echo 4 > /proc/sys/vm/nr_hugepages
{python} /in_guest.py $(sed 's/.*route=//; s/ .*//' /proc/cmdline)
poweroff -f
"""


class Unavailable(IntaglioError):
    """What the guest needs cannot be had here; the text says what."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a guest is started from: the unpacked trees of QEMU and of the kernel."""

    qemu: Path
    kernel: Path


def files() -> Files:
    """The files, unpacked into the cache if they are not there. Raises :class:`Unavailable`."""
    base = runner.cache_dir() / "guest"
    found = Files(base / f"qemu-{SUITE}-backports", base / f"kernel-{SUITE}")
    backports = ['--aptopt=APT::Default-Release "' + SUITE + '-backports"']
    sources = [f"deb {MIRROR} {SUITE} main"]
    _unpack(found.kernel, KERNEL_PACKAGES, [], sources)
    _unpack(
        found.qemu, QEMU_PACKAGES, backports, [*sources, f"deb {MIRROR} {SUITE}-backports main"]
    )
    version = _qemu_version(found.qemu)
    if version < MIN_QEMU:
        raise Unavailable(f"QEMU is {version}, and vfio-user-pci needs {MIN_QEMU} or newer")
    return found


def _unpack(tree: Path, packages: str, options: list[str], sources: list[str]) -> None:
    if tree.is_dir():
        return
    if shutil.which("mmdebstrap") is None:
        raise Unavailable("mmdebstrap is not installed (sudo apt install mmdebstrap)")
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        made = Path(folder) / "tree"
        command = ["mmdebstrap", "--variant=extract", f"--include={packages}", *options]
        done = subprocess.run(
            [*command, SUITE, str(made), *sources], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise Unavailable(f"mmdebstrap cannot fetch {packages} from {MIRROR}: {last}")
        made.rename(tree)


def _qemu(tree: Path) -> list[str]:
    """QEMU of ``tree`` by that tree's own loader and libraries."""
    (loader,) = tree.glob("usr/lib*/ld-linux-x86-64.so.2")
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    return [str(loader), "--library-path", str(libraries), str(tree / "usr/bin/qemu-system-x86_64")]


def _qemu_version(tree: Path) -> tuple[int, int]:
    done = subprocess.run([*_qemu(tree), "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"version (\d+)\.(\d+)", done.stdout)
    if match is None:
        raise Unavailable(f"QEMU does not start here: {done.stderr.strip()}")
    return int(match[1]), int(match[2])


@functools.cache
def initramfs(tree: Path) -> bytes:
    """The guest's root; the kernel's files are in ``tree``."""
    archive = Archive()
    (modules,) = tree.glob("usr/lib/modules/*/kernel")
    names = []
    for name in _MODULES:
        packed = modules / f"{name}.ko.xz"
        if packed.exists():
            names.append(packed.name.removesuffix(".ko.xz"))
            archive.add(f"/modules/{names[-1]}.ko", lzma.decompress(packed.read_bytes()))
    archive.add("/bin/busybox", (tree / "usr/bin/busybox").read_bytes(), executable=True)
    archive.add("/in_guest.py", Path(__file__).with_name("in_guest.py").read_bytes())
    python = Path(sys.executable).resolve()
    folders = _add_python(archive, python)
    init = _INIT.format(libraries=":".join(sorted(folders)), modules=" ".join(names), python=python)
    archive.add("/init", init.encode(), executable=True)
    return archive.bytes()


def _add_python(archive: Archive, python: Path) -> set[str]:
    """Put this Python and the packages of the driver into ``archive``; folders of libraries."""
    site = Path(sysconfig.get_path("purelib"))
    binaries = [python]
    archive.add(str(python), python.read_bytes(), executable=True)
    standard = Path(sysconfig.get_path("stdlib"))
    for path in _tree(standard):
        archive.add(str(path), path.read_bytes())
        binaries += [path] if path.suffix == ".so" else []
    for path in _distributions():
        if path.is_relative_to(site):
            archive.add(f"/site/{path.relative_to(site)}", path.read_bytes())
            binaries += [path] if ".so" in path.suffixes else []
    for name in ("intaglio", "intaglio.bitstreams"):
        folder = Path(importlib.import_module(name).__file__ or "").parent
        for path in _tree(folder):
            place = f"/site/{name.replace('.', '/')}/{path.relative_to(folder)}"
            archive.add(place, path.read_bytes())
    libraries = {path for binary in binaries for path in _libraries(binary)}
    libraries = {path for path in libraries if not path.is_relative_to(site)}
    for path in libraries:
        archive.add(str(path), path.read_bytes(), executable=True)
    return {str(path.parent) for path in libraries}


def _tree(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` but for caches and tests."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _SKIPPED & set(path.relative_to(folder).parts):
            yield path


def _distributions() -> Iterator[Path]:
    """Files of this package's requirements, and of theirs."""
    wanted, seen = [Requirement(f"intaglio[{','.join(EXTRAS)}]")], set()
    while wanted:
        requirement = wanted.pop()
        key = (requirement.name.lower(), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        found = importlib.metadata.distribution(requirement.name)
        for path in found.files or []:
            whole = Path(str(path.locate())).resolve()
            if whole.is_file() and not _SKIPPED & set(path.parts) and whole.suffix != ".pth":
                yield whole
        for text in found.requires or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                wanted.append(needed)


def _libraries(binary: Path) -> set[Path]:
    """What the loader loads with ``binary``, itself among it."""
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    return {Path(match) for match in _LIBRARY.findall(done.stdout)}


def run(
    route: str, socket_path: str, on_line: Callable[[dict[str, object]], object], log: Path
) -> int:
    """Start a guest whose board is at ``socket_path`` and wait for its end; QEMU's exit status.

    ``on_line`` is called with what :mod:`in_guest` says; the whole console goes to ``log``.
    """
    found = files()
    (image,) = found.kernel.glob("boot/vmlinuz-*")
    with tempfile.NamedTemporaryFile(suffix=".cpio") as root:
        root.write(initramfs(found.kernel))
        root.flush()
        board = {"driver": "vfio-user-pci", "rombar": 0}
        board |= {"socket": {"path": socket_path, "type": "unix"}}
        vfio = route == "vfio"
        console = f"console=ttyS0 quiet panic=-1 route={route}"
        console += " intel_iommu=on" if vfio else ""
        shared = found.qemu / "usr/share"
        command = [*_qemu(found.qemu), "-L", str(shared / "qemu"), "-L", str(shared / "seabios")]
        command += ["-M", "q35,memory-backend=mem", *_OPTIONS, *(_IOMMU if vfio else ())]
        command += ["-kernel", str(image), "-initrd", root.name, "-append", console]
        command += ["-device", json.dumps(board)]
        modules = str(found.qemu / "usr/lib/x86_64-linux-gnu/qemu")
        with (
            log.open("w") as file,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": "", "QEMU_MODULE_DIR": modules},
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                file.flush()
                _, mark, said = line.partition(MARK)
                if mark:
                    on_line(json.loads(said))
        return process.returncode
