"""The server of all four upstreams: `/openai/v1`, `/anthropic/v1`, `/gemini/v1beta`, `/responses/v1`."""

import json
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import chat, google, messages, responses
from .model import COUNT, Refused, decide

DIALECTS = {"openai": chat, "anthropic": messages, "gemini": google, "responses": responses}
FAILURE = "the scripted upstream refuses"


class Handler(BaseHTTPRequestHandler):
    """One request. A key that begins with `fail-` says with which status it is refused."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        """Every operation."""
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        name = self.path.split("/")[1]
        dialect = DIALECTS[name]
        if name == "openai" and not self.path.endswith(("/chat/completions", "/embeddings")):
            return self.json(404, dialect.error(404, f"unknown route {self.path}"))
        key = headers.get("authorization", headers.get("x-api-key", headers.get("x-goog-api-key", "")))
        if "fail-" in key:
            status = int(key.split("fail-")[1])
            more = {"retry-after": "7"} if status == 429 and name != "gemini" else {}
            return self.json(status, dialect.error(status, FAILURE), more)
        try:
            self.serve(name, dialect, json.loads(raw), headers)
        except Refused as refused:
            self.json(400, dialect.error(400, str(refused)))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception:
            said = traceback.format_exc()
            print(said, file=sys.stderr, flush=True)
            self.json(400, dialect.error(400, said[-300:]))

    def serve(self, name, dialect, body, headers):
        """An answer to a request that is in order."""
        path = self.path
        if path.endswith("/embeddings"):
            given = [body["input"]] if isinstance(body["input"], str) else body["input"]
            data = [{"object": "embedding", "index": n, "embedding": [0.25, 0.5]} for n, _ in enumerate(given)]
            return self.json(200, {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 2, "total_tokens": 2}})
        if path.endswith((":embedContent", ":batchEmbedContents")):
            vectors = [{"values": [0.25, 0.5]} for _ in body.get("requests", [body])]
            single = path.endswith(":embedContent")
            return self.json(200, {"embedding": vectors[0]} if single else {"embeddings": vectors})
        ask = dialect.read(body, path, headers)
        if path.endswith("/count_tokens"):
            return self.json(200, {"input_tokens": COUNT})
        if path.endswith(":countTokens"):
            return self.json(200, {"totalTokens": COUNT})
        if path.endswith("/input_tokens"):
            return self.json(200, {"object": "response.input_tokens", "input_tokens": COUNT})
        model = body.get("model") or path.split("/models/")[1].rsplit(":", 1)[0]
        say = decide(ask)
        if not ask.stream:
            return self.json(200, dialect.whole(say, model))
        events = dialect.events(say, model, body)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events[: len(events) * 2 // 3] if say.cut else events:
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        if say.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def json(self, status, body, headers=None):
        """A whole answer."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing: what matters is in the answers."""


def start():
    """A server on a port of its own, and its root URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"
