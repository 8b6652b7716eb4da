"""What a user reads who made a mistake: file, line, key, what is wrong, and what was probably meant."""

from __future__ import annotations

import pytest

from tests.study.conftest import Wrong

FORM = {
    "not YAML": ("llem: 1\nmodel: [tiny\nseed: 3\n", ["bad.yaml:3: not valid YAML: did not find expected ',' or ']'"]),
    "a tab": (
        "llem: 1\nmodel:\n\tid: tiny\n",
        ["bad.yaml:3: not valid YAML: a tab stands where YAML wants spaces (indent with spaces)"],
    ),
    "a character that needs quotes": (
        "llem: 1\nmodel: @me/model\n",
        ["bad.yaml:2: not valid YAML: a value cannot start with '@' (put the value in quotes)"],
    ),
    "not a mapping": ("- llem: 1\n", ["bad.yaml:1: a study is a mapping of keys to values, and this is not one"]),
    "empty": ("", ["bad.yaml:1: the file is empty; a study is a mapping that starts with llem: 1"]),
    "two documents": (
        "llem: 1\n---\nllem: 1\n",
        ["bad.yaml:2: the file holds more than one YAML document; keep one"],
    ),
    "not UTF-8": (
        b"llem: 1\nname: caf\xe9\n",
        ["bad.yaml:2: the file is not UTF-8 text (save it with the encoding UTF-8)"],
    ),
    "a control character": (b"llem: 1\nname: a\x00b\n", ["bad.yaml:2: not valid YAML: control characters are not allowed"]),
    "an escaped control character": (
        'llem: 1\nmodel: "a\\x1b[0m"\n',
        ["bad.yaml:2: model: the text holds a control character"],
    ),
    "5 MB": (b"llem: 1\n" + b"#" * 4_999_992, ["bad.yaml: the file has 5.0 MB; a study file may have 1 MB"]),
    "deep": ("llem: 1\nx: " + "[" * 90 + "]" * 90, ["bad.yaml:2: the file is nested deeper than 40 levels"]),
    "keys twice, tags, merge keys, numbers": (
        """\
        llem: 1
        model: tiny
        model: other
        seed: .inf
        max_output_tokens: 1e999
        name: !!python/name:os.system x
        <<: {a: 1}
        [a]: 1
        sweep:
          pytorch.batch_size: [1]
          pytorch.batch_size: [2]
        """,
        [
            "bad.yaml:3: model: this key is given twice; the first time on line 2",
            "bad.yaml:4: seed: .inf is not a finite number",
            "bad.yaml:5: max_output_tokens: 1e999 is too large a number",
            "bad.yaml:6: name: the YAML tag tag:yaml.org,2002:python/name:os.system is not allowed "
            "(write the value without a tag)",
            "bad.yaml:7: <<: merge keys are not part of a study file (use base: FILE instead)",
            "bad.yaml:8: a key must be plain text, not a list, a mapping or an alias",
            "bad.yaml:11: sweep.pytorch.batch_size: this key is given twice; the first time on line 10",
        ],
    ),
}

KEYS = {
    "unknown keys": (
        """\
        llem: 1
        modle: tiny
        batch_size: 4
        pytorch.batch_size: 4
        pytorch: {batchsize: 4, quantization: {load_in_4bits: true}}
        execution: {cicles: 3}
        """,
        [
            "bad.yaml:2: modle: unknown key (did you mean model?)",
            "bad.yaml:3: batch_size: unknown key (did you mean pytorch.batch_size?)",
            "bad.yaml:4: pytorch.batch_size: unknown key (dotted paths belong into sweep; here, write pytorch as a mapping)",
            "bad.yaml:5: pytorch.quantization.load_in_4bits: unknown key (did you mean load_in_4bit?)",
            "bad.yaml:5: pytorch.batchsize: unknown key (did you mean batch_size?)",
            "bad.yaml:6: execution.cicles: unknown key (did you mean cycles?)",
        ],
    ),
    "wrong types": (
        """\
        llem: 1
        model: 3
        seed: -1
        max_output_tokens: 1_000
        measure: {warmup: x, repeats: 3.0, min_window_s: 0}
        pytorch:
          use_cache: yes
          torch_compile: {mode: fast}
          num_beams: '4'
          batch_size: true
          dtype: bf16
        name: a/b
        execution: {cycles: 0, timeout_s: -1, order: ABAB}
        """,
        [
            "bad.yaml:2: model: expected text or a mapping, got 3",
            "bad.yaml:3: seed: expected a value at least 0, got -1",
            "bad.yaml:4: max_output_tokens: expected a whole number, got '1_000' (write 1000)",
            "bad.yaml:5: measure.warmup: expected auto or a whole number, got 'x'",
            "bad.yaml:5: measure.repeats: expected a whole number, got 3.0 (write 3)",
            "bad.yaml:5: measure.min_window_s: expected a value above 0, got 0",
            "bad.yaml:7: pytorch.use_cache: expected true or false, got 'yes' (write true)",
            "bad.yaml:8: pytorch.torch_compile.mode: expected default, reduce-overhead, max-autotune or "
            "max-autotune-no-cudagraphs, got 'fast'",
            "bad.yaml:9: pytorch.num_beams: expected a whole number, got '4' (write 4)",
            "bad.yaml:10: pytorch.batch_size: expected a whole number, got true",
            "bad.yaml:11: pytorch.dtype: expected auto, float32, float16 or bfloat16, got 'bf16' (did you mean bfloat16?)",
            "bad.yaml:12: name: 'a/b' cannot name a folder (write a_b)",
            "bad.yaml:13: execution.cycles: expected a value at least 1, got 0",
            "bad.yaml:13: execution.timeout_s: expected a value above 0, got -1",
            "bad.yaml:13: execution.order: expected sequential, interleaved, shuffled or reversed, got 'ABAB'",
        ],
    ),
    "grammar version": (
        "llem: 2\nmodel: tiny\n",
        ["bad.yaml:1: llem: unknown grammar version 2; this release reads version 1"],
    ),
    "no grammar version": ("model: tiny\n", ["bad.yaml: llem: is missing (write llem: 1 at the top)"]),
    "no model": (
        "llem: 1\nseed: 3\n",
        ["bad.yaml: model: no model is given (write model: tiny, or the id of a model on the hub)"],
    ),
    "backends and runners": (
        """\
        llem: 1
        model: tiny
        backend: [pytorch, vlm, transformers]
        runner: dokcer
        runners: {vllm: 'docker:', pytoch: local}
        """,
        [
            "bad.yaml:3: backend[1]: unknown backend 'vlm' (did you mean vllm?)",
            "bad.yaml:3: backend[2]: the backend pytorch is given twice",
            "bad.yaml:4: runner: 'dokcer' is not a runner (did you mean docker?)",
            "bad.yaml:5: runners.pytoch: unknown backend (did you mean pytorch?)",
            "bad.yaml:5: runners.vllm: '' is not the name of an image (write docker:IMAGE, such as docker:llem/vllm:1)",
        ],
    ),
    "section of another backend": (
        """\
        llem: 1
        model: tiny
        vllm: {engine: {enforce_eager: true}}
        sweep:
          vllm.engine.block_size: [16, 32]
        """,
        [
            "bad.yaml:3: vllm: no experiment of this study uses the backend vllm (it uses pytorch)",
            "bad.yaml:5: sweep.vllm.engine.block_size: no point of this sweep uses the backend vllm (it uses pytorch)",
        ],
    ),
    "alias and name of one section": (
        "llem: 1\nmodel: tiny\npytorch: {}\ntransformers: {}\n",
        ["bad.yaml:4: transformers: transformers and pytorch are the same section"],
    ),
    "files that are not there": (
        "llem: 1\nmodel: ./weights\ndataset: prompts.jsonl\n",
        [
            "bad.yaml:2: model.id: there is no folder './weights' (the path is relative to the study's folder)",
            "bad.yaml:3: dataset.source: there is no file 'prompts.jsonl' (the path is relative to the study's folder)",
        ],
    ),
    "a dataset that is none": (
        "llem: 1\nmodel: tiny\ndataset: sintetic\n",
        ["bad.yaml:3: dataset.source: 'sintetic' is not a dataset (did you mean synthetic?)"],
    ),
    "values that do not fit together": (
        """\
        llem: 1
        model: {id: tiny, dtype: float16}
        pytorch: {use_cache: false, cache_implementation: static, quantization: {load_in_4bit: true, load_in_8bit: true}}
        """,
        [
            "bad.yaml:3: pytorch: quantization: load_in_4bit and load_in_8bit exclude each other; "
            "cache_implementation: static needs use_cache: true"
        ],
    ),
    "one thing said in two ways": (
        "llem: 1\nmodel: {id: tiny, dtype: float16}\npytorch: {dtype: bfloat16}\n",
        ["bad.yaml: model.dtype is 'float16' and pytorch.dtype is 'bfloat16'; say it once"],
    ),
}

SWEEP = {
    "axes and groups": (
        """\
        llem: 1
        model: tiny
        sweep:
          pytorch.top_k: []
          pytorch.dtype: [float16, {a: 1}]
          max_output_tokens: [1, x, 0, [2]]
          seed: 3
          nope.foo: [1]
          pytorch.batchsize: [3]
          transformers.num_beams: [1]
          beams:
            - {pytorch.num_beams: 2}
          pytorch.do_sample:
            - {pytorch.do_sample: true}
          quantized:
            - {pytorch.quantization.load_in_4bit: 1, backend: vllm, nope: 1, pytorch.top_p: []}
          pytorch.quantization: {load_in_4bit: [true]}
          backend: [pytorch]
        """,
        [
            "bad.yaml:4: sweep.pytorch.top_k: the list is empty (give at least one value, or leave the key out)",
            "bad.yaml:5: sweep.pytorch.dtype: the list mixes values and mappings "
            "(an axis has values only, a group mappings only)",
            "bad.yaml:6: sweep.max_output_tokens[1]: expected a whole number, got 'x'",
            "bad.yaml:6: sweep.max_output_tokens[2]: expected a value at least 1, got 0",
            "bad.yaml:6: sweep.max_output_tokens[3]: a value of an axis cannot be a list",
            "bad.yaml:7: sweep.seed: expected a list of values, got 3 (write [3])",
            "bad.yaml:8: sweep.nope.foo: no such field",
            "bad.yaml:9: sweep.pytorch.batchsize: no such field (did you mean pytorch.batch_size?)",
            "bad.yaml:11: sweep.beams: pytorch.num_beams is swept twice; see sweep.transformers.num_beams on line 10",
            "bad.yaml:13: sweep.pytorch.do_sample: a group cannot have the name of a field "
            "(name the group freely and write pytorch.do_sample inside its entries)",
            "bad.yaml:16: sweep.quantized[0].pytorch.quantization.load_in_4bit: expected true or false, got 1",
            "bad.yaml:16: sweep.quantized[0].backend: a group cannot choose the backend "
            "(write a list in backend, or use experiments)",
            "bad.yaml:16: sweep.quantized[0].nope: no such field",
            "bad.yaml:16: sweep.quantized[0].pytorch.top_p: the list is empty "
            "(give at least one value, or leave the key out)",
            "bad.yaml:17: sweep.pytorch.quantization: expected a list of values, got a mapping "
            "(write the whole path, such as pytorch.quantization.load_in_4bit: [...])",
            "bad.yaml:18: sweep.backend: the backends are no axis of the sweep (write backend: [pytorch, vllm] at top level)",
        ],
    ),
    "a path and a part of it": (
        """\
        llem: 1
        model: tiny
        sweep:
          pytorch.torch_compile: [true, false]
          pytorch.torch_compile.mode: [default, max-autotune]
        """,
        [
            "bad.yaml:5: sweep.pytorch.torch_compile.mode: pytorch.torch_compile.mode is swept twice; "
            "see sweep.pytorch.torch_compile on line 4"
        ],
    ),
    "no point that can run": (
        """\
        llem: 1
        model: tiny
        sweep: {pytorch.prompt_lookup_num_tokens: [3], pytorch.batch_size: [2]}
        """,
        [
            "bad.yaml:3: sweep: no point of the sweep can run: pytorch: prompt_lookup_num_tokens works with batch_size 1 "
            "only, and it is 2"
        ],
    ),
    "too many": (
        "llem: 1\nmodel: tiny\nsweep:\n"
        + "".join(f"  {path}: {list(range(1, 101))}\n" for path in ("seed", "max_output_tokens", "dataset.n")),
        ["bad.yaml:3: sweep: the study makes 1000000 cells; the limit is 20000 (split it)"],
    ),
    "a group entry that makes too many": (
        "llem: 1\nmodel: tiny\nsweep:\n  g:\n  - "
        + "\n    ".join(f"{path}: {list(range(1, 101))}" for path in ("seed", "max_output_tokens", "dataset.n")),
        ["bad.yaml:5: sweep.g[0]: the lists of this entry make 1e+06 alternatives; the limit is 20000"],
    ),
    "explicit experiments": (
        """\
        llem: 1
        model: tiny
        experiments:
          - {backend: pytorch, vllm: {engine: {block_size: 16}}}
          - {pytorch: {batch_size: x, foo: 2}}
          - 3
          - pytorch:
              quantization: {load_in_4bit: true, load_in_8bit: true}
          - {backend: tgi}
          - {pytorch.batch_size: 2, pytorch: {batch_size: 3}}
        """,
        [
            "bad.yaml:4: experiments[0]: this experiment does not use the backend vllm (it uses pytorch)",
            "bad.yaml:5: experiments[1].pytorch.batch_size: expected a whole number, got 'x'",
            "bad.yaml:5: experiments[1].pytorch.foo: no such field",
            "bad.yaml:6: experiments[2]: expected a mapping, got 3",
            "bad.yaml:7: experiments[3].pytorch: quantization: load_in_4bit and load_in_8bit exclude each other",
            "bad.yaml:9: experiments[4].backend: unknown backend 'tgi'",
            "bad.yaml:10: experiments[5].pytorch.batch_size: pytorch.batch_size is given twice in this entry",
        ],
    ),
    "budgets": (
        """\
        llem: 1
        model: tiny
        budgets:
          - {metric: energi_j, max: 3}
          - {metric: energy_j}
          - {metric: energy_j, max: 3 GiB}
          - {metric: ttft_s.p98, max: 3 ms}
          - {metric: energy_j.p50, max: 3}
          - {metric: energy_j, max: 1, min: 2}
          - {metric: energy_j, max: 1, when: {pytorch.batchsize: 2}}
          - {metric: energy_j, max: much}
          - {max: 3}
          - energy_j<=3
        """,
        [
            "bad.yaml:4: budgets[0].metric: 'energi_j' is not a metric (did you mean energy_j?)",
            "bad.yaml:5: budgets[1]: a budget needs max, min or both",
            "bad.yaml:6: budgets[2].max: 'GiB' is not a unit of this metric "
            "(the units here are nJ, uJ, µJ, mJ, J, kJ, MJ, GJ, TJ, Wh, kWh)",
            "bad.yaml:7: budgets[3].metric: ttft_s has no statistic 'p98' (did you mean p99?)",
            "bad.yaml:8: budgets[4].metric: energy_j is one number and has no p50 (write energy_j)",
            "bad.yaml:9: budgets[5]: min (2) is above max (1)",
            "bad.yaml:10: budgets[6].when.pytorch.batchsize: no such field (did you mean pytorch.batch_size?)",
            "bad.yaml:11: budgets[7].max: 'much' is not a number with a unit (write a number such as 0.5, or 0.5 mJ)",
            "bad.yaml:12: budgets[8].metric: is missing",
            "bad.yaml:13: budgets[9]: expected a mapping, got 'energy_j<=3'",
        ],
    ),
    "conditions that no experiment meets": (
        """\
        llem: 1
        model: tiny
        sweep: {pytorch.batch_size: [1, 4, 16], pytorch.dtype: [float16, bfloat16]}
        budgets:
          - {metric: energy_j, max: 1, when: {pytorch.batch_size: 8}}
          - {metric: energy_j, max: 1, when: {pytorch.dtype: bfloat61}}
        """,
        [
            "bad.yaml:5: budgets[0].when.pytorch.batch_size: no experiment has 8 (the study has 1, 4 and 16)",
            "bad.yaml:6: budgets[1].when.pytorch.dtype: no experiment has 'bfloat61' (did you mean 'bfloat16'?)",
        ],
    ),
    "everything at once": (
        """\
        llem: 3
        modell: tiny
        sweep: {pytorch.batch_size: [0]}
        budgets: [{metric: energie, max: 1}]
        runner: nowhere
        """,
        [
            "bad.yaml:1: llem: unknown grammar version 3; this release reads version 1",
            "bad.yaml:2: modell: unknown key (did you mean model?)",
            "bad.yaml:3: sweep.pytorch.batch_size[0]: expected a value at least 1, got 0",
            "bad.yaml:4: budgets[0].metric: 'energie' is not a metric (did you mean energy_j?)",
            "bad.yaml:5: runner: 'nowhere' is not a runner (write local, docker or docker:IMAGE)",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case, id=name) for name, case in (FORM | KEYS | SWEEP).items()])
def test_every_mistake_is_told_with_its_line_and_key(wrong: Wrong, text: str, expected: list[str]) -> None:
    assert wrong(text) == expected


def test_a_file_full_of_mistakes_shows_the_first_hundred(wrong: Wrong) -> None:
    lines = wrong("llem: 1\nmodel: tiny\npytorch:\n" + "".join(f"  key_{n}: 1\n" for n in range(20_000)))
    assert len(lines) == 101
    assert lines[0] == "bad.yaml:4: pytorch.key_0: unknown key"
    assert lines[-1].endswith("more mistakes")
