// serve-static alone, as a Node app would have it: node serve-static.mjs DIR PORT

import { createServer } from 'node:http';
import serveStatic from 'serve-static';

const [dir, port] = process.argv.slice(2);
const serve = serveStatic(dir);

createServer((request, response) => {
  serve(request, response, () => {
    response.statusCode = 404;
    response.end();
  });
}).listen(Number(port), '127.0.0.1');
