"""From what a person types to what is run."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import factories
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbench.errors import BenchmarkError, GenbenchError, SpecError
from genbench.plugins import Registry, discover
from genbench.selection import load_benchmark, model_string, parse_budget, parse_model, select_model
from genbench.specs import resolve_config


def written(folder: Path, name: str = "tiny", **changes: object) -> Path:
    """A benchmark file of the synthetic definition with changes at its top level or, by ``table__key``, below."""
    raw = {key: dict(value) if isinstance(value, dict) else value for key, value in factories.DEFINITION.items()}
    for key, value in changes.items():
        table, _, leaf = key.partition("__")
        (raw[table] if leaf else raw)[leaf or key] = value
    path = folder / f"{name}.toml"
    path.write_text(factories.toml(raw))
    return path


def test_a_bare_name_has_no_options() -> None:
    assert parse_model("dcgan") == ("dcgan", {})


def test_values_are_read_as_the_literals_they_look_like() -> None:
    name, options = parse_model("dcgan[width=128, ema=true,lr=1e-4,loss=hinge,slope=-0.5]")
    assert name == "dcgan"
    assert options == {"width": 128, "ema": True, "lr": 1e-4, "loss": "hinge", "slope": -0.5}
    assert {key: type(value) for key, value in options.items()}["width"] is int


@pytest.mark.parametrize(
    "text", ["", "dcgan[", "dcgan]", "dcgan[width]", "dcgan[width=]", "dcgan[=3]", "dcgan[a=1,a=2]", "a b", "x[a=1]y"]
)
def test_a_malformed_model_is_refused_with_the_form_that_is_right(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_model(text)
    assert caught.value.exit_code == 2
    assert "=" in str(caught.value) or "twice" in str(caught.value)


values = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True).filter(lambda text: text not in ("true", "false")),
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_0-9]{0,9}", fullmatch=True), values, max_size=5))
def test_the_canonical_string_reads_back_as_what_it_was_made_of(options: dict[str, bool | int | float | str]) -> None:
    name, back = parse_model(model_string("m", options))
    assert (name, back) == ("m", options)
    assert {key: type(value) for key, value in back.items()} == {key: type(of) for key, of in options.items()}


def test_two_spellings_of_one_choice_have_one_name() -> None:
    registry = factories.registry()
    first = select_model(registry, "toy[width=128,lr=1,ema=true]")
    second = select_model(registry, "toy[ema=true, lr=1.0, width=1.28e2]")
    assert first.name == second.name == "toy[ema=true,lr=1.0,width=128]"
    assert first.overrides == {"width": 128, "lr": 1.0, "ema": True}


def test_an_option_whose_default_is_text_stays_text() -> None:
    assert select_model(factories.registry(), "toy[loss=3]").overrides == {"loss": "3"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tyo", "did you mean 'toy'?"),
        ("toy[widht=3]", "did you mean 'width'?"),
        ("toy[width=1.5]", "type int, such as 64"),
        ("toy[width=big]", "type int, such as 64"),
        ("toy[ema=1]", "type bool, such as false"),
        ("toy[lr=true]", "type float"),
        ("toy[lr=1e999]", "type float"),
        ("toy[lr=nan]", "type float"),
    ],
)
def test_a_wrong_name_option_or_value_is_refused_and_the_right_one_named(text: str, named: str) -> None:
    with pytest.raises(GenbenchError) as caught:
        select_model(factories.registry(), text)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2


def test_budget_items_become_typed_changes() -> None:
    assert parse_budget(["images=2e3", "seconds=1.5", "flops=none", "device=cuda"]) == {
        "images": 2000,
        "seconds": 1.5,
        "flops": None,
        "device": "cuda",
    }


@pytest.mark.parametrize(
    ("items", "named"),
    [
        (["imges=3"], "did you mean 'images'?"),
        (["images"], "KEY=VALUE"),
        (["images="], "KEY=VALUE"),
        (["images=1", "images=2"], "twice"),
    ],
)
def test_a_wrong_budget_item_is_refused(items: list[str], named: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        parse_budget(items)
    assert named in str(caught.value)


@pytest.mark.parametrize("item", ["images=many", "images=-3", "images=1.5", "images=none", "device=tpu", "seconds=0"])
def test_an_impossible_budget_value_is_refused_by_its_key(tmp_path: Path, item: str) -> None:
    registry = factories.registry(written(tmp_path))
    with pytest.raises(BenchmarkError, match=r"--budget: budget\." + item.partition("=")[0]):
        load_benchmark(registry, "tiny", budget_overrides=parse_budget([item]))


def test_a_benchmark_is_found_by_its_name_and_by_its_path(tmp_path: Path) -> None:
    path = written(tmp_path)
    registry = factories.registry(path)
    by_name, by_path = load_benchmark(registry, "tiny"), load_benchmark(registry, str(path))
    assert by_name == by_path
    assert by_name.dataset == factories.DATASET
    assert not by_name.dev
    assert not by_name.custom_budget


def test_overrides_and_dev_give_benchmarks_with_digests_and_folders_of_their_own(tmp_path: Path) -> None:
    registry = factories.registry(written(tmp_path))
    plain = load_benchmark(registry, "tiny")
    dev = load_benchmark(registry, "tiny", dev=True)
    custom = load_benchmark(registry, "tiny", budget_overrides={"images": 7})
    assert custom.budget.images == 7
    assert custom.custom_budget
    assert len({plain.digest, dev.digest, custom.digest}) == 3
    assert len({plain.folder, dev.folder, custom.folder}) == 3


def test_lifting_the_flop_limit_lifts_it(tmp_path: Path) -> None:
    registry = factories.registry(written(tmp_path))
    assert load_benchmark(registry, "tiny", budget_overrides={"flops": None}).budget.flops is None


def test_a_file_whose_name_is_not_its_benchmarks_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "other")
    with pytest.raises(BenchmarkError, match="name: must be that of the file, 'other', not 'tiny'"):
        load_benchmark(factories.registry(), str(path))


def test_unknown_names_are_told_all_at_once_and_before_the_name_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "other", dataset="tinny", metrics=["fidd", "fid", "kidd"])
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(factories.registry(), str(path))
    keys = [line.removeprefix(f"{path}: ").partition(": ")[0] for line in str(caught.value).splitlines()]
    assert keys == ["dataset", "metrics", "metrics", "name"]


def test_unknown_names_are_told_beside_values_that_are_wrong(tmp_path: Path) -> None:
    path = written(tmp_path, dataset="tinny", budget__images=-1)
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(factories.registry(), str(path))
    images, dataset = str(caught.value).splitlines()
    assert "budget.images" in images
    assert "unknown dataset 'tinny'" in dataset


def test_of_thousands_of_unknown_metrics_the_first_are_told_soon(tmp_path: Path) -> None:
    path = written(tmp_path)
    metrics = ", ".join(f'"m{index}"' for index in range(5000))
    path.write_text(re.sub(r"metrics = \[.*?\]", f"metrics = [{metrics}]", path.read_text()))
    with pytest.raises(BenchmarkError, match="metrics: and 4990 more unknown metrics"):
        load_benchmark(factories.registry(), str(path))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dataset": "tinny"}, "dataset: unknown dataset 'tinny'; did you mean 'tiny'?"),
        ({"evaluator": "tiny-cnn-v2"}, "did you mean 'tiny-cnn-v1'?"),
        ({"metrics": ["fid", "bit_per_dim"]}, "did you mean 'bits_per_dim'?"),
        ({"likelihood__examples": 601}, "likelihood.examples: must be at most the 600 test examples of tiny, not 601"),
        ({"likelihood__milestone_examples": 601}, "likelihood.milestone_examples"),
        ({"likelihood__milestone_draws": 17}, "likelihood.milestone_draws: must be at most likelihood.draws = 16"),
    ],
)
def test_a_definition_that_does_not_fit_what_it_names_is_refused_by_its_key(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(factories.registry(), str(path))
    assert named in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_evaluator_of_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    monkeypatch.setattr(factories, "EVALUATOR", dataclasses.replace(factories.EVALUATOR, levels=256))
    with pytest.raises(BenchmarkError, match="takes 1x8x8 with 256 levels, but data set tiny has 1x8x8 with 17"):
        load_benchmark(factories.registry(), str(written(tmp_path)))


def test_the_evaluators_that_would_take_the_data_are_named(tmp_path: Path) -> None:
    from genbench.plugins import discover

    path = tmp_path / "other.toml"
    definition = {**factories.DEFINITION, "name": "other", "dataset": "fashion-mnist", "evaluator": "digits-cnn-v1"}
    path.write_text(factories.toml(definition))
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(discover(), str(path))
    told = "these take it: fashion-cnn-v1, fashion-random-v1, those for any image"
    assert told in str(caught.value)
    assert "genbench new DIR --kind evaluator" in str(caught.value)


def test_an_unknown_benchmark_and_a_missing_file_are_told_apart() -> None:
    with pytest.raises(GenbenchError, match="unknown benchmark 'tiny'; known: none"):
        load_benchmark(factories.registry(), "tiny")
    with pytest.raises(BenchmarkError, match=r"nowhere/tiny\.toml: cannot be read: No such file"):
        load_benchmark(factories.registry(), "nowhere/tiny.toml")


def test_numbers_of_no_use_are_refused_by_name() -> None:
    with pytest.raises(SpecError, match=r"999.*5000 digits"):
        parse_model(f"toy[width={'9' * 5000}]")
    with pytest.raises(SpecError, match=r"toy.*lr=1e999"):
        select_model(factories.registry(), "toy[lr=1e999]")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400])
def test_a_configuration_that_no_record_could_hold_is_refused(value: float) -> None:
    spec = dataclasses.replace(factories.registry().models["toy"].spec, defaults=lambda data: {"lr": value})
    with pytest.raises(SpecError, match="toy: lr"):
        resolve_config(spec, factories.DATA, {})


def changed_digits(folder: Path, **changes: str) -> Path:
    """The installed digits-smoke benchmark with lines changed."""
    text = discover().benchmarks["digits-smoke"].spec.read_text()
    for key, value in changes.items():
        text, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert found == 1
    path = folder / "digits-smoke.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"milestone_n": "39"}, "samples.milestone_n: fd_inf needs 40 samples or more, not 39"),
        ({"n": "39", "milestone_n": "39"}, "samples.n: fd_inf needs 40 samples or more, not 39"),
    ],
)
def test_too_few_samples_for_a_metric_are_refused_before_any_training(
    tmp_path: Path, changes: dict[str, str], named: str
) -> None:
    path = changed_digits(tmp_path, **changes)
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(discover(), str(path))
    assert str(caught.value).splitlines()[0] == f"{path}: {named}"


def with_metrics(folder: Path, *metrics: str, **changes: object) -> tuple[Registry, str]:
    """A registry with genbench's own metrics, and the synthetic benchmark with some of them."""
    registry = factories.registry()
    registry.metrics.update({name: discover().metrics[name] for name in metrics})
    return registry, str(written(folder, metrics=list(metrics), **changes))


def test_copying_is_not_held_to_the_number_of_samples_at_milestones(tmp_path: Path) -> None:
    registry, path = with_metrics(tmp_path, "c_t", samples__milestone_n=19)
    assert load_benchmark(registry, path).file.samples.milestone_n == 19


def test_a_metric_of_words_is_refused_on_images(tmp_path: Path) -> None:
    registry, path = with_metrics(tmp_path, "distinct_words")
    with pytest.raises(BenchmarkError, match="metrics: distinct_words is of sequences, and tiny has images"):
        load_benchmark(registry, path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"test": 39}, "metrics: c_t needs 40 test examples or more; tiny has 39"),
        ({"train": 19}, "metrics: c_t needs 20 training examples or more; tiny has 19"),
    ],
)
def test_too_few_real_examples_for_a_metric_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], named: str
) -> None:
    monkeypatch.setattr(factories, "DATASET", dataclasses.replace(factories.DATASET, **changes))
    registry, path = with_metrics(tmp_path, "c_t", likelihood__examples=30, likelihood__milestone_examples=30)
    with pytest.raises(BenchmarkError, match=re.escape(named)):
        load_benchmark(registry, path)


@pytest.mark.parametrize("metric", ["modes_found", "modes_kl", "label_accuracy"])
def test_an_evaluator_of_other_classes_cannot_tell_the_datas_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    monkeypatch.setattr(factories, "EVALUATOR", dataclasses.replace(factories.EVALUATOR, rgb=True))
    registry, path = with_metrics(tmp_path, metric)
    with pytest.raises(BenchmarkError, match=f"it cannot judge {metric}; leave"):
        load_benchmark(registry, path)
