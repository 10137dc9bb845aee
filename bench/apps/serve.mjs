// Serves one of the benchmark's apps by Node's own http: `node serve.mjs APP.mjs PORT|SOCKET`.

import http from 'node:http';
import { pathToFileURL } from 'node:url';

const [file, where] = process.argv.slice(2);
const { app } = await import(pathToFileURL(file).href);
const at = /^\d+$/.test(where) ? { port: Number(where), host: '127.0.0.1' } : { path: where };
if (typeof app === 'function') {
  // The front keeps connections to the app open for as long as it likes.
  http.createServer({ keepAliveTimeout: 120_000 }, app).listen(at, ready);
} else {
  app.server.keepAliveTimeout = 120_000;
  await app.ready();
  app.listen(at, ready);
}

function ready() {
  console.log('ready');
}
