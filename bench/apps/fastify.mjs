// Fastify 5 hello, for the benchmark.

import fastify from 'fastify';

export const app = fastify();
app.get('/', async (_request, reply) => {
  reply.type('text/plain; charset=utf-8');
  return 'Hello, world!\n';
});
