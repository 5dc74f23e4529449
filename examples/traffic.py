"""Requests at a constant rate, whatever the answers take."""

import http.client
import json
import threading
import time
from dataclasses import dataclass

RATE = 20
# Longer than a connection waits for a container in a waypoint.
TIMEOUT = 15


@dataclass
class Outcome:
    """Of one request: when it began, how long it took in seconds, and its answer, or what went wrong."""

    start: float
    seconds: float
    answer: str = ""
    error: str = ""


def request(port, path, method="GET", body=None, headers=None, host="127.0.0.1"):
    """Sends a request on a connection of its own; raises an error if it is not answered with 2xx."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        answer = response.read().decode()
        if response.status // 100 != 2:
            raise OSError(f"status {response.status}")
        return answer
    finally:
        connection.close()


def get_json(port):
    return json.loads(request(port, "/"))


class Traffic:
    """Calls `send(number)` at a constant rate, each in a thread of its own, until the end of its block."""

    def __init__(self, send):
        self.send = send
        self.outcomes = []
        self.stopped = threading.Event()
        self.pacer = threading.Thread(target=self._pace)

    def __enter__(self):
        self.pacer.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.pacer.join()
        self.outcomes.sort(key=lambda outcome: outcome.start)

    def failed(self):
        return [outcome for outcome in self.outcomes if outcome.error]

    def _pace(self):
        begin, senders = time.monotonic(), []
        while not self.stopped.wait(max(0, begin + len(senders) / RATE - time.monotonic())):
            sender = threading.Thread(target=self._one, args=(len(senders),))
            sender.start()
            senders.append(sender)
        for sender in senders:
            sender.join()

    def _one(self, number):
        outcome = Outcome(time.monotonic(), 0)
        try:
            outcome.answer = self.send(number)
        except (OSError, http.client.HTTPException) as error:
            outcome.error = f"{type(error).__name__}: {error}"
        outcome.seconds = time.monotonic() - outcome.start
        self.outcomes.append(outcome)
