"""A local model server with OpenAI's API: it answers chats, calls a tool, streams, and fails, on request."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "prompt_tokens_details": {"cached_tokens": 4}}
TOOL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"query": "tea"}'}}


class Chats(BaseHTTPRequestHandler):
    """Answers according to the last message: "use a tool", "fail", or anything else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = request["messages"][-1]["content"]
        if text == "fail":
            self.answer(500, "application/json", json.dumps({"error": {"message": "no model today", "type": "server_error"}}))
        elif request.get("stream"):
            self.answer(200, "text/event-stream", streamed(request["model"]))
        else:
            message = {"role": "assistant", "content": f"heard {text}"}
            if text == "use a tool":
                message = {"role": "assistant", "content": None, "tool_calls": [TOOL]}
            self.answer(200, "application/json", json.dumps(completion(request["model"], message)))

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def completion(model, message):
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": USAGE}


def streamed(model):
    start = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}
    parts = [
        start | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
        for word in ("well ", "then")
    ]
    parts.append(start | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    parts.append(start | {"choices": [], "usage": USAGE})
    return "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"


class Server(ThreadingHTTPServer):
    """A server for many connections at once: with the usual queue of 5, others would try again a second later."""

    request_queue_size = 64


@contextmanager
def model_server():
    """The address of a running server."""
    server = Server(("127.0.0.1", 0), Chats)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
