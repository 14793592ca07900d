"""Forms, rows and stores for tests of judges, and an OpenAI-compatible server."""

from __future__ import annotations

import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tmap.cards.judge import FormSection, LimitSection, ServerSection
from tmap.judges import Judge
from tmap.judges.base import JudgeReply
from tmap.judges.forms import fill
from tmap.judges.server import Server
from tmap.store.measurements import Store

FORM = FormSection(
    template="Q: {instruction}\nA: {response}\n\nRating:\n", max_new_tokens=8
)


def row(instruction="What is 3 + 4?", response="7", given="", turns=None):
    return {
        "instruction": instruction,
        "input": given,
        "response": response,
        "turns": turns,
    }


def store_at(folder):
    return lambda kind, who: Store(kind, who, folder)


def fresh_store(kind, who):
    return Store(kind, who, tempfile.mkdtemp())


class Says:
    """An asker that gives the same raw replies whatever it is asked."""

    def __init__(self, *raw, status="ok"):
        self.raw, self.status = raw, status

    def ask(self, questions, want):
        n = len(questions)
        raw = list(self.raw) * n if len(self.raw) == 1 else self.raw[:n]
        return [JudgeReply(self.status, r) for r in raw]


def saying(*raw):
    return Judge(FORM, Says(*raw))


def chat_answer(text="4", top=None, tokens=10):
    choice = {"message": {"role": "assistant", "content": text}}
    if top is not None:
        listed = [{"token": token, "logprob": p} for token, p in top]
        choice["logprobs"] = {"content": [{"token": text, "top_logprobs": listed}]}
    return {"choices": [choice], "usage": {"total_tokens": tokens}}


OK = (200, {}, chat_answer("4"))


def questions(n):
    return [fill(FORM, row(f"Question {i}?")) for i in range(n)]


class FakeServer(ThreadingHTTPServer):
    """Answers as `script(number, body)` says: a status, headers, and JSON or bytes.

    GET answers with `files[path]`; `headers_seen` has the headers of all requests.
    """

    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.seen, self.headers_seen = script, [], []
        self.files, self.asked_for = {}, []
        self.lock, self.under_way, self.most = threading.Lock(), 0, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def texts(self):
        return [body["messages"][-1]["content"] for _, body in self.seen]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked_for.append(self.path)
        self.server.headers_seen.append(dict(self.headers))
        data = self.server.files.get(self.path.split("?")[0])
        if data is None:
            self.send_error(501)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.seen.append((self.path, body))
            server.headers_seen.append(dict(self.headers))
            number = len(server.seen)
            server.under_way += 1
            server.most = max(server.most, server.under_way)
        try:
            status, headers, answer = server.script(number, body)
        finally:
            with server.lock:
                server.under_way -= 1
        if callable(answer):  # writes anything, well-formed or not
            answer(self)
            self.close_connection = True
            return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def asker(server, folder, *, form=FORM, style="chat", **limits):
    limits = {"max_wait": 0.05, "timeout": 5, "attempts": 3, "concurrency": 2} | limits
    section = ServerSection(url=server.url, model="some-model")
    return Server(
        section, LimitSection(**limits), style, form, open_store=store_at(folder)
    )
