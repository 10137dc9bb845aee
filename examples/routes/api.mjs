// An HTTP server of its own, which knows nothing of Portico: node examples/routes/api.mjs

import { createServer } from 'node:http';

const server = createServer((request, response) => {
  if (request.url === '/health') {
    response.end('well\n');
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  const { host, 'x-forwarded-prefix': prefix, 'x-caller': caller } = request.headers;
  response.end(`${JSON.stringify({ url: request.url, host, prefix, caller })}\n`);
});

server.listen(Number(process.env.PORT ?? 8001), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`);
});
