// Hono 4 on Portico. Start: node dist/main.js --workers 2 examples/hono/app.js

import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import { lines, page } from '../page.js';

const app = new Hono();

app.get('/', (c) => c.html(page('Hono')));

// Portico's edge sets X-Forwarded-For; c.env.incoming is Node's own request.
app.get('/api/hello', (c) =>
  c.json({
    hello: c.req.query('name') ?? 'world',
    ip: c.req.header('x-forwarded-for') ?? c.env.incoming.socket.remoteAddress,
    pid: process.pid,
  }),
);

app.post('/api/echo', async (c) => c.json({ echo: await c.req.parseBody() }, 201));

app.get('/api/stream', (c) => {
  c.header('Content-Type', 'text/plain; charset=utf-8');
  return stream(c, async (out) => {
    for await (const line of lines()) {
      if (out.aborted) break;
      await out.write(line);
    }
  });
});

app.get('/error', () => {
  throw new Error('an error on purpose');
});

export default app;
