"""PCI functions as Linux shows them, faked: what is found, what stands in the way, VFIO's calls."""

from __future__ import annotations

import mmap
import os
import struct

import pytest

from intaglio import doctor, errors, wire_ring
from intaglio.transport import discovery, sysfs, vfio
from intaglio.transport.discovery import PciDevice
from intaglio.transport.function import IOVA_BASE, Bar

ADDRESS = "0000:03:00.0"


@pytest.fixture
def machine(tmp_path):
    """A /sys/bus/pci with one signer and a network card, and an empty /dev/vfio."""
    for address, ids in ((ADDRESS, (0x10EE, 0x4947)), ("0000:04:00.0", (0x8086, 0x1533))):
        folder = tmp_path / "pci" / "devices" / address
        folder.mkdir(parents=True)
        for name, value in zip(("vendor", "device"), ids, strict=True):
            (folder / name).write_text(f"{value:#06x}\n")
    (tmp_path / "vfio").mkdir()
    return tmp_path


def link(machine, name, target):
    (machine / "pci" / "devices" / ADDRESS / name).symlink_to(f"/nowhere/{target}")


def signer(machine):
    return PciDevice(machine / "pci" / "devices" / ADDRESS)


def ready(machine):
    (machine / "vfio" / "vfio").touch()
    (machine / "vfio" / "7").touch()
    link(machine, "iommu_group", "7")
    link(machine, "driver", "vfio-pci")


def test_signers_are_found_by_their_ids(machine):
    assert [d.address for d in discovery.found(machine / "pci" / "devices")] == [ADDRESS]
    assert discovery.found(machine / "nothing") == []


@pytest.mark.parametrize("address", [ADDRESS, "03:00.0", "0000:03:00.0".upper()])
def test_an_address_names_a_signer(machine, address):
    assert discovery.at(address, machine / "pci" / "devices").address == ADDRESS


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("", errors.InputError, "no PCI address"),
        ("3:0.0", errors.InputError, "no PCI address"),
        ("05:00.0", errors.LinkError, "no PCI device at 0000:05:00.0"),
        ("04:00.0", errors.LinkError, "8086:1533, not a signer"),
    ],
)
def test_other_addresses_are_refused(machine, address, error, words):
    with pytest.raises(error, match=words):
        discovery.at(address, machine / "pci" / "devices")


def test_each_obstacle_has_its_mend(machine):
    def lack():
        return discovery.obstacle(signer(machine), machine / "vfio" / "vfio")

    assert "module is not loaded" in lack()[0]
    (machine / "vfio" / "vfio").touch()
    assert "no IOMMU" in lack()[0]
    assert "via=sysfs" in lack()[1]
    link(machine, "iommu_group", "7")
    found, mend = lack()
    assert "no driver" in found
    assert f"{ADDRESS}/driver_override" in mend
    assert "unbind" not in mend
    link(machine, "driver", "xdma")
    found, mend = lack()
    assert "driver xdma" in found
    assert f"echo {ADDRESS} | sudo tee" in mend
    assert "unbind" in mend
    os.unlink(machine / "pci" / "devices" / ADDRESS / "driver")
    link(machine, "driver", "vfio-pci")
    assert lack() is None


def test_vfio_tells_the_obstacle(machine):
    with pytest.raises(errors.LinkError, match="not loaded: sudo modprobe vfio-pci"):
        vfio.VfioFunction(signer(machine), machine / "vfio")


def test_vfio_tells_a_missing_right(machine, monkeypatch):
    ready(machine)

    def refused(path, flags):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(errors.LinkError, match=r"no right to open .*vfio: sudo chown"):
        vfio.VfioFunction(signer(machine), machine / "vfio")


class Kernel:
    """VFIO's side of the calls; the device's file is one of ``place``, BAR 0 at 4096."""

    def __init__(self, place):
        self.device = os.open(place, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self.device, 3 * 4096)
        self.calls, self.maps, self.viable, self.fails = [], [], 1, None

    def ioctl(self, fd, request, argument):
        self.calls.append(request)
        if request == self.fails:
            raise OSError(12, "Cannot allocate memory")
        if request == vfio._GROUP_GET_STATUS:
            argument[:] = struct.pack("=II", 8, self.viable)
        elif request == vfio._GROUP_GET_DEVICE_FD:
            assert bytes(argument) == ADDRESS.encode() + b"\0"
            return os.dup(self.device)
        elif request == vfio._GET_REGION_INFO:
            index = struct.unpack("=IIIIQQ", argument)[2]
            size, place = {0: (4096, 4096), 7: (256, 8192)}[index]
            argument[:] = struct.pack("=IIIIQQ", 32, 7, index, 0, size, place)
        elif request == vfio._MAP_DMA:
            self.maps.append(struct.unpack("=IIQQQ", argument))
        elif request == vfio._SET_IRQS:
            self.event = struct.unpack("=IIIIIi", argument)[5]
        return 0


@pytest.fixture
def kernel(machine, monkeypatch):
    ready(machine)
    kernel = Kernel(machine / "device")
    monkeypatch.setattr(vfio.fcntl, "ioctl", kernel.ioctl)
    yield kernel
    os.close(kernel.device)


def test_vfio_maps_the_bar_and_gives_memory(machine, kernel):
    before = len(os.listdir("/proc/self/fd"))
    function = vfio.VfioFunction(signer(machine), machine / "vfio")
    assert os.pread(kernel.device, 2, 8192 + 4) == b"\x06\x00"
    function.write(0xC0, 0x11223344)
    assert os.pread(kernel.device, 4, 4096 + 0xC0) == bytes.fromhex("44332211")
    assert function.read(0xC0) == 0x11223344
    first, second = function.allocate(100), function.allocate(5000)
    assert first.address == IOVA_BASE
    assert second.address == IOVA_BASE + 4096
    assert [(size, flags, iova, length) for size, flags, _, iova, length in kernel.maps] == [
        (32, 3, IOVA_BASE, 4096),
        (32, 3, IOVA_BASE + 4096, 8192),
    ]
    assert not any(second.view)
    event = function.interrupt()
    assert event == kernel.event == function.interrupt()
    function.close()
    function.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(errors.LinkError, match="closed"):
        function.read(0)


def test_vfio_tells_of_a_group_that_others_hold(machine, kernel):
    kernel.viable = 0
    with pytest.raises(errors.LinkError, match="others of its IOMMU group 7"):
        vfio.VfioFunction(signer(machine), machine / "vfio")


@pytest.mark.parametrize(
    ("request_", "words"),
    [(vfio._SET_IOMMU, "interrupt remapping"), (vfio._GROUP_GET_DEVICE_FD, "could not open it")],
)
def test_vfio_tells_which_call_failed(machine, kernel, request_, words):
    kernel.fails = request_
    with pytest.raises(errors.LinkError, match=words):
        vfio.VfioFunction(signer(machine), machine / "vfio")


def test_vfio_tells_of_the_limit_of_locked_memory(machine, kernel):
    function = vfio.VfioFunction(signer(machine), machine / "vfio")
    kernel.fails = vfio._MAP_DMA
    with pytest.raises(errors.LinkError, match="ulimit -l"):
        function.allocate(4096)
    function.close()


def test_sysfs_keeps_off_what_others_hold(machine):
    link(machine, "driver", "xdma")
    with pytest.raises(errors.LinkError, match="driver xdma: echo"):
        sysfs.SysfsFunction(signer(machine))
    link(machine, "iommu_group", "7")
    with pytest.raises(errors.LinkError, match="use VFIO"):
        sysfs.SysfsFunction(signer(machine))


def test_sysfs_drives_the_files_of_a_function(machine):
    folder = machine / "pci" / "devices" / ADDRESS
    (folder / "resource0").write_bytes(bytes(4096))
    (folder / "config").write_bytes(bytes(64))
    function = sysfs.SysfsFunction(signer(machine))
    assert (folder / "enable").read_text() == "1"
    assert (folder / "config").read_bytes()[4:6] == b"\x06\x00"
    function.write(0x84, 3)
    assert (folder / "resource0").read_bytes()[0x84:0x88] == b"\x03\0\0\0"
    with pytest.raises(errors.LinkError, match="another process drives it"):
        sysfs.SysfsFunction(signer(machine))
    assert function.interrupt() is None
    function.close()
    assert (folder / "config").read_bytes()[4:6] == b"\x00\x00"
    with pytest.raises(errors.LinkError, match="closed"):
        function.write(0, 0)


def test_sysfs_tells_what_is_not_there(machine):
    with pytest.raises(errors.LinkError, match="resource0: No such file"):
        sysfs.SysfsFunction(signer(machine))


def test_a_bar_is_read_and_written_by_words():
    mapped = mmap.mmap(-1, 4096)
    bar = Bar(mapped)
    bar.write(8, 0xDEADBEEF)
    assert mapped[8:12] == bytes.fromhex("efbeadde")
    assert bar.read(8) == 0xDEADBEEF
    with pytest.raises(ValueError, match=r".*"):
        bar.write(8, 1 << 32)
    bar.close()
    assert mapped.closed


def test_doctor_looks_at_signers_on_pcie(machine, monkeypatch):
    monkeypatch.setattr(discovery, "found", lambda: [signer(machine)])
    monkeypatch.setattr(discovery, "obstacle", lambda device: ("in the way", "move it"))
    (finding,) = doctor.check_pcie()
    assert (finding.check, finding.level) == (f"pcie {ADDRESS}", doctor.Level.WARNING)
    assert (finding.found, finding.mend) == ("in the way", "move it")
    monkeypatch.setattr(discovery, "obstacle", lambda device: None)
    monkeypatch.setattr(doctor, "VFIO", machine / "vfio")
    link(machine, "iommu_group", "7")
    assert "chown" in doctor.check_pcie()[0].mend
    (machine / "vfio" / "7").touch()
    assert doctor.check_pcie()[0].level is doctor.Level.OK
    monkeypatch.setattr(discovery, "found", list)
    assert doctor.check_pcie()[0].level is doctor.Level.NOTE


def test_the_ids_are_those_of_the_wire():
    assert (wire_ring.PCI_VENDOR_ID, wire_ring.PCI_DEVICE_ID) == (0x10EE, 0x4947)
