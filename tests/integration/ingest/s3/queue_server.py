"""A queue that speaks as SQS does, in JSON, as far as a reader needs."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QueueServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: dict[str, str] = {}  # bodies by receipt handle

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/000000000000/events"

    def send(self, told: object) -> None:
        body = told if isinstance(told, str) else json.dumps(told)
        self.messages[f"handle-{len(self.messages)}"] = body


class _Handler(BaseHTTPRequestHandler):
    server: QueueServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = self.server.messages
        if self.headers["X-Amz-Target"] == "AmazonSQS.ReceiveMessage":
            held = list(messages.items())[: asked["MaxNumberOfMessages"]]
            answer = {
                "Messages": [
                    {"MessageId": handle, "ReceiptHandle": handle, "Body": body} for handle, body in held
                ]
            }
        else:
            for entry in asked["Entries"]:
                del messages[entry["ReceiptHandle"]]
            answer = {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
        pass
