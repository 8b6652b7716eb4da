"""The ``llem`` command: what it prints, and its exit statuses."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_llem import __version__
from pytest_llem.cli import main
from tests.conftest import FAST, SOURCE, Studies

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = (
    "",
    "run",
    "plan",
    "config",
    "doctor",
    "schema",
    "replay",
    "report",
    "compare",
    "ab",
    "import",
    "completion",
)
STUDY = f"llem: 1\nname: mine\nmodel: none\nbackend: instant\n{FAST}\nsweep: {{max_output_tokens: [1, 2]}}\n"


def test_every_help_is_as_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """LLEM_WRITE_GOLDEN=1 writes them anew."""
    monkeypatch.setenv("COLUMNS", "100")
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([command, "--help"] if command else ["--help"])
        assert end.value.code == 0
        printed = same_for_all_pythons(capsys.readouterr().out)
        path = GOLDEN / f"{command or 'llem'}.txt"
        if os.environ.get("LLEM_WRITE_GOLDEN") == "1":
            path.write_text(printed)
        assert printed == path.read_text()


def same_for_all_pythons(text: str) -> str:
    """Python 3.13 writes ``-m, --model MODEL`` for ``-m MODEL, --model MODEL``."""
    return re.sub(r"(-\w) ([A-Z]+), (--[\w-]+) \2", r"\1, \3 \2", text)


def test_the_version_comes_at_once() -> None:
    code = "import sys; from pytest_llem.cli import main; sys.exit(main())"
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, "--version"],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert done.stdout == f"pytest-llem {__version__}\n"
    assert min(seconds) < 0.2, "processor time: on a busy machine only the wall time is longer"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["run"], 2, "llem run: name a study file or folder, or a model with -m"),
        (["plan", "missing.yaml"], 2, "missing.yaml"),
        (["plan", "x.yaml", "--unknown"], 2, "unknown argument: --unknown"),
        (["run", "-m", "tiny", "-n", "auto"], 1, "-n auto: with -m it is the number of prompts"),
        (["run", "-m", "tiny", "--llem-resume"], 1, "--llem-resume needs a study file"),
        (["replay", "missing.json.gz"], 1, "missing.json.gz"),
        (["nothing"], 2, "invalid choice: 'nothing'"),
        ([], 2, "the following arguments are required: COMMAND"),
    ],
)
def test_what_is_wrong_is_told(
    arguments: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = main(arguments)
    except SystemExit as end:
        found = int(str(end.code))
    assert found == status
    assert told in capsys.readouterr().err


def llem(studies: Studies, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process and folder of its own."""
    code = "import sys; from pytest_llem.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=studies.pytester.path, capture_output=True, text=True, check=False
    )


def quick(studies: Studies) -> list[str]:
    return ["--llem-meter=cpu-estimate", f"--llem-lock-dir={studies.locks}", "-p", "no:cacheprovider"]


def test_run_maps_exit_statuses(studies: Studies) -> None:
    studies.write(STUDY)
    good = llem(studies, "run", "study.yaml", *quick(studies))
    assert (good.returncode, good.stderr) == (0, "")
    assert "energy: mine" in good.stdout
    assert "warning" not in good.stdout
    dear = llem(studies, "run", "-k", "out1", "--llem-budget=e2el_s<=0", "study.yaml", *quick(studies))
    assert dear.returncode == 1
    assert "instant-out2" not in dear.stdout, "pytest's own options go to pytest, wherever they stand"
    studies.write("llem: 1\nmodle: tiny\n", "bad.yaml")
    bad = llem(studies, "run", "bad.yaml")
    assert bad.returncode == 2
    assert "bad.yaml:2: modle: " in bad.stdout
    assert llem(studies, "run", "nowhere").returncode == 2


def test_a_model_without_a_file_is_run_in_the_project(studies: Studies) -> None:
    studies.pytester.makeini("[pytest]\nllem_results = mine\n")
    studies.pytester.mkdir("weights")
    done = llem(studies, "run", "-m", "./weights", "-b", "instant", *quick(studies))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(studies.pytester.path.glob("mine/run-*/*/result.json"))) == 1
    assert not list(studies.pytester.path.glob(".llem-run-*"))


@pytest.mark.slow
def test_a_model_is_run_without_a_file(studies: Studies) -> None:
    pytest.importorskip("transformers")
    done = llem(studies, "run", "-m", "tiny", "-n", "2", "--batch-size", "2", *quick(studies))
    assert (done.returncode, done.stderr) == (0, "")
    (result,) = studies.results().values()
    config = result["config"]
    assert (config["model"]["id"], config["dataset"]["n"], config["pytorch"]["batch_size"]) == ("tiny", 2, 2)
    assert result["output_tokens"] > 0


def test_a_report_as_html_is_of_one_run(studies: Studies) -> None:
    studies.write(STUDY)
    studies.run()
    (folder,) = studies.runs()
    done = llem(studies, "report", str(folder), str(folder), "--html=report.html")
    assert (done.returncode, done.stderr) == (1, "llem: --html is of one run\n  hint: call it for each\n")


def test_plan_for_people_and_programs(studies: Studies) -> None:
    studies.write(STUDY)
    text = llem(studies, "plan", "study.yaml").stdout
    assert text.startswith("mine: 2 cells, 2 different experiments\n  mine[instant-out1]  instant, local\n")
    assert "takes at least " in text
    plan = json.loads(llem(studies, "plan", "study.yaml", "--json").stdout)
    assert [cell["id"] for cell in plan["cells"]] == ["instant-out1", "instant-out2"]
    assert plan["experiments"] == 2


def test_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    for what, name in (("study", "sweep"), ("result", "energy_j")):
        assert main(["schema", what]) == 0
        assert name in json.loads(capsys.readouterr().out)["properties"]


def config(studies: Studies, *arguments: str) -> dict[str, Any]:
    done = llem(studies, "config", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def own_file(text: str) -> Path:
    path = Path(os.environ["XDG_CONFIG_HOME"], "pytest-llem", "config.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_config_says_where_each_value_comes_from(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = own_file('llem_busy = "wait"\nllem_meter = "nvml"\nllem_timeout = 5\nllem_budgets = ["e2el_s<=1"]\n')
    studies.pytester.makeini("[pytest]\nllem_meter = rapl\nllem_timeout = 7\naddopts = --llem-gpus=0\n")
    monkeypatch.setenv("LLEM_RUNNER_VLLM", "docker")
    found = config(studies, "--llem-timeout=9")
    settings = found["settings"]
    ini = studies.pytester.path / "tox.ini"
    assert settings["--llem-timeout"] == {"value": 9.0, "from": "command line"}
    assert settings["--llem-gpus"] == {"value": "0", "from": f"addopts in {ini}"}
    assert settings["--llem-meter"] == {"value": "rapl", "from": f"llem_meter in {ini}"}
    assert settings["--llem-busy"] == {"value": "wait", "from": f"llem_busy in {mine}"}
    assert settings["--llem-budget"] == {"value": ["e2el_s<=1"], "from": f"llem_budgets in {mine}"}
    assert settings["--llem-seed"] == {"value": None, "from": "default"}
    assert found["environment"]["LLEM_RUNNER_VLLM"] == "docker"
    text = llem(studies, "config").stdout
    assert f"--llem-busy = wait   (llem_busy in {mine})" in text
    assert "first wins: command line, environment, study file, ini file, your own file, default" in text
    monkeypatch.setenv("LLEM_RUNNER_VLLM", "dokcer")
    refused = llem(studies, "config")
    assert refused.returncode != 0
    assert "LLEM_RUNNER_VLLM: 'dokcer' is not a runner" in refused.stderr


def test_the_users_own_file_holds_in_pytest(studies: Studies) -> None:
    own_file('llem_budgets = ["e2el_s<=0"]\n')
    studies.write(STUDY)
    assert studies.run("-k", "out1").ret == 1
    assert studies.run("-k", "out1", "-o", "llem_budgets=e2el_s<=100").ret == 0, "a project's ini comes first"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("llem_bussy = 'wait'", "llem_bussy: unknown (did you mean llem_busy?)"),
        ("llem_timeout = 'long'", "llem_timeout: 'long' is not a float"),
        ("llem_busy = true", "llem_busy: True is not a string"),
        ("llem_busy = ", "Invalid value"),
    ],
)
def test_a_wrong_file_of_the_users_own_is_a_usage_error(studies: Studies, text: str, told: str) -> None:
    path = own_file(text)
    result = studies.run("--collect-only")
    assert result.ret == 4
    assert f"{path}: " in result.stderr.str()
    assert told in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_doctor_tells_what_measures_and_what_is_wrong(studies: Studies) -> None:
    done = llem(studies, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"gpus", "driver", "meter", "docker", "disk", "locks", "versions", "problems"} <= set(found)
    assert found["meter"]["devices"]
    if not found["gpus"]:
        assert found["meter"]["passed_over"][0][0] == "nvml"
    text = llem(studies, "doctor").stdout
    assert re.search(r"^meter: ", text, re.MULTILINE)
    assert ("ESTIMATES" in text) == (not found["meter"]["meter"]["measured"])
    number = r"\d+(?:\.\d+)? %"
    told = rf"^  recording takes of one core: {number} near the edges of a window, {number} between windows$"
    assert re.search(told, text, re.MULTILINE), text
    assert {"dense_cpu_share", "slow_cpu_share"} <= set(found["meter"])
