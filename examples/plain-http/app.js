// Node's own http on Portico, the `node server.js` way: it calls listen(), and Portico catches that.
// No port 3000 is opened. Start: node dist/main.js --workers 2 examples/plain-http/app.js

import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { lines, page } from '../page.js';

const routes = {
  'GET /': (_req, res) => {
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(page('Plain http'));
  },
  'GET /api/hello': (req, res, url) => {
    const ip = req.headers['x-forwarded-for'] ?? req.socket.remoteAddress;
    sendJson(res, 200, { hello: url.searchParams.get('name') ?? 'world', ip, pid: process.pid });
  },
  'POST /api/echo': async (req, res) => {
    const form = new URLSearchParams(await text(req));
    sendJson(res, 201, { echo: Object.fromEntries(form) });
  },
  'GET /api/stream': (_req, res) => {
    res.setHeader('Content-Type', 'text/plain; charset=utf-8');
    Readable.from(lines()).pipe(res);
  },
  // Under Portico this answers 500 and is logged; `node app.js` would end here.
  'GET /error': () => {
    throw new Error('an error on purpose');
  },
};

const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://app');
  const route = routes[`${req.method} ${url.pathname}`];
  if (route === undefined) return sendJson(res, 404, { error: 'Not found.' });
  return route(req, res, url);
});

server.listen(3000, () => console.log('serving at', server.address()));

function sendJson(res, status, value) {
  res.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  res.end(JSON.stringify(value));
}
