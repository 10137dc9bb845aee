// What `npm start` serves: a page that shows the edge share requests out among the workers.
// By hand: node dist/main.js --static /static=examples/welcome/static examples/welcome/app.js

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const page = readFileSync(new URL('index.html', import.meta.url));
let served = 0;

/** Only these: a path of the client's never names a file. */
const reading = new Set([
  '/docs/apps.md',
  '/docs/configuration.md',
  '/docs/signals.md',
  '/docs/errors.md',
  '/ARCHITECTURE.md',
]);

const routes = {
  'GET /': (_req, res) => {
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(page);
  },

  // Who answers? The worker that had the fewest requests in flight.
  'GET /api/whoami': (req, res) => {
    served += 1;
    sendJson(res, 200, {
      worker: Number(process.env.PORTICO_SLOT ?? 1),
      pid: process.pid,
      arbiter: process.ppid,
      served,
      upSeconds: Math.round(process.uptime()),
      node: process.versions.node,
      requestId: req.headers['x-request-id'] ?? null,
      forwardedFor: req.headers['x-forwarded-for'] ?? null,
    });
  },

  // Keeps its worker occupied, without blocking it, as a database query does.
  'GET /api/slow': (_req, res) => {
    setTimeout(() => sendJson(res, 200, { waitedMs: 400 }), 400);
  },

  // The edge turns this into 500 for one client; the worker and everyone else go on.
  'GET /api/error': () => {
    throw new Error('an error on purpose');
  },
};

const server = createServer((req, res) => {
  const path = req.url.split('?', 1)[0];
  const method = req.method === 'HEAD' ? 'GET' : req.method;
  const route = routes[`${method} ${path}`];
  if (route !== undefined) return route(req, res);
  if (reading.has(path)) return sendText(res, new URL(`../..${path}`, import.meta.url));
  sendJson(res, 404, { error: 'Not found.' });
});

// As under plain Node. Portico catches it: no port 3000 is opened.
server.listen(3000);

function sendText(res, file) {
  const text = existsSync(file) ? readFileSync(file) : null;
  res.writeHead(text === null ? 404 : 200, { 'Content-Type': 'text/plain; charset=utf-8' });
  res.end(text ?? 'This copy of Portico comes without its documentation.\n');
}

function sendJson(res, status, value) {
  res.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
  });
  res.end(JSON.stringify(value));
}
