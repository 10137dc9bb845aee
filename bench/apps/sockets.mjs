// The app of the rows about connections that stay: `node sockets.mjs PORT|SOCKET`. Echoes WebSocket messages, and
// sends each client of /events an event a second.

import http from 'node:http';
import { WebSocketServer } from 'ws';

const [where] = process.argv.slice(2);
const clients = new Set();
const server = http.createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
  if (req.url !== '/events') {
    res.setHeader('Content-Type', 'text/plain; charset=utf-8');
    res.end('Hello, world!\n');
    return;
  }
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.write(': welcome\n\n');
  clients.add(res);
  res.once('close', () => clients.delete(res));
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
setInterval(() => {
  const event = `data: ${JSON.stringify({ at: Date.now(), text: 'The quick brown fox.' })}\n\n`;
  for (const res of clients) res.write(event);
}, 1000);
server.listen(
  /^\d+$/.test(where)
    ? { port: Number(where), host: '127.0.0.1', backlog: 4096 }
    : { path: where, backlog: 4096 },
  () => console.log('ready'),
);
