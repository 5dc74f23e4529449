"""Moves votes from Redis to PostgreSQL, the last one of each voter. Both connections stay open, and are opened again after
an error; a vote leaves the list `current` only when it is stored."""

import json
import time

import psycopg2
import redis

STORE = """insert into votes (voter, vote) values (%(voter)s, %(vote)s)
on conflict (voter) do update set vote = excluded.vote"""


def work():
    votes = redis.Redis(host="redis")
    database = psycopg2.connect(host="db", user="postgres", dbname="postgres")
    database.autocommit = True
    cursor = database.cursor()
    cursor.execute("create table if not exists votes (voter text primary key, vote text not null)")
    while True:
        vote = votes.lindex("current", 0) or votes.brpoplpush("votes", "current")
        cursor.execute(STORE, json.loads(vote))
        votes.lpop("current")


while True:
    try:
        work()
    except (redis.RedisError, psycopg2.Error) as error:
        print(f"again, after: {error}")
        time.sleep(0.2)
