"""What a model's folder says about tokens, weights and ends, before anything loads."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from tmap.cards.model import ModelSource
from tmap.data import checkpoint, models
from tmap.errors import TmapError, lacking


@pytest.fixture
def folder(tiny_llama, tmp_path):
    return shutil.copytree(tiny_llama["path"], tmp_path / "model")


def read(folder):
    return models.read("mine", ModelSource(path=str(folder)))


def edit(path, **keys):
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize(
    "name",
    [
        "consolidated.safetensors",
        "consolidated.00.safetensors",
        "model.fp16.safetensors",
        "other.safetensors",
        "model-00001-of-00002.safetensors",
    ],
)
def test_a_second_copy_of_the_weights_is_not_counted(folder, name, caplog):
    alone = read(folder)
    shutil.copy(folder / "model.safetensors", folder / name)
    both = read(folder)
    for key in ("n_parameters", "size_bytes"):
        assert both[key] == alone[key]
    assert (name in caplog.text) is not name.startswith("consolidated")


@pytest.mark.parametrize("name", ["consolidated.safetensors", "model.safetensors"])
def test_an_index_beside_a_single_file_is_what_transformers_makes_of_it(folder, name):
    alone = read(folder)
    shutil.copy(folder / "model.safetensors", folder / "model-1.safetensors")
    index = {"weight_map": {"w": "model-1.safetensors"}}
    (folder / models.INDEX).write_text(json.dumps(index))
    if name != "model.safetensors":
        (folder / "model.safetensors").rename(folder / name)
    assert read(folder)["n_parameters"] == alone["n_parameters"]


def tokens(folder, special, template="", **roles):
    """Give the tokenizer one more token than the model has vectors."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<|more|>"], special_tokens=special)
    for role in roles:
        setattr(tokenizer, role, "<|more|>")
    tokenizer.chat_template = template or tokenizer.chat_template
    tokenizer.save_pretrained(folder)


def test_a_special_token_that_nobody_writes_does_no_harm(folder):
    tokens(folder, special=True)  # as Gemma 3's token for pictures
    assert read(folder)["n_parameters"] > 0


def test_padding_may_be_beyond_the_vectors(folder):
    tokens(folder, special=True, pad_token=True)
    assert read(folder)["n_parameters"] > 0


def test_a_table_of_positions_is_not_one_of_tokens(folder):
    """BERT's comes first in its file."""
    import torch

    path = folder / "model.safetensors"
    positions = {"embeddings.position_embeddings.weight": torch.zeros(2, 4)}
    save_file(positions | load_file(path), path, {"format": "pt"})
    assert read(folder)["n_parameters"]


def test_as_many_tokens_as_vectors_are_right_and_one_fewer_is_not(folder):
    path = folder / "model.safetensors"
    whole = load_file(path)
    name = next(name for name in whole if name.endswith("embed_tokens.weight"))
    from transformers import AutoTokenizer

    size = len(AutoTokenizer.from_pretrained(folder))
    for rows, right in ((size, True), (size - 1, False)):
        save_file(whole | {name: whole[name][:rows].clone()}, path)
        if right:
            read(folder)
            continue
        with pytest.raises(
            TmapError, match=rf"gives 1 token that .*it has {rows} vectors"
        ):
            read(folder)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"eos_token": None}, True),
        ({"eos_token": ""}, True),
        ({"eos_token": "<eos>"}, False),
        ({"eos_token": {"content": "<eos>"}}, False),
        ({}, False),
    ],
)
def test_a_tokenizer_without_end_is_told(folder, about, told, caplog):
    edit(folder / "tokenizer_config.json", **about)
    record = read(folder)
    assert ("no end-of-sequence token" in caplog.text) is told
    assert bool(checkpoint.notes(folder)) is told
    assert record["path"] == str(folder)


def test_a_class_with_an_end_of_its_own_needs_none_in_the_file(folder):
    path = folder / "tokenizer_config.json"
    about = json.loads(path.read_text())
    del about["eos_token"]
    path.write_text(json.dumps(about | {"tokenizer_class": "GPT2TokenizerFast"}))
    assert checkpoint.notes(folder) == []
    path.write_text(json.dumps(about | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    assert checkpoint.notes(folder) == [checkpoint.NO_END]


@pytest.mark.parametrize(
    ("name", "writes"),
    [
        ("LlamaForCausalLM", True),
        ("GPT2LMHeadModel", True),
        ("QWenLMHeadModel", True),
        ("Gemma3ForConditionalGeneration", True),
        ("ChatGLMModel", True),
        ("LlamaForSequenceClassification", False),
        ("LlamaModel", False),
        ("BertForMaskedLM", False),
        ("BertModel", False),
        ("Qwen2ForRewardModel", False),
        ("Qwen2ForProcessRewardModel", False),
        ("CLIPModel", False),
    ],
)
def test_an_architecture_that_writes_no_text_is_told(folder, name, writes, caplog):
    edit(folder / "config.json", architectures=[name])
    read(folder)
    told = [note for note in checkpoint.notes(folder) if name in note]
    assert bool(told) is (name in caplog.text) is not writes


def test_an_encoder_with_a_decoder_is_told_and_a_file_that_names_none_is_not(folder):
    about = {"architectures": ["T5ForConditionalGeneration"]}
    edit(folder / "config.json", **about, is_encoder_decoder=True)
    assert len(checkpoint.notes(folder)) == 1
    edit(folder / "config.json", architectures=None, is_encoder_decoder=False)
    assert checkpoint.notes(folder) == []


def test_several_tokens_and_one_are_counted_as_such(folder):
    from transformers import AutoTokenizer

    for token, told in (("<a>", "gives 1 token that"), ("<b>", "gives 2 tokens that")):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens([token])
        tokenizer.save_pretrained(folder)
        with pytest.raises(TmapError, match=told):
            read(folder)


def test_a_model_without_its_output_layer_is_refused_where_it_is_loaded(folder):
    from tmap import engines
    from tmap.cards.model import EngineSection

    place = EngineSection(device="cpu")
    path = folder / "model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pt"})
    engines.load(read(folder), place)
    whole = load_file(path)
    lost = next(name for name in whole if name.endswith("norm.weight"))
    del whole[lost]
    save_file(whole, path, metadata={"format": "pt"})
    with pytest.raises(TmapError, match=rf"lacks 1 of the weights .*such as '{lost}'"):
        engines.load(read(folder), place)


@pytest.mark.parametrize("about", [None, {}, []])
def test_an_empty_word_on_quantisation_is_none(folder, about):
    edit(folder / "config.json", quantization_config=about)
    assert read(folder)["n_parameters"] > 0


def test_a_package_that_is_not_there_is_a_sentence(folder, monkeypatch):
    import transformers

    from tmap import engines
    from tmap.cards.model import EngineSection

    def load(*args, **how):
        raise ImportError("Loading a GPTQ quantized model requires optimum")

    record = read(folder)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", load)
    with pytest.raises(TmapError, match=r"requires optimum.*Install it there with pip"):
        engines.load(record, EngineSection(device="cpu"))


@pytest.mark.parametrize(
    "fault",
    [
        ModuleNotFoundError("No module named 'lm_eval'", name="lm_eval"),
        ImportError("libcudart.so.12: cannot open shared object file"),
        ImportError("cannot import name 'x' from 'y'\n (there)", name="y"),
    ],
    ids=repr,
)
def test_any_command_ends_in_a_sentence_if_a_package_is_missing(
    fault, monkeypatch, capsys
):
    from tmap import cli

    def app(**how):
        raise fault

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr().err
    assert "Traceback" not in told and "\n" not in told.strip()
    assert str(lacking(fault)) in told


def test_a_fault_of_our_own_imports_keeps_its_traceback(monkeypatch, capsys):
    from tmap import cli

    def app(**how):
        raise ImportError("cannot import name 'x'", name="tmap.data")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit):
        cli.main()
    assert "Traceback" in capsys.readouterr().err
