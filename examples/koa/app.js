// Koa 3 on Portico. Start: node dist/main.js --workers 2 examples/koa/app.js

import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import Koa from 'koa';
import { lines, page } from '../page.js';

// Portico's edge sets X-Forwarded-*: with proxy, ctx.ip and ctx.protocol come from it.
const app = new Koa({ proxy: true });

const routes = {
  'GET /': (ctx) => {
    ctx.type = 'html';
    ctx.body = page('Koa');
  },
  'GET /api/hello': (ctx) => {
    ctx.body = { hello: ctx.query.name ?? 'world', ip: ctx.ip, pid: process.pid };
  },
  'POST /api/echo': async (ctx) => {
    const form = new URLSearchParams(await text(ctx.req));
    ctx.status = 201;
    ctx.body = { echo: Object.fromEntries(form) };
  },
  'GET /api/stream': (ctx) => {
    ctx.type = 'text';
    ctx.body = Readable.from(lines());
  },
  'GET /error': () => {
    throw new Error('an error on purpose');
  },
};

app.use(async (ctx) => {
  await routes[`${ctx.method} ${ctx.path}`]?.(ctx);
});

export default app;
