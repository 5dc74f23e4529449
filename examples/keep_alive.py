"""Sends requests on one connection until a file appears, and prints the container that answers each. It never reconnects:
    keep_alive.py PORT FILE"""

import http.client
import json
import os
import sys
import time

port, stop = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
connection.connect()
connection.auto_open = False
while not os.path.exists(stop):
    connection.request("GET", "/")
    print(json.loads(connection.getresponse().read())["host"], flush=True)
    time.sleep(0.05)
