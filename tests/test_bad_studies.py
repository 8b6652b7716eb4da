"""Bad study files as a user of pytest meets them: exit code 2, file, line and key, every mistake, no traceback."""

from __future__ import annotations

import os

import pytest

from tests.conftest import Studies

HEAD = "llem: 1\nmodel: tiny\n"
BAD = {
    "not yaml": ("llem: 1\nmodel: [tiny\n", ["study.yaml:*"]),
    "not a mapping": ("- llem: 1\n- model: tiny\n", ["study.yaml:1*mapping*"]),
    "unknown key": (
        HEAD + "max_outputtokens: 3\n",
        ["study.yaml:3: max_outputtokens: *did you mean max_output_tokens*"],
    ),
    "wrong type": (HEAD + "seed: many\n", ["study.yaml:3: seed: *"]),
    "another backend's section": (
        HEAD + "backend: pytorch\nvllm: {engine: {enforce_eager: true}}\n",
        ["study.yaml:4: vllm*"],
    ),
    "empty axis": (HEAD + "sweep:\n  seed: []\n", ["study.yaml:4: sweep.seed: *"]),
    "mixed axis": (HEAD + "sweep:\n  seed: [1, {seed: 2}]\n", ["study.yaml:4: sweep.seed*"]),
    "same path twice": (HEAD + "seed: 1\nseed: 2\n", ["study.yaml:4: seed: *"]),
    "missing base": (HEAD + "base: nowhere.yaml\n", ["study.yaml:3: base: *nowhere.yaml*"]),
    "cyclic base": (HEAD + "base: study.yaml\n", ["study.yaml:3: base: *"]),
    "unknown metric": (HEAD + "budgets:\n  - {metric: energy_per_token, max: 1}\n", ["study.yaml:4: budgets*metric*"]),
    "unknown grammar": ("llem: 99\nmodel: tiny\n", ["study.yaml:1: llem: *99*"]),
    "deep nesting": (HEAD + "dataset: " + "{a: " * 5000 + "1" + "}" * 5000 + "\n", ["study.yaml:3: *"]),
    "exploding aliases": (
        HEAD
        + "a: &a [x, x]\n"
        + "".join(f"{c}: &{c} [*{p}, *{p}, *{p}, *{p}, *{p}]\n" for p, c in zip("abcdefghi", "bcdefghij", strict=True)),
        ["study.yaml:*"],
    ),
    "everything at once": (
        HEAD + "sede: 1\nmax_output_tokens: none\nbudgets:\n  - {metric: joules, max: 1}\n",
        ["study.yaml:3: sede: *", "study.yaml:4: max_output_tokens: *", "study.yaml:6: budgets*"],
    ),
}


def test_a_folder_of_bad_studies_tells_each_mistake_of_each(studies: Studies) -> None:
    for case, (text, _) in BAD.items():
        studies.write(text, f"{case}/study.yaml")
    result = studies.run()
    assert result.ret == 2
    for case, (_, lines) in BAD.items():
        if case != "not a mapping":  # a list is no study unless it is named
            result.stdout.fnmatch_lines_random([f"{case}/{line}" for line in lines])
    output = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in output
    assert len(output) < 20_000
    assert not studies.runs()


@pytest.mark.parametrize("case", ["not yaml", "not a mapping", "wrong type"])
def test_a_bad_study_that_was_named(studies: Studies, case: str) -> None:
    text, lines = BAD[case]
    studies.write(text)
    result = studies.run("study.yaml")
    assert result.ret == 2
    result.stdout.fnmatch_lines(lines)
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_five_megabytes_are_refused_in_a_moment(studies: Studies) -> None:
    studies.write(HEAD + "# " + "x" * 5_000_000 + "\n")
    begin = os.times().children_user  # the process's own time: others on the machine do not count
    result = studies.run()
    assert os.times().children_user - begin < 5
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*study.yaml: *"])


def test_a_bad_study_does_not_hide_a_good_one(studies: Studies) -> None:
    studies.write(HEAD + "sede: 1\n", "bad.yaml")
    studies.write(HEAD, "good.yaml")
    result = studies.run("--collect-only", "-q")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*good.yaml::good[[]*", "*bad.yaml:3: sede: *"])


def test_yaml_of_others_is_left_alone(studies: Studies) -> None:
    studies.write("- a list\n", "list.yaml")
    studies.write("name: {{ no yaml at all\n", "template.yaml")
    studies.write("services: {llem: 1}\n", "compose.yml")
    assert studies.run().ret == 5


def test_yaml_that_another_plugin_collects_is_left_to_it(studies: Studies) -> None:
    studies.write("- a list\n", "list.yaml")
    studies.pytester.makeconftest(
        """
        import pytest
        class Items(pytest.File):
            def collect(self):
                yield Item.from_parent(self, name="theirs")
        class Item(pytest.Item):
            def runtest(self):
                pass
        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".yaml":
                return Items.from_parent(parent, path=file_path)
        """
    )
    result = studies.run("list.yaml")
    result.assert_outcomes(passed=1)


def test_a_bad_option_is_a_usage_error(studies: Studies) -> None:
    studies.write(HEAD)
    assert studies.run("--llem-timeout=-1").ret == 4
    assert studies.run("-o", "llem_busy=perhaps").ret == 4
    for option, value, told in (
        ("--llem-budget", "joules<=1", "*--llem-budget: *joules*"),
        ("--llem-runner", "podman", "*--llem-runner: 'podman' is not a runner*"),
        ("--llem-image", "vlm=local/vllm:1", "*--llem-image: no backend is called 'vlm' (did you mean vllm?)"),
        ("--llem-cycles", "0", "*--llem-cycles: 0 is not a number of cycles*"),
    ):
        result = studies.run(option, value)
        assert result.ret == 4
        result.stderr.fnmatch_lines([told])
    for key, value in (("llem_budgets", "joules<=1"), ("llem_runner", "podman")):
        result = studies.run("-o", f"{key}={value}")
        assert result.ret == 4
        result.stderr.fnmatch_lines([f"*{key}: *{value.partition('<')[0]}*"])
    result = studies.run("-o", "llem_seed=x")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*llem_seed: *'x'*"])
