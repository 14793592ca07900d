"""Reasoning in answers, and indentation, against the tokenizer's own rendering."""

from __future__ import annotations

import copy
import time
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tmap import engines
from tmap.cards.model import PromptSection
from tmap.prompts.conversation import Turn
from tmap.prompts.renderer import Demo, Renderer, clean
from tmap.prompts.templates import shape

CHAT = PromptSection(template="chat")
HEAD = "{% for m in messages %}<|turn|>{{ m.role }}\n"
TAIL = (
    "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
PARSED = (
    "{% set said = m.content %}{% set thought = '' %}{% if '</think>' in said %}"
    "{% set thought = said.split('</think>')[0].split('<think>')[-1].strip('\\n') %}"
    "{% set said = said.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
)
WRITE = "<think>\\n{{ thought }}\\n</think>\\n\\n".replace("\\n", "\n")
#: Template -> what it does with reasoning in an answer.
TEMPLATES = {
    "as it is": HEAD + "{{ m.content }}" + TAIL,
    "written in the last answer, stripped before": HEAD
    + PARSED
    + "{% if m.role == 'assistant' and loop.last %}"
    + WRITE
    + "{% endif %}{{ said }}"
    + TAIL,
    "written only where there is some": HEAD
    + PARSED
    + "{% if thought %}"
    + WRITE
    + "{% endif %}{{ said }}"
    + TAIL,
    "stripped everywhere": HEAD + PARSED + "{{ said }}" + TAIL,
    "stripped, and opened by the prompt": HEAD
    + PARSED
    + "{{ said }}"
    + TAIL.replace("assistant\n", "assistant\n<think>\n"),
    "left, and opened by the prompt": HEAD
    + "{{ m.content }}"
    + TAIL.replace("assistant\n", "assistant\n<think>\n"),
    "moved into a turn of its own": "{% for m in messages %}"
    + PARSED
    + "{% if thought %}<|turn|>thought\n{{ thought }}<|end|>\n{% endif %}"
    + "<|turn|>{{ m.role }}\n{{ said }}"
    + TAIL,
    "moved behind the answer": HEAD
    + PARSED
    + "{{ said }}{% if thought %} ({{ thought }}){% endif %}"
    + TAIL,
    "trimmed": HEAD + "{{ m.content | trim }}" + TAIL,
    "between other marks": HEAD
    + "{{ m.content.replace('<think>', '<|a|>').replace('</think>', '<|b|>') }}"
    + TAIL,
}
SAID = "<think>\nOne and one.\n</think>\n\n2"
TALKS = {
    "one answer": [("user", "1+1?"), ("assistant", SAID)],
    "a system text": [("system", "Hm."), ("user", "1+1?"), ("assistant", SAID)],
    "both answers": [
        *(("user", "1+1?"), ("assistant", SAID)),
        *(("user", "2+1?"), ("assistant", "<think>Two and one.</think>3")),
    ],
    "the first answer": [
        *(("user", "1+1?"), ("assistant", SAID)),
        *(("user", "2+1?"), ("assistant", "3")),
    ],
    "the last answer": [
        *(("user", "1+1?"), ("assistant", "2")),
        *(("user", "2+1?"), ("assistant", SAID)),
    ],
    "an empty thought": [("user", "?"), ("assistant", "<think>\n\n</think>\n\n2")],
    "no first mark": [("user", "?"), ("assistant", "One and one.\n</think>\n\n2")],
    "a word before": [("user", "?"), ("assistant", "Hm. <think> One. </think> 2")],
    "spaces inside": [("user", "?"), ("assistant", "<think>  a\n b \n</think>\n2")],
    "code after it": [
        ("user", "?"),
        ("assistant", "<think>\nx\n</think>\n\n    if a:\n        b"),
    ],
}


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    found = engines.load_tokenizer(tiny_llama)
    found.add_tokens(["<think>", "</think>"])
    return found


def with_template(tokenizer, template):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    changed.bos_token = None
    return changed


@cache  # a template is tried out in a process of its own
def renderer_of(tokenizer, template):
    return Renderer(with_template(tokenizer, template), CHAT)


def own(tokenizer, turns):
    messages = [{"role": role, "content": said} for role, said in turns]
    return tokenizer.apply_chat_template(messages, tokenize=False)


def text(tokenizer, ids):
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def learnt(row):
    return [i for i, on in zip(*row, strict=True) if on]


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_reasoning_is_rendered_as_the_template_renders_it(tokenizer, template, talk):
    changed = with_template(tokenizer, template)
    row = renderer_of(tokenizer, template).training(talk)
    expected = own(changed, talk)
    assert text(changed, row.ids) == expected.removesuffix("\n")
    marks = changed.convert_tokens_to_ids(["<think>", "</think>"])
    for mark in marks:
        word = changed.convert_ids_to_tokens(mark)
        assert row.ids.count(mark) == expected.count(word)


@pytest.mark.parametrize("name", [n for n in TEMPLATES if "behind" not in n])
def test_training_on_reasoning_has_the_ids_of_its_parts(tokenizer, name):
    renderer = renderer_of(tokenizer, TEMPLATES[name])
    prompt, said = renderer.render("1+1?", said=SAID), renderer.answer(SAID)
    row = renderer.training([("user", "1+1?"), ("assistant", SAID)])
    assert row.ids == prompt.prefix + prompt.question + said + renderer.end_ids
    assert learnt(row) == said + renderer.end_ids


@pytest.mark.parametrize("name", list(TEMPLATES)[:3])
def test_the_thought_is_in_the_loss_from_its_first_mark(tokenizer, name):
    changed = with_template(tokenizer, TEMPLATES[name])
    row = renderer_of(tokenizer, TEMPLATES[name]).training(
        [("user", "1+1?"), ("assistant", SAID)]
    )
    assert text(changed, learnt(row)) == f"{SAID}<|end|>"
    assert learnt(row)[0] == changed.convert_tokens_to_ids("<think>")


def test_a_prompt_that_opens_the_thought_leaves_the_rest_to_the_answer(tokenizer):
    changed = with_template(tokenizer, TEMPLATES["left, and opened by the prompt"])
    row = Renderer(changed, CHAT).training([("user", "1+1?"), ("assistant", SAID)])
    assert text(changed, learnt(row)) == f"{SAID}<|end|>".removeprefix("<think>\n")


CHANNELS = (
    HEAD + "{% if m.KEY %}<|a|>{{ m.KEY }}<|end|>\n<|turn|>assistant\n{% endif %}"
    "{{ m.content }}" + TAIL
)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_a_template_with_a_place_for_reasoning_gets_it_there(tokenizer, key):
    changed = with_template(tokenizer, CHANNELS.replace("KEY", key))
    row = Renderer(changed, CHAT).training([("user", "1+1?"), ("assistant", SAID)])
    messages = [{"role": "user", "content": "1+1?"}]
    messages.append({"role": "assistant", "content": "2", key: "One and one."})
    whole = changed.apply_chat_template(messages, tokenize=False)
    assert text(changed, row.ids) == whole.removesuffix("\n")
    assert text(changed, learnt(row)).startswith("<|a|>One and one.")


def test_marks_of_reasoning_in_a_question_stay_words(tokenizer):
    changed = with_template(tokenizer, TEMPLATES["as it is"])
    row = renderer_of(tokenizer, TEMPLATES["as it is"]).training(
        [("user", SAID), ("assistant", "2")]
    )
    assert changed.convert_tokens_to_ids("<think>") not in row.ids
    assert SAID in text(changed, row.ids)


def test_a_demonstration_loses_the_thought_that_the_template_strips(tokenizer):
    name = "written in the last answer, stripped before"
    changed = with_template(tokenizer, TEMPLATES[name])
    prompt = Renderer(changed, CHAT).render("2+1?", [Demo("1+1?", SAID)])
    assert "One and one" not in text(changed, prompt.prefix)
    assert text(changed, prompt.prefix).count("\n2<|end|>") == 1


@pytest.mark.parametrize("section", ["plain", "urial"])
def test_a_template_of_ours_writes_reasoning_as_it_is(tokenizer, section):
    renderer = Renderer(tokenizer, PromptSection(template=section))
    row = renderer.training([("user", "1+1?"), ("assistant", SAID)])
    assert SAID in text(tokenizer, learnt(row))


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u2003"])
def test_a_long_run_of_white_space_is_looked_at_once(space):
    start = time.process_time()
    parts, texts = shape("assistant", 0, f"a{space * 500_000}b</think>{space}c")
    assert time.process_time() - start < 10  # of a quarter of an hour
    assert [texts.get(part, part) for part in parts][1:] == [f"</think>{space}", "c"]


def test_an_answer_that_does_not_count_is_context(tokenizer):
    renderer = renderer_of(tokenizer, TEMPLATES["as it is"])
    turns = [Turn("user", "1+1?"), Turn("assistant", "3", False)]
    turns += [Turn("user", "No."), Turn("assistant", "2")]
    row, all_on = renderer.training(turns), renderer.training([t[:2] for t in turns])
    assert row.ids == all_on.ids
    assert learnt(row) == renderer.answer("2") + renderer.end_ids
    assert len(learnt(all_on)) == len(learnt(row)) + len(
        renderer.answer("3") + renderer.end_ids
    )


#: Templates whose marks are words of the tokenizer, and the end that they give an answer.
WORDS = {
    "ChatML without its tokens": (
        "{% for m in messages %}<im_start>{{ m.role }}\n{{ m.content }}<im_end>\n"
        "{% endfor %}{% if add_generation_prompt %}<im_start>assistant\n{% endif %}",
        "<im_end>",
    ),
    "Alpaca": (
        "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}### assistant:\n{% endif %}",
        "",
    ),
    "Vicuna without its end": (
        "{% for m in messages %}{{ m.role | upper }}: {{ m.content }} {% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        "",
    ),
    "a rule between turns": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n---\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}",
        "\n---",
    ),
}


@pytest.mark.parametrize(("template", "end"), WORDS.values(), ids=WORDS)
def test_the_end_of_an_answer_is_not_within_the_next_question(tokenizer, template, end):
    changed = with_template(tokenizer, template)
    talk = [("user", "1+1?"), ("assistant", "two")]
    talk += [("user", "2+1?"), ("assistant", "three")]
    row = Renderer(changed, CHAT).training(talk)
    # A template that writes none gets an end of sequence behind every answer.
    eos = tokenizer.eos_token
    expected = own(changed, talk).rstrip()
    for said in ("two", "three"):
        expected = expected.replace(f"{said}{end}", f"{said}{end}{eos}")
    assert text(tokenizer, row.ids) == expected
    in_loss = "".join(text(tokenizer, learnt(row)).split())
    assert in_loss == f"two{end}{eos}three{end}{eos}".replace("\n", "")


words = st.text(st.sampled_from("ab \n\t.1"), max_size=8)
pieces = st.lists(words | st.sampled_from(["<think>", "</think>"]), max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, pieces.map("".join)), min_size=1, max_size=3))
@example([("", "<think></think>")])
@example([("a", "</think>b<think>")])
def test_any_reasoning_gives_the_text_of_the_template(tokenizer, pairs):
    turns = [
        (role, clean(said) or "x")
        for pair in pairs
        for role, said in zip(("user", "assistant"), pair, strict=True)
    ]
    # Reasoning without an answer is text like any other.
    bare = any("think>" in said and said.endswith("think>") for _, said in turns)
    for name in ("as it is", "moved into a turn of its own", "stripped everywhere"):
        if bare and name != "as it is":
            continue
        changed = with_template(tokenizer, TEMPLATES[name])
        row = renderer_of(tokenizer, TEMPLATES[name]).training(turns)
        assert text(changed, row.ids) == own(changed, turns).removesuffix("\n")


#: A text, and what is left of it.
SPACES = {
    "code": ("    if a:\n        b\n", "    if a:\n        b"),
    "a line of code": ("    return x", "    return x"),
    "a tab": ("\tx", "\tx"),
    "blank lines before code": ("\n\n    x\n", "    x"),
    "less indented, with another line": ("  - a\n  - b", "  - a\n  - b"),
    "a space": (" 4", "4"),
    "two spaces": ("  Why?\n", "Why?"),
    "line breaks": ("\n\na\n\n", "a"),
    "inside": ("a\n\n    b  c", "a\n\n    b  c"),
    "nothing": ("     \n ", ""),
    "a line without indentation follows": ("  a\nb", "a\nb"),
    "trailing": ("a    ", "a"),
}


@pytest.mark.parametrize(("given", "left"), SPACES.values(), ids=SPACES)
def test_indentation_stays_where_it_means_something(tokenizer, given, left):
    assert clean(given) == clean(clean(given)) == left
    for section in ("plain", "urial"):
        renderer = Renderer(tokenizer, PromptSection(template=section))
        row = renderer.training([("user", given), ("assistant", given or "x")])
        said = text(tokenizer, learnt(row)).removesuffix("<eos>")
        assert said == (f" {left}" if section == "plain" and left else left)
        assert f"\n{left}\n" in text(tokenizer, row.ids) or section == "plain"


def test_a_template_that_trims_loses_the_indentation(tokenizer):
    for name, said in (("trimmed", "a\n    b"), ("as it is", "    a\n    b")):
        renderer = renderer_of(tokenizer, TEMPLATES[name])
        row = renderer.training([("user", "?"), ("assistant", "    a\n    b")])
        assert text(tokenizer, learnt(row)) == f"{said}<|end|>"


def asked(text):
    return [("user", text), ("assistant", "b")]


#: What a template writes for a text -> talks that it leaves as they are, and texts that
#: it changes.
LOOKING = {
    "m.content": ([*TALKS.values()], []),
    "m.content | trim": ([*TALKS.values()], []),
    "m.content | tojson": ([asked("a?")], ['Say "b".', "a\nb"]),
    "m.content | e": ([asked("a?")], ["<b>", "a & b"]),
    "m.content[:40]": ([TALKS["a system text"][:1] + asked("a?")], ["word " * 20]),
    "m.content | replace('tea', 'milk')": ([TALKS["both answers"]], ["tea"]),
    "m.content | wordwrap(40)": ([asked("a?")], ["word " * 20]),
    "m.content.split() | join(' ')": ([asked("a b?")], ["a  b", "a\nb"]),
    "m.content ~ (' (quiet)' if '/no_think' in m.content else '')": (
        [*TALKS.values()],
        ["b /no_think"],
    ),
    "m.content ~ ('' if m.content | length < 60 else '!')": (
        [asked("a?")],
        ["word " * 20],
    ),
    "raise_exception('no') if 'x' in m.content else m.content": (
        [TALKS["both answers"]],
        ["x"],
    ),
}


@pytest.mark.parametrize("written", LOOKING)
def test_a_template_that_looks_at_texts_is_found_out(tokenizer, written):
    same, changed = LOOKING[written]
    template = f"{HEAD}{{{{ {written} }}}}{TAIL}"
    renderer = renderer_of(tokenizer, template)
    others = [
        talk
        for text in changed
        for talk in (asked(text), [*asked("a?")[:1], ("assistant", text)])
    ]
    found = renderer.rewritten([*same, *others])
    assert found == [False] * len(same) + [True] * len(others)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_moves_reasoning_rewrites_nothing(tokenizer, name):
    renderer = renderer_of(tokenizer, TEMPLATES[name])
    assert not any(renderer.rewritten([*TALKS.values()]))


def test_a_template_of_ours_rewrites_nothing(tokenizer):
    renderer = Renderer(tokenizer, PromptSection(template="plain"))
    assert renderer.rewritten([*TALKS.values()]) == [False] * len(TALKS)
