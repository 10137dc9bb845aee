# Flask on Portico. Start: node dist/main.js -k wsgi --workers 2 --chdir examples/flask app:app
import os
import time

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
# Portico's edge sets X-Forwarded-*: with this, request.remote_addr and request.host come from it.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)


@app.get("/")
def page():
    return "<!doctype html><title>Flask on Portico</title><h1>Flask on Portico</h1>"


@app.get("/api/hello")
def hello():
    name = request.args.get("name", "world")
    return {"hello": name, "ip": request.remote_addr, "pid": os.getpid()}


@app.post("/api/echo")
def echo():
    return {"echo": request.form.to_dict()}, 201


@app.get("/api/stream")
def stream():
    def lines():
        for number in range(1, 6):
            yield f"line {number}\n"
            time.sleep(0.1)

    return Response(lines(), mimetype="text/plain")


@app.get("/error")
def error():
    raise RuntimeError("thrown by the example")
