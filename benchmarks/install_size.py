"""What `pip install` of the wheel, without extras, brings into a clean environment, and that it works there.

``python benchmarks/install_size.py WHEEL`` takes a wheel that is there already; else one is built of this source.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
LLENERGYMEASURE = {"packages": 30, "MB": 335}  # its release 0.7.0 without extras, as this one on Python 3.11
SHARE = 0.5  # of it at most
STUDY = "llem: 1\nmodel: tiny\nsweep: {max_output_tokens: [8, 16]}\n"
TEST = """\
def test_any_code(llem_measure):
    with llem_measure() as energy:
        sum(range(1_000_000))
    assert energy.energy_j is not None
"""


def pip(*arguments: str | Path, python: str | Path = sys.executable) -> None:
    """This environment's pip, for the environment of ``python``: a clean one stays clean of pip itself."""
    command = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


def size(environment: Path) -> dict[str, float]:
    """Installed packages and all their files, compiled ones too."""
    (packages,) = environment.glob("lib/python*/site-packages")
    files = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    return {"packages": len(list(packages.glob("*.dist-info"))), "MB": files / 1e6}


def try_it(environment: Path, folder: Path) -> str:
    """A plan and a measured test with nothing but what was installed; what ``llem --version`` says."""
    (folder / "study.yaml").write_text(STUDY)
    (folder / "test_it.py").write_text(TEST)
    told = ""
    for command in (["llem", "plan", "study.yaml"], ["pytest", "-q", "test_it.py"], ["llem", "--version"]):
        program = environment / "bin" / command[0]
        done = subprocess.run([program, *command[1:]], cwd=folder, env={}, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{told}")
    return told.strip()


def main() -> int:
    """Print both figures beside LLenergyMeasure's; 1 if one is more than half of it."""
    with tempfile.TemporaryDirectory() as name:
        wheels, clean, work = Path(name, "wheels"), Path(name, "clean"), Path(name, "work")
        work.mkdir()
        if len(sys.argv) < 2:
            pip("wheel", "--no-deps", "--wheel-dir", wheels, SOURCE)
        (wheel,) = map(Path, sys.argv[1:]) if sys.argv[1:] else wheels.glob("*.whl")
        venv.create(clean, symlinks=True)
        pip("install", wheel, python=clean / "bin" / "python")
        found = size(clean)
        print(f"{wheel.name}: {try_it(clean, work)}")
    for what, value in found.items():
        ratio = value / LLENERGYMEASURE[what]
        note = "" if ratio <= SHARE else "   BROKEN"
        print(
            f"{what:10} {value:6.1f}   llenergymeasure {LLENERGYMEASURE[what]}   ratio {ratio:.2f}, limit {SHARE}{note}"
        )
    return int(any(value > SHARE * LLENERGYMEASURE[what] for what, value in found.items()))


if __name__ == "__main__":
    sys.exit(main())
