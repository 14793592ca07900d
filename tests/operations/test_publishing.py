"""`tmap push-subset` against a server on this machine that speaks the hub's protocol."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from project import ROOT
from tmap import dag
from tmap.artifacts import tables
from tmap.artifacts.files import write_json
from tmap.errors import TmapError
from tmap.operations import publishing

TOKEN = "hf_madeuptokenofthistest"


def write(folder, licence="mit"):
    folder.mkdir(parents=True)
    (folder / "subset.jsonl").write_text('{"id": "a"}\n')
    (folder / "subset.messages.jsonl").write_text('{"id": "a", "messages": []}\n')
    write_json(folder / "dataset_info.json", {"x": 1})
    tables.write(
        "subset",
        pd.DataFrame(
            {"sample_id": ["a"], "rank": [0], "score": [1.0], "contributions": [[1.0]]}
        ),
        folder / "subset.parquet",
        code="c",
    )
    names = ("subset.jsonl", "subset.messages.jsonl", "dataset_info.json")
    card = folder / "README.md"
    beside = dag.origin.beside(card, *(folder / name for name in names))
    made = {
        "rule": "export_subset",
        "names": {},
        "card": {},
        "modules": {},
        "inputs": {},
    }
    about = {"made": made, "versions": {}, "beside": beside}
    card.write_text(f"---\nlicense: {licence}\n---\n# x\n" + dag.origin.comment(about))
    (folder / "t0").mkdir()
    (folder / "t0" / "secret.txt").write_text("not of the subset")
    return folder


@pytest.fixture
def hub():
    """A hub of one dataset; `asked` has each request, `status` how it answers."""
    asked, status = [], {}

    class Hub(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            asked.append((path, body, self.headers.get("Authorization")))
            found, here = {}, f"http://{self.headers['Host']}"
            if path.endswith("/repos/create"):
                found = {"url": f"{here}/datasets/me/mine", "id": "me/mine"}
            elif "/preupload/" in path:
                sent = json.loads(body)["files"]
                found["files"] = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in sent
                ]
            elif "/commit/" in path:
                found = {
                    "commitUrl": f"{here}/datasets/me/mine/commit/c0ffee",
                    "commitOid": "c0ffee",
                }
            text = json.dumps(found).encode()
            self.send_response(status.get("is", 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked, status
    server.shutdown()
    server.server_close()


def pushed(folder, address, *options, name="me/mine"):
    env = os.environ | {
        "HF_ENDPOINT": address,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT / "workflow"),
    }
    words = [sys.executable, "-m", "tmap", "push-subset", str(folder), name, *options]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("options", [[], ["--public"]])
def test_the_files_of_the_subset_are_committed_and_no_others(tmp_path, hub, options):
    address, asked, _ = hub
    folder = write(tmp_path / "s0")
    done = pushed(folder, address, *options)

    assert done.returncode == 0, done.stderr
    created = next(json.loads(body) for path, body, _ in asked if "create" in path)
    assert (created["name"], created["type"]) == ("mine", "dataset")
    assert created["visibility"] == ("public" if options else "private")
    (commit,) = (body for path, body, _ in asked if "/commit/" in path)
    sent = [json.loads(line) for line in commit.splitlines()]
    files = {
        part["value"]["path"]: base64.b64decode(part["value"]["content"])
        for part in sent
        if part["key"] == "file"
    }
    assert files == {name: (folder / name).read_bytes() for name in publishing.FILES}
    assert {header for _, _, header in asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("status", [401, 403, 404, 409, 500])
def test_a_refusal_is_one_sentence_without_the_token(tmp_path, hub, status):
    address, _, answers = hub
    answers["is"] = status
    done = pushed(write(tmp_path / "s0"), address)

    assert done.returncode == 1
    assert f"The hub did not take dataset 'me/mine' (status {status})" in done.stderr
    assert "Traceback" not in done.stderr and TOKEN not in done.stderr + done.stdout


def test_a_hub_that_is_not_there_is_said_to_be_unreachable(tmp_path):
    done = pushed(write(tmp_path / "s0"), "http://127.0.0.1:9")
    assert "The hub cannot be reached to push 'me/mine'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_none_is_refused(tmp_path, hub):
    done = pushed(write(tmp_path / "s0"), hub[0], name="a/b/c")
    assert "'a/b/c' is not the name of a dataset" in done.stderr
    assert hub[1] == []


def test_an_edited_file_is_not_pushed(tmp_path):
    folder = write(tmp_path / "s0")
    (folder / "subset.jsonl").write_text('{"id": "b"}\n')
    with pytest.raises(
        TmapError, match=r"subset\.jsonl is not the file that its README"
    ):
        publishing.check(folder, public=False)


def test_a_folder_without_an_export_says_how_to_make_it(tmp_path):
    (tmp_path / "s0").mkdir()
    with pytest.raises(TmapError, match=r"has no README\.md, subset\.jsonl"):
        publishing.check(tmp_path / "s0", public=False)


@pytest.mark.parametrize(("public", "refused"), [(True, True), (False, False)])
def test_an_unknown_licence_stays_private(tmp_path, public, refused):
    folder = write(tmp_path / "s0", licence="unknown")
    if refused:
        with pytest.raises(TmapError, match="leave --public out"):
            publishing.check(folder, public)
    else:
        publishing.check(folder, public)
