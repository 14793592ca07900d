"""Chat templates of every shape, against the tokenizer's own rendering."""

from __future__ import annotations

import copy

import pytest

from tmap import engines
from tmap.cards.model import PromptSection
from tmap.errors import TmapError
from tmap.prompts.renderer import Demo, Renderer

DEMOS = (Demo("How many coins?", "6+34=40 coins.\n#### 40"), Demo("Then?", "#### 3"))
BRIEF = PromptSection(template="chat", system="Be brief.")
CHATML = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "[U]{{ m.content }}[/U]{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
INSTRUCT = (  # the system text is in the last question; the answer follows a space
    "{{ bos_token }}{% set sys = '' %}{% if messages[0].role == 'system' %}"
    "{% set sys = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}"
    "{% endif %}{% for m in messages %}{% if m.role == 'user' %}<|turn|>"
    "{% if loop.index0 >= messages | length - 2 %}{{ sys }}{% endif %}{{ m.content }}"
    "<|end|>{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
REASONING = (  # finished conversations have an empty block that prompts lack
    "{% for m in messages %}<|turn|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return engines.load_tokenizer(tiny_llama)


def with_template(tokenizer, template, **changes):
    """The tokenizer with another chat template and other special tokens."""
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def text(tokenizer, ids):
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def test_chat_ids_are_those_of_the_tokenizer_s_own_template(tokenizer):
    prompt = Renderer(tokenizer, BRIEF).render("Why?", DEMOS)
    messages = [{"role": "system", "content": "Be brief."}]
    for question, answer in DEMOS:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    messages.append({"role": "user", "content": "Why?"})
    expected = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False
    )
    assert prompt.prefix + prompt.question == expected


def test_a_tokenizer_without_bos_gets_none(tokenizer):
    changed = with_template(tokenizer, CHATML, bos_token=None)
    prompt = Renderer(changed, PromptSection()).render("Why?")
    assert text(tokenizer, prompt.prefix) == "<|turn|>"
    assert text(tokenizer, prompt.question) == "user\nWhy?<|end|>\n<|turn|>assistant\n"


def test_training_on_chat_is_the_tokenizer_s_own_template(tokenizer):
    turns = [("system", "Hm."), ("user", "a?"), ("assistant", "one")]
    turns += [("user", "b?"), ("assistant", "two")]
    row = Renderer(tokenizer, BRIEF).training(turns)
    messages = [{"role": role, "content": content} for role, content in turns]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text(tokenizer, row.ids) == rendered.removesuffix("\n")


def test_turn_marks_that_are_not_special_are_walled_off_too(tokenizer):
    changed = with_template(tokenizer, CHATML.replace("turn", "go"))
    changed.add_tokens(["<|go|>"])
    mark = changed.convert_tokens_to_ids("<|go|>")
    renderer = Renderer(changed, PromptSection())
    prompt = renderer.render("a <|go|> b")
    assert (prompt.prefix + prompt.question).count(mark) == 2
    assert "a <|go|> b" in text(changed, prompt.question)


def test_a_template_without_system_role_gets_it_with_the_first_question(tokenizer):
    changed = with_template(tokenizer, NO_SYSTEM)
    renderer = Renderer(changed, BRIEF)
    alone, after = renderer.render("Why?"), renderer.render("Why?", DEMOS[1:])
    assert text(changed, alone.question) == "[U]Be brief.\n\nWhy?[/U][U]"
    assert "Be brief.\n\nThen?" in text(changed, after.prefix)
    assert text(changed, after.question) == "[U]Why?[/U][U]"


def test_a_template_that_passes_over_the_system_text_is_treated_alike(tokenizer):
    template = CHATML.replace("messages %}", "messages if m.role != 'system' %}")
    changed = with_template(tokenizer, template)
    prompt = Renderer(changed, BRIEF).render("Why?")
    assert "user\nBe brief.\n\nWhy?" in text(changed, prompt.question)


def test_a_space_before_the_answer_belongs_to_the_answer(tokenizer):
    changed = with_template(tokenizer, INSTRUCT)
    renderer = Renderer(changed, BRIEF)
    prompt = renderer.render("Why?", DEMOS[1:])
    whole = text(changed, prompt.prefix + prompt.question)
    assert (
        whole == "<bos><|turn|>Then?<|end|> #### 3<eos><|turn|>Be brief.\n\nWhy?<|end|>"
    )
    assert text(changed, renderer.answer("So.")) == " So."
    assert renderer.end_ids == [changed.eos_token_id]


def test_an_empty_reasoning_block_ends_the_prompt(tokenizer):
    changed = with_template(tokenizer, REASONING)
    prompt = Renderer(changed, PromptSection()).render("Why?", DEMOS[1:])
    assert text(changed, prompt.question).endswith("assistant\n<think>\n\n</think>\n\n")
    assert "think" not in text(changed, prompt.prefix)


def test_the_date_in_a_template_stands_still(tokenizer):
    template = "{{ strftime_now('%d %b %Y') }} {{ date_string }}" + CHATML
    changed = with_template(tokenizer, template)
    prompt = Renderer(changed, PromptSection()).render("Why?")
    assert "26 Jul 2024 26 Jul 2024" in text(changed, prompt.prefix)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (None, "has no chat template"),
        ("{{ messages[0].content | upper }}", "each text once"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "once"),
        ("{{ raise_exception('no') }}", r"fails on 1 exchanges .*no"),
    ],
)
def test_templates_that_cannot_be_split_say_what_to_do(tokenizer, template, fault):
    changed = with_template(tokenizer, template)
    with pytest.raises(TmapError, match=fault) as raised:
        Renderer(changed, PromptSection())
    assert "template: plain" in str(raised.value)


def test_the_end_of_turn_ends_an_answer_and_is_not_read(tokenizer):
    renderer = Renderer(tokenizer, BRIEF)
    assert renderer.end_ids == [tokenizer.convert_tokens_to_ids("<|end|>")]
    assert renderer.read(renderer.answer("So.") + renderer.end_ids) == "So."
