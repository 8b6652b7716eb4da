"""The RAPL meter: energy of CPU packages and their memory, from Linux's powercap tree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llem.energy.meter import CounterRead, Device, Sampler, Scope, Source
from pytest_llem.errors import MeterError

POWERCAP = Path("/sys/class/powercap")
PERMISSION_HINT = (
    "since CVE-2020-8694 only root may read RAPL; allow it until the next boot with: "
    "sudo chmod -R a+r /sys/class/powercap/intel-rapl*"
)


@dataclass
class Domain:
    """One energy_uj file, made into a counter that never wraps."""

    folder: Path
    range_uj: int = field(init=False)
    last_uj: int = field(init=False)
    wraps: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.range_uj = _number(self.folder / "max_energy_range_uj")
        self.last_uj = _number(self.folder / "energy_uj")

    def energy_j(self) -> float:
        """J since an arbitrary start. Right as long as it is read more than once per wrap (minutes at full power)."""
        now_uj = _number(self.folder / "energy_uj")
        if now_uj < self.last_uj:
            self.wraps += 1
        self.last_uj = now_uj
        return (self.wraps * self.range_uj + now_uj) / 1e6


class RaplMeter:
    """CPU packages. ``root`` is where the powercap tree is."""

    name = "rapl"
    source: Source = "rapl"
    scope: Scope = "host"
    measured = True
    bracket_s = 0.1
    reads_disturb = False
    method = "counter_interpolated"

    def __init__(self, root: Path = POWERCAP) -> None:
        self._root = root

    def devices(self) -> Sequence[Device]:
        """Every package whose counter may be read; raises MeterError with what to do."""
        packages = find_packages(self._root)
        for folders in packages.values():
            for folder in folders:
                Domain(folder)
        return [
            Device(uuid=name, name=f"CPU {name}", extra={"domains": ", ".join(_name(folder) for folder in folders)})
            for name, folders in packages.items()
        ]

    def open(self, devices: Sequence[Device], pid: int | None) -> Sampler:
        packages = find_packages(self._root)
        for device in devices:
            if device.uuid not in packages:
                raise MeterError(f"no RAPL domain {device.uuid}", hint="there are: " + ", ".join(packages))
        return RaplSampler({device.uuid: [Domain(folder) for folder in packages[device.uuid]] for device in devices})


class RaplSampler(Sampler):
    """Sums the domains of each package."""

    def __init__(self, domains: dict[str, list[Domain]]) -> None:
        self._domains = domains

    def counter(self, device: Device) -> CounterRead | None:
        before = time.monotonic()
        energy_j = sum(domain.energy_j() for domain in self._domains[device.uuid])
        return CounterRead(before, time.monotonic(), energy_j)


def find_packages(root: Path) -> dict[str, list[Path]]:
    """The folders to add up, by package: the package itself and its DRAM.

    A package's ``core`` and ``uncore`` are already in it, and ``psys`` holds everything once more. The same package may
    appear twice, through registers and through memory-mapped I/O (``intel-rapl-mmio``): it is counted once.
    """
    packages: dict[str, list[Path]] = {}
    for folder in sorted(root.glob("intel-rapl:*")) + sorted(root.glob("intel-rapl-mmio:*")):
        if folder.name.count(":") != 1:
            continue  # a domain inside a package
        name = _name(folder)
        if name.startswith("package") and name not in packages:
            inner = sorted(root.glob(f"{folder.name}:*")) or sorted(folder.glob(f"{folder.name}:*"))
            packages[name] = [folder, *(domain for domain in inner if _name(domain) == "dram")]
    if not packages:
        raise MeterError(
            f"no RAPL domains under {root}", hint="this CPU, kernel, container or virtual machine does not show them"
        )
    return packages


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except PermissionError:
        raise MeterError(f"{file} may not be read by this user", hint=PERMISSION_HINT) from None
    except (OSError, ValueError) as error:
        raise MeterError(f"{file}: {error}", hint="was the power meter's driver unloaded?") from None
