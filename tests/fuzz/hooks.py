"""What the fuzzer cannot know from the document alone: things that are there, and code that runs.

`cargo xtask fuzz` starts the server, says where it is in AMPOULE_FUZZ_URL, and runs schemathesis
with this file. Nothing here hides an answer but `not_by_a_function`, which says why.
"""

import gzip
import io
import json
import os
import tarfile
import zipfile
import zlib
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import strategies as st

URL = os.environ["AMPOULE_FUZZ_URL"]
API = f"{URL}/api/v1"
SESSION = requests.Session()
if os.environ.get("AMPOULE_KEY"):
    SESSION.headers["authorization"] = f"Bearer {os.environ['AMPOULE_KEY']}"

# --- What is there -------------------------------------------------------------------------------

HELLO = "module.exports = (req, res) => { console.log('hello', req.method); res.send('hello'); };"
SUM = "module.exports = async (event) => { console.log('sum'); return { sum: event.a + event.b }; };"
NIGHTLY = {"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}
SETTINGS = (
    {"kind": "request", "route": "/items/:id", "env": {"CURRENCY": "EUR"}},
    {"kind": "event", "activate": False},
    {"limits": {"wall_ms": 1000, "memory_bytes": 1 << 26}, "entry": "index.js"},
)
WORKSPACE = {
    "functions": {
        "hello": {"code": "return 'Hello ' + name;", "parameters": {"name": {"type": "string"}}},
        "twice": {"code": "return [await hello('a'), await hello('b')];"},
    }
}


class There:
    """What a path can name and find. What is gone is made again before the next request."""

    def __init__(self):
        self.gone = {"tenant", "functions", "bindings", "keys", "workspace", "calls"}
        self.names = {
            "tenant": ["acme"],
            "function": ["hello", "sum"],
            "version": [1, 2],
            "schedule": ["nightly"],
            "binding": ["mail"],
            "workspace": ["desk"],
            "name": ["CURRENCY"],
            "path": ["items"],
        }

    def changed(self, path):
        """Takes note that something below this path was changed or deleted."""
        if path == "/tenants/{tenant}":
            self.gone |= {"tenant", "functions", "bindings", "keys", "calls"}
        elif path.startswith("/functions/"):
            self.gone.add("workspace")
        for part in ("functions", "bindings", "keys"):
            if f"{{tenant}}/{part}" in path:
                self.gone.add(part)

    def make(self):
        for part in ("tenant", "functions", "bindings", "keys", "workspace", "calls"):
            if part in self.gone:
                self.gone.remove(part)
                getattr(self, f"make_{part}")()

    def send(self, method, path, **rest):
        answer = SESSION.request(method, path if "://" in path else f"{API}{path}", **rest)
        if answer.status_code >= 300 and answer.status_code != 409:
            raise RuntimeError(f"seeding: {method} {path}: {answer.status_code} {answer.text}")
        return answer

    def make_tenant(self):
        self.send("POST", "/tenants", json={"tenant": "acme"})
        quotas = ["functions", "kv_bytes", "concurrent"]
        quotas += [f"{what}_per_minute" for what in ("requests", "fuel", "subrequests")]
        self.send("PATCH", "/tenants/acme", json={"quotas": dict.fromkeys(quotas)})

    def make_functions(self):
        for function, source, settings in (
            ("hello", HELLO, {"env": {"CURRENCY": "EUR"}}),
            ("hello", f"{HELLO} // again", {"env": {"CURRENCY": "EUR"}}),
            ("sum", SUM, {"kind": "event"}),
        ):
            headers = {
                "content-type": "application/javascript",
                "x-ampoule-settings": quote(json.dumps(settings)),
            }
            path = f"/tenants/acme/functions/{function}"
            self.send("PUT", path, data=source, headers=headers)
            self.send("PATCH", path, json={"enabled": True})
        versions = self.send("GET", "/tenants/acme/functions/hello/versions").json()["versions"]
        self.names["version"] = [one["version"] for one in versions][-2:]
        self.send("PUT", "/tenants/acme/functions/hello/schedules/nightly", json=NIGHTLY)

    def make_bindings(self):
        # Nobody listens there: what is tried are the paths, not the calls.
        self.send("PUT", "/tenants/acme/bindings/mail", json={"url": "http://127.0.0.1:9/mail"})

    def make_keys(self):
        body = {"name": "seed", "scopes": ["read"]}
        made = self.send("POST", "/tenants/acme/keys", json=body).json()
        self.names["key"] = [made["id"]]

    def make_workspace(self):
        self.send("PUT", f"{URL}/v2/functions/desk", json=WORKSPACE)

    def make_calls(self):
        SESSION.get(f"{URL}/invoke/@acme/hello")
        self.send("POST", "/tenants/acme/functions/sum/invoke", json={"a": 1, "b": 2})
        self.send("POST", "/tenants/acme/functions/hello/schedules/nightly/run")
        found = self.send("GET", "/tenants/acme/invocations", params={"limit": 5}).json()
        self.names["invocation"] = [one["id"] for one in found["invocations"]] or ["0" * 26]


THERE = There()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has most requests name what is there; chance hardly ever does.

    Sequences of the stateful phase name what they made themselves, and what they deleted is to stay
    so. What makes a request wrong on purpose is left as it is.
    """
    if case.meta is None or case.meta.phase.name.value == "stateful":
        return
    THERE.make()
    wrong = {where.value for where, how in case.meta.components.items() if how.mode.is_negative}
    draw = zlib.crc32(repr((case.operation.label, case.path_parameters, case.query)).encode())
    if "path" not in wrong and draw % 4 != 0:
        for name in case.path_parameters or {}:
            known = THERE.names.get(name)
            # `name` and `function` mean something else below /v2.
            if name == "function" and case.path.endswith("/run/{function}"):
                known = ["hello", "twice"]
            if known:
                case.path_parameters[name] = known[(draw >> 4) % len(known)]
    headers = case.headers or {}
    if "header" not in wrong and draw % 3 != 0 and "x-ampoule-settings" in headers:
        headers["x-ampoule-settings"] = quote(json.dumps(SETTINGS[(draw >> 4) % len(SETTINGS)]))
    wait_ms = str((case.query or {}).get("wait_ms", ""))
    if wait_ms.isdecimal() and int(wait_ms) < 1 << 64:
        # It may ask the server to wait for half a minute, which would tell nothing more. What is
        # too large to be a number at all stays so.
        case.query["wait_ms"] = int(wait_ms) % 50


@schemathesis.hook
def after_call(context, case, response):
    named = case.path_parameters or {}
    is_ours = named.get("tenant") == "acme" or named.get("workspace") == "desk"
    if is_ours and response.status_code < 300 and case.method not in ("GET", "HEAD"):
        THERE.changed(case.path)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets a function's own failure pass, and nothing else that is 5xx.

    The fuzzer writes code for workspaces and calls event functions with whatever it likes. That a
    function throws or takes too long is answered with 500, 504 or 507 by design; these answers say
    `origin: function` and are described in the document, which other checks go on to hold.
    """
    if type(failure).__name__ != "ServerError":
        return True
    try:
        return json.loads(response.content)["origin"] != "function"
    except (ValueError, KeyError, TypeError):
        return True


# --- Bodies that are not JSON --------------------------------------------------------------------


def tar_gz(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return gzip.compress(packed.getvalue(), mtime=0)


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


PACKAGE = {
    "node_modules/left/package.json": b'{"name":"left","version":"1.0.0"}',
    "node_modules/left/index.js": b"module.exports = 1;",
}
FOLDERS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    st.binary(max_size=40),
    max_size=3,
).map(lambda files: {**files, "index.js": HELLO.encode(), **PACKAGE})
SOURCES = st.text(max_size=40).map(lambda text: f"{HELLO} // {json.dumps(text)}".encode())


def with_rubbish(strategy):
    return st.one_of(strategy, strategy, strategy, st.binary(max_size=200))


for media_type in ("application/gzip", "application/x-gzip", "application/x-tar+gzip"):
    schemathesis.openapi.media_type(media_type, with_rubbish(FOLDERS.map(tar_gz)))
schemathesis.openapi.media_type("application/zip", with_rubbish(FOLDERS.map(zipped)))
for media_type in ("javascript", "typescript"):
    for family in ("application", "text"):
        schemathesis.openapi.media_type(f"{family}/{media_type}", with_rubbish(SOURCES))
