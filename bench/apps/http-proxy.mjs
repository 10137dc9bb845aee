// http-proxy in front of Node, as its README has it but with a keep-alive agent:
// `node http-proxy.mjs PORT SOCKET...`.

import http from 'node:http';
import httpProxy from 'http-proxy';

const [port, ...sockets] = process.argv.slice(2);
const agents = sockets.map((socketPath) => ({
  target: { socketPath, host: '127.0.0.1', protocol: 'http:' },
  agent: new http.Agent({ keepAlive: true, maxFreeSockets: 64 }),
}));
const proxy = httpProxy.createProxyServer({ xfwd: true });
proxy.on('error', (_error, _req, res) => res.destroy());
let turn = 0;
http
  .createServer((req, res) => {
    turn = (turn + 1) % agents.length;
    proxy.web(req, res, agents[turn]);
  })
  .listen(Number(port), '127.0.0.1', () => console.log('ready'));
