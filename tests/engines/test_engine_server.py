"""Engine `server`: requests, the use of answers, and failures."""

import sys
import threading
import time

import httpx
import pandas as pd
import pytest

from project import ROOT
from serving import free_port, transformers_serve
from tmap import cards, engines
from tmap.cards.judge import LimitSection
from tmap.cards.model import (
    AnsweringSection,
    EngineSection,
    LaunchSection,
    PromptSection,
)
from tmap.data import models
from tmap.engines.launch import Launched, answers
from tmap.errors import TmapError
from tmap.evaluation.marking import Marking
from tmap.prompts.renderer import Demo, Renderer
from tmap.search.ledger import Ledger
from tmap.search.reward import Reward

LIMITS = LimitSection(attempts=3, max_wait=0.05, timeout=5, concurrency=3)


def reply(*texts):
    choices = [{"index": i, "text": text} for i, text in enumerate(texts)]
    return 200, {}, {"choices": choices[::-1]}


def card(url, model="m", **how):
    return AnsweringSection(url=url, model=model, limits=LIMITS, **how)


def engine(record, url, **how):
    return engines.load(record, EngineSection(name="server", server=card(url, **how)))


def encode(lm, text):
    return lm.tokenizer.encode(text, add_special_tokens=False)


def texts_of(lm, groups):
    return [[lm.tokenizer.decode(ids) for ids in group] for group in groups]


def test_only_fields_that_every_server_takes_are_sent(tiny_llama, serve):
    server = serve(lambda number, body: reply(" 7"))
    lm = engine(tiny_llama, server.url)
    prefix = [lm.tokenizer.bos_token_id, *encode(lm, "Question: one?\n")]
    asked = [encode(lm, text) for text in ("two?", "three?")]
    found = lm.generate([prefix], asked, max_new_tokens=9, stop=["\n\n"])
    assert texts_of(lm, found) == [[" 7", " 7"]]
    assert {path for path, _ in server.seen} == {"/v1/completions"}
    bodies = sorted((body for _, body in server.seen), key=lambda b: b["prompt"])
    common = {"model": "m", "max_tokens": 9, "temperature": 0, "stop": ["\n\n"]}
    assert bodies == [
        common | {"prompt": f"<bos>Question: one?\n{asked}"}
        for asked in ("three?", "two?")
    ]


def test_a_bos_that_the_tokenizer_puts_itself_is_not_sent(tiny_llama, serve):
    from tokenizers.processors import TemplateProcessing

    server = serve(lambda number, body: reply("x"))
    lm = engine(tiny_llama, server.url)
    lm.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 1)]
    )
    lm.generate([[1, *encode(lm, "Hello ")]], [encode(lm, "you")], max_new_tokens=2)
    assert server.seen[0][1]["prompt"] == "Hello you"


def test_an_answer_is_cut_here_where_the_server_keeps_the_stop_text(tiny_llama, serve):
    server = serve(lambda number, body: reply("It is 7.\n\nQuestion: and"))
    lm = engine(tiny_llama, server.url)
    found = lm.generate([[5]], [[6]], max_new_tokens=9, stop=["\n\n"])
    assert texts_of(lm, found) == [["It is 7."]]


def test_lists_and_token_ids_are_sent_where_the_card_says_so(tiny_llama, serve):
    server = serve(lambda n, body: reply(*[str(ids[-1]) for ids in body["prompt"]]))
    lm = engine(tiny_llama, server.url, prompts="ids", prompts_per_request=2)
    found = lm.generate([[5, 6]], [[7], [8], [9], [10]], max_new_tokens=3)
    assert texts_of(lm, found) == [["7", "8", "9", "10"]]
    assert sorted(body["prompt"] for _, body in server.seen) == [
        [[5, 6, 7], [5, 6, 8]],
        [[5, 6, 9], [5, 6, 10]],
    ]


def test_the_first_question_of_a_group_warms_its_prefix_alone(tiny_llama, serve):
    under_way = []

    def script(number, body):
        under_way.append((number, server.under_way))
        time.sleep(0.02)
        return reply("x")

    server = serve(script)
    lm = engine(tiny_llama, server.url)
    lm.generate([[5], [6]], [[i] for i in range(7, 13)], max_new_tokens=3)
    assert dict(under_way)[1] == dict(under_way)[7] == 1
    assert 1 < server.most <= LIMITS.concurrency


def test_a_server_that_stumbles_is_asked_again_and_one_that_is_gone_is_named(
    tiny_llama, serve
):
    server = serve(lambda n, body: (503, {}, {}) if n == 1 else reply("x"))
    lm = engine(tiny_llama, server.url)
    assert texts_of(lm, lm.generate([[5]], [[6]], max_new_tokens=3)) == [["x"]]
    server.script = lambda n, body: (500, {}, {})
    with pytest.raises(TmapError, match=r"does not answer: status 500.*continues"):
        lm.generate([[5]], [[6]], max_new_tokens=3)


@pytest.mark.parametrize("answer", [{"choices": []}, {"choices": [{"text": None}]}, 7])
def test_an_answer_without_text_is_an_error(tiny_llama, serve, answer):
    lm = engine(tiny_llama, serve(lambda n, body: (200, {}, answer)).url)
    with pytest.raises(TmapError, match="answers 1 prompts with"):
        lm.generate([[5]], [[6]], max_new_tokens=3)


@pytest.mark.parametrize(
    ("ends", "counted", "is_cut"),
    [
        (["length"], 16, True),  # llama.cpp's slot was full
        (["length"], 64, False),
        (["stop"], 16, False),
        (["length"], None, False),
        ([None], 16, False),
        (["length", "length"], 63, True),  # of one answer or of both: too few anyway
        (["length", "length"], 64, False),
        (["length", "stop"], 16, False),  # perhaps those of the second
    ],
)
def test_an_answer_that_a_full_context_cut_short_is_an_error(
    tiny_llama, serve, ends, counted, is_cut
):
    choices = [
        {"index": i, "text": "x", "finish_reason": end} for i, end in enumerate(ends)
    ]
    answer = {"choices": choices, "usage": {"completion_tokens": counted}}
    server = serve(lambda n, body: (200, {}, answer))
    lm = engine(tiny_llama, server.url, prompts_per_request=2)
    asked = [[6], [7]][: len(ends)]
    if is_cut:
        with pytest.raises(TmapError, match=rf"after {counted} of 64 tokens.*longer"):
            lm.generate([[5]], asked, max_new_tokens=64)
    else:
        assert texts_of(lm, lm.generate([[5]], asked, max_new_tokens=64)) == [
            ["x"] * len(ends)
        ]


def test_a_prompt_that_its_text_does_not_carry_is_said(tiny_llama, serve, caplog):
    lm = engine(tiny_llama, serve(lambda n, body: reply("x")).url)
    whole = encode(lm, "coins")
    split = [encode(lm, letter)[0] for letter in "coins"]
    assert len(whole) < len(split)
    lm.generate([split[:2]], [split[2:]], max_new_tokens=3)
    assert "reads a prompt's text as" in caplog.text


def test_likelihoods_are_refused_with_the_cure(tiny_llama, serve):
    lm = engine(tiny_llama, serve().url)
    with pytest.raises(TmapError, match="name: transformers"):
        lm.option_nll([[5]], [[6]], [[[7]]])


def test_the_key_names_who_answers_and_not_how_hard_it_is_asked(tiny_llama):
    def key(**how):
        section = EngineSection(name="server", server=card("http://h:1/v1", **how))
        return engines.key_of(tiny_llama, section)

    other = card("http://h:1/v1").model_copy(update={"limits": LimitSection()})
    assert key() == engines.key_of(
        tiny_llama, EngineSection(name="server", server=other)
    )
    assert key() != key(prompts="ids")
    assert key() != key(model="other")
    assert key() != key(extra={"seed": 1})


def test_the_key_of_a_server_does_not_hold_its_address(tiny_llama):
    def key(url, command=None):
        launch = LaunchSection(command=command) if command else None
        where = card(url, launch=launch)
        return engines.key_of(tiny_llama, EngineSection(name="server", server=where))

    assert key("http://h:1/v1") == key("https://other:8000/v1")
    fixed = key("http://h:8000/v1", "serve {path} --port 8000 --seed 80001")
    assert fixed == key("http://h:9/v1", "serve {path} --port 9 --seed 80001")
    assert fixed == key("http://h:{port}/v1", "serve {path} --port {port} --seed 80001")
    assert fixed != key("http://h:9/v1", "serve {path} --port 9 --seed 80002")


def test_answers_of_a_server_that_died_are_not_asked_of_the_one_that_came_back(
    tiny_llama, serve, tmp_path
):
    questions = pd.DataFrame(
        {
            "question_id": ["q0", "q1"],
            "question": ["What is 1+0?", "What is 1+1?"],
            "choices": None,
            "gold": ["1", "2"],
        }
    )
    groups = [[Demo("Say it.", f"#### {n}")] for n in range(1, 5)]

    def reward(server):
        lm = engine(tiny_llama, server.url)
        return Reward(
            lm,
            Renderer(lm.tokenizer, PromptSection(template="plain")),
            questions,
            Marking("number", "flexible", 8),
            lambda marks: marks.mean(axis=-1),
            0.0,
            Ledger(tmp_path / "ledger.jsonl"),
        )

    def dies(number, body):
        if number == 5:  # in the third group
            server.socket.close()
            threading.Thread(target=server.shutdown).start()
        if number >= 5:
            return 503, {}, {}
        return reply("#### 1")

    server = serve(dies)
    with pytest.raises(TmapError, match="same command continues"):
        reward(server)(groups)
    with pytest.raises(httpx.TransportError):
        httpx.get(server.url)

    back = serve(lambda number, body: reply("#### 1"))
    assert back.url != server.url
    outcome = reward(back)(groups)

    first = [body["prompt"] for _, body in server.seen[:4]]
    then = [body["prompt"] for _, body in back.seen]
    assert len(first) == len(then) == 4 and not {*first} & {*then}
    assert outcome.ledger_hits == 2
    assert outcome.group_accuracy.tolist() == [0.5] * 4


def test_a_server_and_its_section_go_together():
    with pytest.raises(ValueError, match="go together"):
        EngineSection(name="server")
    with pytest.raises(ValueError, match="go together"):
        EngineSection(server=card("http://h:1/v1"))


SLOW_SERVER = """
import http.server, sys, time
time.sleep(0.5)
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


def launched(tmp_path, command="{python} {script} {port}", wait=20.0):
    (tmp_path / "server.py").write_text(SLOW_SERVER)
    port = free_port()
    names = {"{python}": sys.executable, "{script}": str(tmp_path / "server.py")}
    for name, value in (names | {"{port}": str(port)}).items():
        command = command.replace(name, value)
    return card(
        f"http://127.0.0.1:{port}/v1", launch=LaunchSection(command=command, wait=wait)
    )


def test_a_launched_server_is_not_asked_through_a_proxy(tmp_path, monkeypatch, serve):
    proxy = serve()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = Launched(launched(tmp_path), "/m")
    server.wait()
    server.end()
    assert not proxy.asked_for and not proxy.seen


def test_a_launched_server_is_waited_for_and_ended(tmp_path):
    where = launched(tmp_path)
    server = Launched(where, "/m")
    server.wait()
    assert answers(where)
    with pytest.raises(TmapError, match=r"already answers at"):
        Launched(where, "/m")
    server.end()
    assert server.process.poll() is not None
    assert not answers(where)


def test_what_a_launched_server_prints_is_in_the_log_without_secrets(
    tmp_path, capfd, monkeypatch
):
    monkeypatch.setenv("SOME_API_KEY", "q1w2e3r4t5y6u7i8o9")
    script = tmp_path / "says.py"
    script.write_text(
        "import os, sys\n"
        "print('key', os.environ['SOME_API_KEY'], flush=True)\n"
        "print('Authorization: Bearer abc123def456', file=sys.stderr)\n"
        "print('ready at http://user:hunter22@host/v1?token=abcdef12')\n"
    )
    with pytest.raises(TmapError, match="ended with status 0"):
        Launched(launched(tmp_path, f"{{python}} {script}"), "/m").wait()

    said = capfd.readouterr().err
    assert "key ***" in said and "ready at http://***" in said
    for secret in ("q1w2e3r4t5y6u7i8o9", "abc123def456", "hunter22", "abcdef12"):
        assert secret not in said


def test_a_launched_server_that_ends_or_is_late_is_an_error(tmp_path):
    with pytest.raises(TmapError, match="ended with status 3"):
        Launched(launched(tmp_path, "{python} -c exit(3)"), "/m").wait()
    late = Launched(launched(tmp_path, "sleep 60", wait=0.1), "/m")
    with pytest.raises(TmapError, match="did not answer"):
        late.wait()
    assert late.process.poll() is not None
    with pytest.raises(TmapError, match="does not start"):
        Launched(launched(tmp_path, "/nowhere/program"), "/m")


def test_another_server_at_the_address_is_not_taken_for_the_launched_one(
    tmp_path, monkeypatch
):
    server = Launched(launched(tmp_path, "{python} -c exit(3)"), "/m")
    server.process.wait()
    monkeypatch.setattr("tmap.engines.launch.answers", lambda card: True)
    with pytest.raises(TmapError, match="status 3, and another answers at"):
        server.wait()


def test_two_launched_servers_of_one_card_take_two_ports(tmp_path):
    (tmp_path / "server.py").write_text(SLOW_SERVER)
    command = f"{sys.executable} {tmp_path / 'server.py'} {{port}}"
    where = card("http://127.0.0.1:{port}/v1", launch=LaunchSection(command=command))
    servers = [Launched(where, "/m") for _ in range(2)]
    try:
        for server in servers:
            server.wait()
        assert servers[0].card.url != servers[1].card.url
        assert all(answers(server.card) for server in servers)
    finally:
        for server in servers:
            server.end()


@pytest.mark.parametrize(
    ("url", "command"), [("http://h:{port}/v1", "serve"), ("http://h:1/v1", "s {port}")]
)
def test_a_free_port_stands_in_address_and_command(url, command):
    with pytest.raises(ValueError, match="goes into both"):
        card(url, launch=LaunchSection(command=command))


@pytest.mark.workflow
def test_three_engines_agree_on_the_embedded_model(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    model = cards.load("models", "tiny")
    record = models.read("tiny", model.source)
    demo = Demo(
        "Sara has 6 coins. Sara finds 4. How many coins now?", "6+4=10\n#### 10"
    )
    asked = [f"Tom has {n} pens. Tom loses 2. How many pens now?" for n in range(5, 13)]
    with transformers_serve(tmp_path / "serve.log") as url:
        served = AnsweringSection(url=url, model=str(ROOT / record["path"]))
        sections = {
            "reference": EngineSection(name="reference", dtype="float32", device="cpu"),
            "transformers": model.engine,
            "server": EngineSection(name="server", server=served),
        }
        read = {}
        for name, section in sections.items():
            lm = engines.load(record, section)
            renderer = Renderer(lm.tokenizer, model.prompt)
            prefixes = [renderer.render("", [demo] * n).prefix for n in (1, 3)]
            questions = [renderer.render(q, [demo]).question for q in asked]
            written = lm.generate(
                prefixes, questions, max_new_tokens=40, stop=renderer.stop
            )
            read[name] = [[renderer.read(ids) for ids in group] for group in written]
    assert read["reference"] == read["transformers"] == read["server"]
    assert len({text for group in read["server"] for text in group}) > 4
