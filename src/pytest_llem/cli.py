"""The ``llem`` command: a thin front for the same engine. What each command does lies below; here it is asked for."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llem.commands.arguments import ab_arguments, compare_arguments, report_arguments
from pytest_llem.errors import LlemError, StudyError
from pytest_llem.version import __version__

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_EPILOG = """examples:
  llem run studies/                     run all studies of a folder and judge them
  llem run -m tiny --batch-size 4       one experiment without a file
  llem plan studies/batching.yaml       what would be run
  llem replay llem-results/RUN/CELL/trace.json.gz --json
  llem compare main.json llem-results/RUN   is it dearer than before?
  llem doctor                           what this machine can measure, and how well

exit status: 0 all well; 1 an experiment failed or broke a budget; 2 bad study or usage; 130 interrupted
"""
_RUN_USAGE = """llem run STUDY… [pytest options]
       llem run -m MODEL [-b BACKEND] [-n N] [--batch-size B] [pytest options]"""
_AB = """Runs studies through pytest; what is not listed here goes to pytest as it is. Exit status, for git bisect run:
0 no dearer, 1 dearer, 125 not sure or nothing compared.

  llem ab main studies/ --cycles 5 --fail-on=energy_per_output_token_j:2% --llem-md=comment.md
"""
_RUN = """Runs study files through pytest; what is not listed here goes to pytest as it is.

  llem run studies/ -k bs16 -x            the cells with bs16 in their name, until one fails
  llem run studies/ --llem-resume         go on with the newest run of these studies that is not done
  llem run studies/ -n auto               one experiment at a time on each GPU (needs pytest-xdist)
  llem run -m tiny -b pytorch -n 16 --batch-size 4
"""
_PLAN = """Lists the experiments of a study without running any: what is swept, what is left out and why, and the
time that it takes at least.

  llem plan studies/batching.yaml
  llem plan studies/batching.yaml --json | jq '.cells | length'
"""
_CONFIG = """Every setting as it would hold for a run in this folder. All arguments are pytest's own.

  llem config
  llem config --llem-busy=wait -o llem_timeout=30
"""
_DOCTOR = """Records the meter for some seconds and looks at GPUs, driver, Docker, disk and locks. Lines that begin with
PROBLEM want something done.

  llem doctor
  llem doctor --json > machine.json
"""
_IMPORT = """Writes a study of LLenergyMeasure in the grammar of this tool. What has no counterpart is named, with the
reason, in the new file's first lines and on stderr.

  llem import old.yaml -o studies/new.yaml && llem plan studies/new.yaml
"""
_COMPLETION = """Prints a script for your shell; afterwards the tab key completes commands, options and their values.

  llem completion bash > ~/.local/share/bash-completion/completions/llem
  llem completion zsh > ~/.zfunc/_llem        with ~/.zfunc in $fpath, before compinit
  llem completion fish > ~/.config/fish/completions/llem.fish
"""
_REPLAY = """Computes the energy of a recording again; needs neither the GPU nor the model.

  llem replay llem-results/RUN/CELL/trace.json.gz
  llem replay trace.json.gz --method counter_delta --json
"""


def _teach(description: str) -> dict[str, Any]:
    """A description that is printed as it is written."""
    return {"description": description, "formatter_class": argparse.RawDescriptionHelpFormatter}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale without … or µ
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command not in ("run", "config", "ab"):
        parser.error(f"unknown argument: {rest[0]}")
    try:
        return int(arguments.act(arguments, rest))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    except LlemError as error:
        print(f"llem: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llem",
        description="Measure and test the energy of LLM inference.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pytest-llem {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_measuring(commands)
    _add_knowing(commands)
    for name in ("plan", "report", "replay", "doctor", "config"):
        commands.choices[name].add_argument("--json", action="store_true", help="for programs")
    return parser


def _add_measuring(commands: _Commands) -> None:
    """What measures, and what is done with results."""
    run = commands.add_parser(
        "run", help="run studies, or one experiment", usage=_RUN_USAGE, allow_abbrev=False, **_teach(_RUN)
    )
    run.add_argument("-m", "--model", help="run one experiment on this model, without a study file")
    run.add_argument("-b", "--backend", default="pytorch", help="pytorch (default) or vllm")
    run.add_argument("-n", "--prompts", metavar="N", help="with -m: number of prompts (default 8)")
    run.add_argument("--batch-size", type=int, metavar="B", help="PyTorch backend: prompts in one batch")
    run.set_defaults(act=_run)

    plan = commands.add_parser("plan", help="show what a study would run", **_teach(_PLAN))
    plan.add_argument("study", type=Path)
    plan.set_defaults(act=_plan)

    replay = commands.add_parser("replay", help="evaluate a recorded trace again, on any machine", **_teach(_REPLAY))
    replay.add_argument("trace", type=Path)
    replay.add_argument(
        "--method",
        choices=("bracketed", "counter_interpolated", "counter_delta", "power_integral"),
        default=None,
        help="the estimator (default: the one that the trace's meter wants, bracketed for NVML)",
    )
    replay.set_defaults(act=_replay)

    compare = commands.add_parser("compare", help="judge recorded results against others, on any machine")
    compare_arguments(compare)
    compare.set_defaults(act=_compare)

    ab = commands.add_parser(
        "ab",
        help="measure a revision and the working tree in turn, and compare them",
        allow_abbrev=False,
        **_teach(_AB),
    )
    ab_arguments(ab)
    ab.set_defaults(act=_ab)

    report = commands.add_parser("report", help="show a run that is on disk, and write reports of it")
    report_arguments(report)
    report.set_defaults(act=_report)


def _add_knowing(commands: _Commands) -> None:
    """What tells of this machine and its settings, of formats and of older studies."""
    doctor = commands.add_parser("doctor", help="what this machine can measure, and how well", **_teach(_DOCTOR))
    doctor.set_defaults(act=_doctor)

    convert = commands.add_parser("import", help="convert a study of LLenergyMeasure", **_teach(_IMPORT))
    convert.add_argument("study", type=Path, help="a study or experiment file of LLenergyMeasure")
    convert.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the study here (default: print it)")
    convert.set_defaults(act=_import)

    schema = commands.add_parser("schema", help="print a JSON Schema")
    schema.add_argument("what", choices=("study", "result"))
    schema.set_defaults(act=_schema)

    config = commands.add_parser("config", help="show every setting and where its value comes from", **_teach(_CONFIG))
    config.set_defaults(act=_config)

    completion = commands.add_parser("completion", help="print a script for your shell", **_teach(_COMPLETION))
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(act=_completion)


def _run(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.run import run_pytest, run_study, study_text

    if arguments.model is None:
        if not rest:
            print("llem run: name a study file or folder, or a model with -m", file=sys.stderr)
            return 2
        xdist = [] if arguments.prompts is None else ["-n", arguments.prompts]
        return run_pytest([*rest, *xdist])
    return run_study(study_text(arguments.model, arguments.backend, arguments.prompts, arguments.batch_size), rest)


def _plan(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.plan import plan, plan_text
    from pytest_llem.study.load import load_study

    study = load_study(arguments.study)
    _print(arguments.json, plan(study), plan_text(study))
    return 0


def _replay(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.replay import replay, replay_json, replay_text

    found = replay(arguments.trace, arguments.method)
    _print(arguments.json, replay_json(found), replay_text(found))
    return 0


def _compare(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.compare import run

    try:
        return run(arguments)
    except LlemError as error:  # 1 means that something got worse
        print(f"llem: {error}", file=sys.stderr)
        return 2


def _ab(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.ab import run
    from pytest_llem.commands.compare import UNDECIDED

    try:
        return run(arguments, rest)
    except LlemError as error:  # anything from 1 to 124 would tell git bisect that this commit is bad
        print(f"llem: {error}", file=sys.stderr)
        return UNDECIDED


def _report(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.report import run

    return run(arguments)


def _doctor(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.doctor import doctor_text, examine

    found = examine()
    _print(arguments.json, found, doctor_text(found))
    return 0


def _config(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.config import config_text, effective

    found = effective(rest)
    _print(arguments.json, found, config_text(found))
    return 0


def _import(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.importing import convert
    from pytest_llem.results.store import write_text

    output: Path | None = arguments.output
    if output is not None and output.exists():
        raise LlemError(f"{output} exists already", hint="name another file with -o")
    text, notes = convert(arguments.study, Path.cwd() if output is None else output.resolve().parent)
    for note in notes:
        print(note._replace(message=f"left out: {note.message}"), file=sys.stderr)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
    return 0


def _completion(arguments: argparse.Namespace, rest: list[str]) -> int:
    from pytest_llem.commands.completion import script

    print(script(_parser(), arguments.shell))
    return 0


def _schema(arguments: argparse.Namespace, rest: list[str]) -> int:
    if arguments.what == "study":
        from pytest_llem.study.schema import study_json_schema

        _print(True, study_json_schema(), "")
    else:
        from pytest_llem.results.model import ExperimentResult

        _print(True, ExperimentResult.model_json_schema(mode="serialization"), "")
    return 0


def _print(as_json: bool, data: Any, text: str) -> None:
    print(json.dumps(data, indent=1, ensure_ascii=False) if as_json else text)
