"""PCI functions of this machine as Linux shows them, and what keeps one from being driven."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from intaglio.errors import InputError, LinkError
from intaglio.wire_ring import PCI_DEVICE_ID, PCI_VENDOR_ID

SYSFS = Path("/sys/bus/pci/devices")
VFIO_DRIVER = "vfio-pci"
_ADDRESS = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])")


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A function at ``folder`` in sysfs."""

    folder: Path

    @property
    def address(self) -> str:
        """Domain, bus, device and function: ``0000:03:00.0``."""
        return self.folder.name

    @property
    def ids(self) -> tuple[int, int]:
        """Vendor and device; zeros if they cannot be read."""
        try:
            vendor, device = ((self.folder / name).read_text() for name in ("vendor", "device"))
            return int(vendor, 16), int(device, 16)
        except (OSError, ValueError):
            return 0, 0

    @property
    def ours(self) -> bool:
        """Whether it is a signer by its ids."""
        return self.ids == (PCI_VENDOR_ID, PCI_DEVICE_ID)

    @property
    def driver(self) -> str | None:
        """The kernel's driver that it is bound to."""
        return _target(self.folder / "driver")

    @property
    def iommu_group(self) -> str | None:
        """The number of its IOMMU group; ``None``: no IOMMU stands before it."""
        return _target(self.folder / "iommu_group")

    @property
    def bind_command(self) -> str:
        """What binds it to VFIO, in a shell."""
        parts = ["sudo modprobe vfio-pci"]
        parts.append(f"echo {VFIO_DRIVER} | sudo tee {self.folder}/driver_override")
        if self.driver is not None:
            parts.append(f"echo {self.address} | sudo tee {self.folder}/driver/unbind")
        parts.append(f"echo {self.address} | sudo tee {self.folder.parent.parent}/drivers_probe")
        return " && ".join(parts)


def _target(link: Path) -> str | None:
    try:
        return link.readlink().name
    except OSError:
        return None


def found(root: Path = SYSFS) -> list[PciDevice]:
    """The signers in this machine, by their ids."""
    if not root.is_dir():
        return []
    return [device for device in map(PciDevice, sorted(root.iterdir())) if device.ours]


def at(address: str, root: Path = SYSFS) -> PciDevice:
    """The signer at ``address``. Raises :class:`LinkError` if there is none."""
    match = _ADDRESS.fullmatch(address.lower())
    if match is None:
        raise InputError(f"{address!r} is no PCI address: write e.g. pcie:0000:03:00.0")
    device = PciDevice(root / f"{match[1] or '0000'}:{match[2]}")
    if not device.folder.exists():
        raise LinkError(
            f"there is no PCI device at {device.address}: `intaglio list` shows what there is; "
            "after a hot plug, echo 1 | sudo tee /sys/bus/pci/rescan"
        )
    if not device.ours:
        vendor, number = device.ids
        raise LinkError(
            f"the PCI device at {device.address} is {vendor:04x}:{number:04x}, not a signer "
            f"({PCI_VENDOR_ID:04x}:{PCI_DEVICE_ID:04x}): `intaglio list` shows what there is"
        )
    return device


def obstacle(device: PciDevice, container: Path = Path("/dev/vfio/vfio")) -> tuple[str, str] | None:
    """What keeps ``device`` from being driven by VFIO, and its mend; ``None``: nothing seen."""
    if not container.exists():
        return "the vfio module is not loaded", "sudo modprobe vfio-pci"
    if device.iommu_group is None:
        mend = "switch the IOMMU on in the firmware and boot with intel_iommu=on (AMD: it is on), "
        return "no IOMMU stands before it", mend + "or, as root, use ?via=sysfs"
    if device.driver != VFIO_DRIVER:
        bound = "it is bound to no driver"
        if device.driver is not None:
            bound = f"it is bound to the driver {device.driver}"
        return bound, device.bind_command
    return None
