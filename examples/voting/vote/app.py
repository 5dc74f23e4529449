"""A page with two choices. A vote goes to the list `votes` in Redis, with a connection of its own."""

import json
import uuid

import redis
from flask import Flask, make_response, request

CHOICES = ("tea", "coffee")
PAGE = """<!doctype html><title>Vote</title><form method="post">{}</form><p>{}"""

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def index():
    voter = request.cookies.get("voter") or uuid.uuid4().hex
    choice = request.form.get("vote")
    if choice in CHOICES:
        with redis.Redis(host="redis") as votes:
            votes.rpush("votes", json.dumps({"voter": voter, "vote": choice}))
    buttons = "".join(f'<button name="vote" value="{name}">{name}</button>' for name in CHOICES)
    response = make_response(PAGE.format(buttons, f"You chose {choice}." if choice in CHOICES else ""))
    response.set_cookie("voter", voter)
    return response
