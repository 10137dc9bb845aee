# FastAPI on Portico. Start: node dist/main.js -k asgi --workers 2 --chdir examples/fastapi app:app
import asyncio
import os
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, StreamingResponse

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def page():
    return "<!doctype html><title>FastAPI on Portico</title><h1>FastAPI on Portico</h1>"


# Portico's edge sets X-Forwarded-*, and Uvicorn is told to trust it: request.client is the client.
@app.get("/api/hello")
async def hello(request: Request, name: str = "world"):
    return {"hello": name, "ip": request.client.host, "pid": os.getpid()}


@app.post("/api/echo", status_code=201)
async def echo(request: Request):
    return {"echo": dict(parse_qsl((await request.body()).decode()))}


@app.get("/api/stream")
async def stream():
    async def lines():
        for number in range(1, 6):
            yield f"line {number}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/error")
async def error():
    raise RuntimeError("thrown by the example")


@app.websocket("/ws")
async def talk(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_text(f"you said: {await socket.receive_text()}")
    except WebSocketDisconnect:
        pass
