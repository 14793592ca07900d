"""Secrets of many kinds are planted; nothing that the commands write or print has one.

Planted: user and percent-encoded password of a pool's address, a value of its query under
a telling name and one under another, its fragment; the variable that `key_env` names;
HF_TOKEN, a variable PASSWORD, the password of HTTP_PROXY; a key in `extra:`; in `launch:`
an option, an option with =, a variable, a header, a user and an address; passwords, keys
and queries in cards that are refused; a line of broken YAML; a key in the server's error
bodies, whole, encoded and cut; a log line with the whole environment; secrets in
exceptions, warnings and other libraries' logs.

Searched: standard output and error of every command (logs, error sentences, tracebacks);
every file below the working folder by name, bytes, and for tables all cells and the
metadata: pool, rejected rows, columns, the store of replies, subset and its exports, data
card, records of attempts; the JSON of `tmap.dag.params.of` for every rule that reads these
cards; the key of the served engine; the command line of that process. Each secret is
searched as it is, percent-encoded, decoded, in base64 and by its first 12 characters.

Not searched: the cards themselves, which contain the secrets, and the server, which gets
those that it needs. The proxy must get nothing, because all servers are on this machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from urllib.parse import quote, unquote

import pyarrow.parquet as pq
import pytest

from judging import chat_answer
from project import ROOT

SECRETS = {
    "user": "u5er-Alpha-9481",
    "password": "p%40ss%2Fw0rd-Bravo-1",
    "signature": "s1gn4ture-Charlie-77",
    "expires": "q9-Delta-5512-query",
    "fragment": "fr4gment-Echo-3310",
    "key_env": "judge-Foxtrot-key-42",
    "hf": "hf_GolfGolfQwertzUiop",
    "environment": "h0tel-Hotel-passwd-8",
    "proxy": "pr0xy-India-word-31",
    "extra": "extra-Juliett-k3y-09",
    "option": "opt10n-Kilo-key-2201",
    "equals": "equ4ls-Lima-token-17",
    "variable": "var1able-Mike-key-70",
    "header": "he4der-November-tok-5",
    "curl": "cur1-Oscar-user-pw-66",
    "launch_url": "l4unch-Papa-addr-81",
    "refused_user": "r3fused-Quebec-url-4",
    "refused_query": "ref-Romeo-query-9x77",
    "refused_bare": "b4re-Sierra-host-552",
    "refused_key": "sk-T4ngo-in-key-env-1",
    "refused_launch": "str1ng-Uniform-key-3",
    "yaml": "y4ml-Victor-line-6610",
    "unreached": "n0-Whiskey-server-20",
    "traceback": "tr4ce-Xray-back-4419",
    "library": "l1brary-Yankee-log-73",
    "warning": "w4rning-Zulu-text-12",
}
S = SECRETS
POOL = [
    {"id": f"r{i}", "question": f"What is {i} + {i}?", "answer": f"It is {2 * i}."}
    for i in range(30)
]
QUESTIONS = [
    {"id": f"q{i}", "question": f"A shop sold {i} pens.", "gold": str(i)}
    for i in range(20)
]
SERVER = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""
INSIDE = """
import logging, os, sys, warnings
from tmap import cards, cli, dag, engines
from tmap.engines.launch import Launched
from tmap.errors import TmapError
from tmap.jobs import log

log.setup()
names = {"dataset": "d", "model": "served"}
for rule, own in {
    "fetch_pool": {"dataset": "d"},
    "label_pool": {"dataset": "d"},
    "distil_pool": {"dataset": "d"},
    "fetch_questions": {"dataset": "d"},
    "fetch_responses": {"dataset": "d"},
    "fetch_targets": {"dataset": "d"},
    "score_indicator": {"dataset": "d", "indicator": "alpagasus"},
    "measure_shard": {"dataset": "d", "indicator": "alpagasus"},
    "select_subset": {"dataset": "d", "method": "random"},
    "export_subset": {"dataset": "d", "method": "random"},
    "search_weights": {**names, "method": "tmap"},
    "explain_weights": {**names, "method": "tmap"},
    "evaluate_adapter": names,
    "train_adapter": {"model": "served"},
    "fetch_model": {"model": "served"},
    "collect_metrics": {"dataset": "d"},
    "write_page": {"model": "served"},
}.items():
    print(rule, dag.params.of(rule, **own), dag.origin.card(rule, own))
engine = cards.load("models", "served").engine
print(engines.key_of({"revision": "0"}, engine))
server = Launched(engine.server, "/m")
server.wait()
server.end()
print(sys.orig_argv)
missing = engine.server.launch.model_copy(update={"command": "X_API_KEY=OPTION serve"})
try:
    Launched(engine.server.model_copy(update={"launch": missing}), "/m")
except TmapError as fault:
    logging.getLogger("tmap").warning("%s", fault)
logging.getLogger("tmap").warning("%s", dict(os.environ))
other = logging.getLogger("httpx")  # a library with a handler of its own
other.addHandler(logging.StreamHandler(sys.stdout))
other.warning("HTTP Request: GET %s", "https://LIBRARY@host/p?x=LIBRARY")
warnings.warn("Authorization: Bearer WARNING")
try:
    raise ValueError("token=TRACEBACK")
except ValueError:
    logging.getLogger("tmap.x").exception("at https://u:TRACEBACK@h")
def app(**_):
    try:
        raise KeyError("https://u:TRACEBACK@h/p?TRACEBACK")
    except KeyError:
        raise RuntimeError("for https://h/p?sig=TRACEBACK#TRACEBACK")
cli.app = app
cli.main()
"""


def spellings(secret):
    found = {secret, unquote(secret), quote(secret, safe="")}
    plain = unquote(secret)
    pairs = (plain, f"{SECRETS['user']}:{plain}", f"me:{plain}")
    found |= {base64.b64encode(text.encode()).decode() for text in pairs}
    return found | {secret[:12], unquote(secret)[:12], secret[-12:]}


def leaks(where, text):
    return [
        f"{kind} as {spelling!r} in {where}: ...{text[max(0, at - 80) : at + 60]!r}"
        for kind, secret in SECRETS.items()
        for spelling in sorted(spellings(secret))
        if (at := text.find(spelling)) >= 0
    ]


def texts_of(path):
    yield path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield json.dumps(table.to_pylist(), default=str, ensure_ascii=False)
        yield str(table.schema.metadata)


@pytest.fixture
def room(tmp_path, serve):
    """A working folder with cards, a server for pool and judge, and a proxy."""
    body = "".join(json.dumps(row) + "\n" for row in [*POOL, "broken"]).encode()
    server, proxy = serve(), serve()
    server.files["/pool.jsonl"] = body

    def script(number, asked):
        key = S["key_env"]
        echoes = {
            1: f"bad key {key}",
            2: f"bad {base64.b64encode(key.encode()).decode()} {quote(key)} {key[:12]}",
            3: f"headers: Authorization: Bearer {key}; body: {json.dumps(asked)}",
        }
        if number in echoes:
            return 400, {}, {"error": echoes[number]}
        return 200, {}, chat_answer("4\nGood.")

    server.script = script
    work = tmp_path / "work"
    work.mkdir()
    (work / "server.py").write_text(SERVER)
    (work / "q.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    write_cards(tmp_path / "cards", server, hashlib.sha256(body).hexdigest())
    return tmp_path, work, server, proxy


def write_cards(folder, server, digest):
    host = f"127.0.0.1:{server.server_port}"
    query = f"X-Amz-Signature={S['signature']}&expires={S['expires']}"
    user = f"{S['user']}:{S['password']}"
    url = f"http://{user}@{host}/pool.jsonl?{query}#{S['fragment']}"
    dead = f"http://u:{S['unreached']}@127.0.0.1:1/p.jsonl?x={S['unreached']}"
    columns = "{id: id, instruction: question, response: answer}"

    def pool(url, digest):
        return f"pool: {{url: '{url}', sha256: '{digest}', columns: {columns}}}\n"

    rest = (
        "task: generation\nquestions: {path: q.jsonl, columns: {id: id, question: "
        "question, gold: gold}}\nreward_share: 0.5\nmax_unscored: 1\n"
        "tiny: {n_anchors: 5, n_confirm: 2}\nresponses: {path: none.jsonl}\n"
        "distil: {judge: j}\nindicators: {alpagasus: {judge: j}}\n"
    )
    bad = "version: 1\nforms: {accuracy: {template: '{instruction} {response}'}}\n"
    form = (
        "version: 1\nforms:\n  accuracy: {template: '{instruction} {response}'}\n"
        "  reasoning: {template: '{instruction}'}\n"
    )
    judge = (
        f"server: {{url: 'http://{host}/v1', model: m, "
        f"extra: {{api_key: '{S['extra']}'}}}}\n"
        "limits: {key_env: THE_JUDGE, attempts: 1, concurrency: 1}\n"
    )
    launch = (
        f"env OPENAI_API_KEY={S['variable']} {sys.executable} server.py {{port}} "
        f"--api-key {S['option']} --auth-token={S['equals']} "
        f'-H "Authorization: Bearer {S["header"]}" -u me:{S["curl"]} '
        f"--hub https://me:{S['launch_url']}@h/p?token={S['launch_url']}"
    )
    served = {
        "source": {"hub": "org/name"},
        "engine": {
            "name": "server",
            "server": {
                "url": "http://127.0.0.1:{port}/v1",
                "model": "m",
                "extra": {"api_key": S["extra"]},
                "launch": {"command": launch},
            },
        },
    }
    flat = {"source": {"hub": "org/name"}, "engine": {"name": "server", "server": {}}}
    flat["engine"]["server"] = {
        "url": "http://h/v1",
        "model": "m",
        "launch": f"serve --api-key {S['refused_launch']}",
    }
    cards = {
        "datasets/d": pool(url, digest) + rest,
        "datasets/other_sum": pool(url, "0" * 64) + rest,
        "datasets/unreached": pool(dead, "1" * 64) + rest,
        "datasets/broken": f"pool: {{url: 'http://u:{S['yaml']}@h/p?{S['yaml']}', ]\n",
        "datasets/two_places": pool(url, digest) + "questions: {path: a, b: c}\n",
        "judges/j": form + judge,
        "models/served": json.dumps(served),
        "models/flat": json.dumps(flat),
        "judges/user": bad
        + f"server: {{url: 'http://u:{S['refused_user']}@h/v1', model: m}}\n",
        "judges/query": bad
        + f"server: {{url: 'http://h/v1?key={S['refused_query']}', model: m}}\n",
        "judges/bare": bad
        + f"server: {{url: 'u:{S['refused_bare']}@h/v1', model: m}}\n",
        "judges/key": bad
        + "server: {url: 'http://h/v1', model: m}\n"
        + f"limits: {{key_env: {S['refused_key']}}}\n",
    }
    for name, text in cards.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for kind in ("methods", "experiments"):
        (folder / kind).mkdir()


def commands():
    """Arguments and exit status of each command, in order."""
    data = "--ngrams n.parquet --output {}.parquet --rejected {}.rejected.parquet"
    score = "--pool pool.parquet --output"
    for line, status in [
        ("fetch-questions d --reward q.parquet --test t.parquet --ngrams n.parquet", 0),
        (f"--job fetch.log 1 10 fetch-pool d {data.format('pool', 'pool')}", 0),
        (f"--job sum.log 1 10 fetch-pool other_sum {data.format('x', 'x')}", 1),
        (f"--job dead.log 1 10 fetch-pool unreached {data.format('x', 'x')}", 1),
        (f"fetch-pool broken {data.format('x', 'x')}", 1),
        (f"fetch-pool two_places {data.format('x', 'x')}", 1),
        (f"score-indicator d alpagasus {score} alpagasus.parquet", 0),
        ("select-subset d random --pool pool.parquet --output subset.parquet", 0),
        (
            "export-subset d served random --subset subset.parquet --pool pool.parquet "
            "--alpaca subset.jsonl --messages subset.messages.jsonl "
            "--info dataset_info.json --card README.md",
            0,
        ),
    ]:
        yield ["-m", "tmap", *line.split()], status
    show = "import sys; from tmap import cards, cli; cli.app = lambda **_: cards.load("
    for kind, name in [
        *(("judges", name) for name in ("user", "query", "bare", "key")),
        ("models", "flat"),
    ]:
        yield ["-c", f"{show}{kind!r}, {name!r}); cli.main()"], 1
    inside = INSIDE
    for word in ("OPTION", "LIBRARY", "WARNING", "TRACEBACK"):
        inside = inside.replace(word, SECRETS[word.lower()])
    yield ["-c", "import sys; exec(sys.stdin.read())", inside], 1


def test_no_planted_secret_is_written_or_printed(room):
    folder, work, server, proxy = room
    address = f"http://me:{S['proxy']}@127.0.0.1:{proxy.server_port}"
    environment = {
        **{k: v for k, v in os.environ.items() if k.lower() != "no_proxy"},
        "TMAP_CARDS": str(folder / "cards"),
        "TMAP_STORE": str(work / "store"),
        "XDG_CACHE_HOME": str(work / "cache"),
        "PYTHONPATH": str(ROOT / "workflow"),
        "THE_JUDGE": S["key_env"],
        "HF_TOKEN": S["hf"],
        "SOME_PASSWORD": S["environment"],
        "HTTP_PROXY": address,
        "http_proxy": address,
        "HTTPS_PROXY": address,
        "ALL_PROXY": address,
    }
    found, printed = [], []
    for words, status in commands():
        ran = subprocess.run(
            [sys.executable, *words[:2], *(words[2:] if words[0] == "-m" else ())],
            cwd=work,
            env=environment,
            input="".join(words[2:]) if words[0] == "-c" else None,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == status, (words[:6], said)
        found += leaks(f"what {words[2:5]} prints", said)
        printed.append(said)
    for path in sorted(p for p in work.rglob("*") if p.is_file()):
        found += leaks("a name", str(path.relative_to(work)))
        for text in texts_of(path):
            found += leaks(path.relative_to(work), text)
    assert not found, "\n".join(found)

    # The secrets were needed, and were used.
    assert server.asked_for[0] == (
        f"/pool.jsonl?X-Amz-Signature={S['signature']}&expires={S['expires']}"
    )
    pair = f"{S['user']}:{unquote(S['password'])}"
    used = {headers.get("Authorization") for headers in server.headers_seen}
    basic = base64.b64encode(pair.encode()).decode()
    assert used == {f"Basic {basic}", f"Bearer {S['key_env']}"}
    assert server.seen[0][1]["api_key"] == S["extra"]
    assert not (proxy.asked_for or proxy.seen), "the proxy was asked for this machine"
    # What is left says what happened.
    everything = "\n".join(printed)
    assert (
        f"downloading http://127.0.0.1:{server.server_port}/pool.jsonl\n" in everything
    )
    for words in (
        "has sha256",
        "cannot be reached",
        "must contain no key",
        "status 400",
    ):
        assert words in everything
    assert "launch: env OPENAI_API_KEY=***" in everything
    card = (work / "README.md").read_text()
    assert f"| source | http://127.0.0.1:{server.server_port}/pool.jsonl, rev" in card
    assert {p.name for p in work.glob("store/**/*.parquet")}
