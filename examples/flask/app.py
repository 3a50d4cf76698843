"""A Flask app that knows its members.

    pip install flask gunicorn
    MEMBER_GATEWAY_SIGNING_KEY=… MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 MEMBER_GATEWAY_SITE=members.example.org \
        PYTHONPATH=../../verify gunicorn --bind 127.0.0.1:3000 app:app
"""
import os

from flask import Flask, request
from member_gateway import HmacKey, MemberWsgi

app = Flask(__name__)
keys = {os.environ["MEMBER_GATEWAY_SIGNING_KEY_ID"]: HmacKey(os.environ["MEMBER_GATEWAY_SIGNING_KEY"])}
app.wsgi_app = MemberWsgi(app.wsgi_app, keys, anonymous=True, authority=os.environ["MEMBER_GATEWAY_SITE"])


@app.get("/public/<path:page>")
def schedule(page):
    return "the schedule, for everybody\n"


@app.get("/<path:page>")
def members(page):
    member = request.environ["member"]
    if member is None:
        return "members only\n", 401
    return "member {x-member-id} of unit {x-member-unit-id} ({x-member-provider})\n".format(**member)
