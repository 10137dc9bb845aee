"""The FastAPI service of docker-compose.yml: several replicas, reached by name through Portico."""

import socket

from fastapi import FastAPI, Request

app = FastAPI(root_path="/api")


@app.get("/whoami")
def whoami(request: Request):
    return {
        "replica": socket.gethostname(),
        "client": request.headers.get("x-forwarded-for"),
        "scheme": request.headers.get("x-forwarded-proto"),
    }


@app.get("/health")
def health():
    return {"ok": True}
