"""Counts requests in Redis and asks PostgreSQL for the time, with a connection of each per request."""

import os

import psycopg2
import redis
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    hits = redis.Redis(host="redis").incr("hits")
    connection = psycopg2.connect(host="db", user="postgres", dbname="postgres")
    try:
        with connection.cursor() as cursor:
            cursor.execute("select now()::text")
            (now,) = cursor.fetchone()
    finally:
        connection.close()
    return {"host": os.uname().nodename, "hits": hits, "now": now}


@app.get("/healthz")
def healthz():
    return "ok"
