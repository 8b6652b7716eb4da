"""Found before the real pynvml when this folder is on PYTHONPATH: the real one, with fake GPUs put over its calls."""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

HERE = Path(__file__).parent
real = PathFinder.find_spec("pynvml", [path for path in sys.path if Path(path).resolve() != HERE])
assert real is not None
assert real.loader is not None
module = module_from_spec(real)
sys.modules["pynvml"] = module
real.loader.exec_module(module)
fake = spec_from_file_location("fake_nvml", HERE.parent / "fake_nvml.py")
assert fake is not None
assert fake.loader is not None
fake_nvml = module_from_spec(fake)
sys.modules["fake_nvml"] = fake_nvml
fake.loader.exec_module(fake_nvml)
fake_nvml.install_from_environment(module)
