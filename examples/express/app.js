// Express 5 on Portico. Start: node dist/main.js --workers 2 examples/express/app.js

import { Readable } from 'node:stream';
import express from 'express';
import { lines, page } from '../page.js';

export const app = express();

// Portico's edge sets X-Forwarded-*: with this, req.ip, req.protocol and req.hostname come from it.
app.set('trust proxy', true);
app.use(express.urlencoded({ extended: false }));

app.get('/', (_req, res) => {
  res.type('html').send(page('Express'));
});

app.get('/api/hello', (req, res) => {
  res.json({ hello: req.query.name ?? 'world', ip: req.ip, pid: process.pid });
});

app.post('/api/echo', (req, res) => {
  res.status(201).json({ echo: req.body });
});

app.get('/api/stream', (_req, res) => {
  res.type('text/plain');
  Readable.from(lines()).pipe(res);
});

app.get('/error', async () => {
  throw new Error('an error on purpose');
});

app.use((error, _req, res, _next) => {
  console.error(error.stack);
  res.status(500).json({ error: 'Something went wrong.' });
});
