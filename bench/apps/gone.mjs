// The app of the rows about clients that leave: in a pool, or `node gone.mjs PORT`. It tells by datagrams when it has
// a request ("+ID") and when it hears that its client is gone ("-ID").

import dgram from 'node:dgram';
import http from 'node:http';

const [where = '8000'] = process.argv.slice(2);
const words = dgram.createSocket('udp4').unref();
const tell = (word) => words.send(word, Number(process.env.BENCH_TELL), '127.0.0.1');

const server = http.createServer((req, res) => {
  const [, kind, id] = req.url.split('/');
  if (kind === '') {
    res.end('Hello, world!\n');
    return;
  }
  if (kind === 'events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write(': welcome\n\n');
  }
  tell(`+${id}`);
  res.once('close', () => tell(`-${id}`));
});
server.listen(Number(where), '127.0.0.1');
