"""What re-runs after an edit and what does not, according to `snakemake -n`."""

import os
import re

import pytest

from clones import TARGET, Clone, rules_of

pytestmark = pytest.mark.workflow

AFTER_SEARCH = {
    "search_weights",
    "select_subset",
    "export_subset",
    "train_adapter",
    "evaluate_adapter",
    "collect_metrics",
}


@pytest.fixture(scope="module")
def clone(finished_clone) -> Clone:
    assert finished_clone.plan() == set()
    return finished_clone


@pytest.fixture
def edit(clone):
    """Edit files of the clone; they are restored after the test."""
    kept = {}

    def change(name: str, old: str, new: str, *, count: int = 1) -> None:
        path = clone.path / name
        text = path.read_text()
        kept.setdefault(path, text)
        assert len(re.findall(old, text)) >= 1, f"{old!r} is not in {name}"
        path.write_text(re.sub(old, lambda _: new, text, count=count))

    def write(name: str, text: str) -> None:
        path = clone.path / name
        kept.setdefault(path, path.read_text() if path.exists() else None)
        path.write_text(text)

    change.write = write
    yield change
    for path, text in kept.items():
        path.unlink() if text is None else path.write_text(text)


def test_nothing_re_runs_when_nothing_changed(clone):
    assert clone.plan() == set()


def test_a_comment_and_a_docstring_re_run_nothing(clone, edit):
    name = "workflow/tmap/indicators/reason_steps.py"
    edit(name, r"\nimport re\n", "\n# why re: patterns\nimport re\n")
    edit(name, r'^"""', '"""Another first line. ')
    edit("config/methods/tmap.yaml", r"^", "# a remark\n")
    assert clone.plan() == set()


def test_touching_every_file_re_runs_nothing(clone):
    parts = ("Snakefile", "rules", "workflow", "config", "profiles", "world", "results")
    for part in parts:
        top = clone.path / part
        for path in [top, *top.rglob("*")]:
            os.utime(path)
    assert clone.plan() == set()


def test_other_weights_in_a_models_folder_run_again_what_looks_at_it(clone, edit):
    edit("world/models/random_llama/generation_config.json", r"\{", '{"top_k": 1,')
    planned = rules_of(clone.plan())
    assert {"fetch_model", "search_weights", "train_adapter"} <= planned
    assert "fit_irt" not in planned


def test_the_size_of_the_confirm_set_trains_and_measures_only_what_is_learned(
    clone, edit
):
    edit("world/cards/datasets/demo.yaml", r"n_confirm: \d+", "n_confirm: 7")
    planned = clone.plan()
    assert rules_of(planned) == AFTER_SEARCH | {"choose_tiny"}
    assert not any("method=base" in job for job in planned)


def test_decoding_settings_score_and_train_nothing_again(clone, edit):
    edit(
        "world/cards/models/random_llama.yaml",
        r"max_new_tokens: \d+",
        "max_new_tokens: 9",
    )
    planned = clone.plan()
    assert "score_indicator" not in str(planned)
    assert all("method=tmap" in job for job in planned if "train_adapter" in job)


def test_code_of_one_indicator_re_runs_it_and_what_weighs_it(clone, edit):
    name = "workflow/tmap/indicators/reason_steps.py"
    edit(name, r"$", "\n\nANOTHER_RULE = 1\n")
    planned = clone.plan()
    scored = {job for job in planned if job.startswith("score_indicator")}
    assert scored == {"score_indicator dataset=demo, indicator=reason_steps"}
    assert rules_of(planned) == {"score_indicator"} | AFTER_SEARCH
    assert not any("method=random" in job for job in planned)


def test_code_of_the_search_re_runs_the_search_and_no_scoring(clone, edit):
    edit("workflow/tmap/search/posterior.py", r"$", "\n\nANOTHER_RULE = 1\n")
    planned = clone.plan()
    assert rules_of(planned) == AFTER_SEARCH
    assert all("method=tmap" in j for j in planned if "collect" not in j)


def test_how_a_subset_is_written_trains_nothing_again(clone, edit):
    edit("workflow/tmap/selection/export.py", r"# \{name\}", "# Subset {name}")
    assert rules_of(clone.plan()) == {"export_subset", "collect_metrics"}


def test_one_search_value_of_a_card_re_runs_that_search(clone, edit):
    edit("world/cards/methods/tmap.yaml", r"n_shots: \d+", "n_shots: 1")
    planned = clone.plan()
    assert rules_of(planned) == AFTER_SEARCH
    assert all("method=tmap" in j for j in planned if "collect" not in j)


def test_a_diversity_filter_chooses_anew_and_searches_nothing(clone, edit):
    edit("world/cards/methods/tmap.yaml", r"$", "\nfilter: {diversity: 0.9}\n")
    planned = clone.plan()
    assert rules_of(planned) == {"embed_pool"} | AFTER_SEARCH - {"search_weights"}
    assert all("method=tmap" in j for j in planned if "select" in j or "train" in j)


def test_a_column_that_compares_rows_embeds_them_first(clone, edit):
    edit.write("world/cards/methods/weak.yaml", "weights: {miwv: 1.0, nuggets: 1.0}\n")
    planned = clone.plan("--config", "methods=[base,random,uniform,tmap,weak]")
    assert sum(job.startswith("embed_pool") for job in planned) == 1
    assert sum(job.startswith("score_indicator") for job in planned) == 2


def test_a_training_value_re_runs_training_and_no_search(clone, edit):
    edit("world/cards/models/random_llama.yaml", r"max_steps: \d+", "max_steps: 1")
    assert rules_of(clone.plan()) == {
        "train_adapter",
        "evaluate_adapter",
        "collect_metrics",
    }


def test_a_new_method_re_runs_only_itself_and_the_table(clone, edit):
    edit.write("world/cards/methods/longest.yaml", "weights: {output_length: 1.0}\n")
    planned = clone.plan("--config", "methods=[base,random,uniform,tmap,longest]")
    assert rules_of(planned) == AFTER_SEARCH - {"search_weights"}
    assert all("method=longest" in j for j in planned if "collect" not in j)


def test_a_new_method_in_an_experiment_trains_and_measures_only_itself(clone, edit):
    card = "extends: table1\ndatasets: [demo]\nmodels: [random_llama]\nseeds: 1\n"
    (clone.path / "world/cards/experiments").mkdir(exist_ok=True)
    name, table = "world/cards/experiments/mine.yaml", "results/tables/mine.parquet"
    edit.write(name, card + "methods: [base, random, uniform, tmap]\n")
    assert rules_of(clone.plan(target=table)) == {"make_table"}
    edit.write("world/cards/methods/longest.yaml", "weights: {output_length: 1.0}\n")
    edit.write(name, card + "methods: [base, random, uniform, tmap, longest]\n")
    planned = clone.plan(target=table)
    trained = {"select_subset", "train_adapter", "evaluate_adapter"}
    assert rules_of(planned) == {"make_table"} | trained
    assert all("method=longest" in j for j in planned if "make_table" not in j)


def test_dropping_an_indicator_scores_nothing_again(clone, edit):
    columns = r"indicators: \[.*\]"
    edit("world/cards/methods/tmap.yaml", columns, "indicators: [ifd, perplexity]")
    planned = clone.plan()
    assert rules_of(planned) == AFTER_SEARCH
    assert all("method=tmap" in j for j in planned if "collect" not in j)


def test_the_target_may_be_built_again_by_its_name_alone(clone):
    assert rules_of(clone.plan("--forcerun", "collect_metrics")) == {"collect_metrics"}
    assert (clone.path / TARGET).is_file()
