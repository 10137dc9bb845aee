// How exchanges end before their time, timeouts, and the socket: through node:http and the adapter.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type http from 'node:http';
import { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { serveNodeHttp, toNodeHttp } from '../../src/nodehttp/adapter.ts';
import { fakeExchange } from '../helpers/exchange.ts';
import { codeOf, conforms, turns } from '../helpers/nodehttp.ts';

conforms('the client leaves before the answer', {
  handler(request, response, { note, watch, client }) {
    watch(request, response);
    response.on('close', () => {
      note(request.aborted, request.destroyed, response.destroyed, response.writableFinished);
      note(response.write('late', (error) => note('write', error)));
      response.end('later', () => note('never'));
    });
    client.leave();
  },
});

conforms('the client leaves, and nobody listens for errors', {
  handler(request, response, { watch, client }) {
    watch(request, response, ['request aborted', 'request close', 'response close']);
    client.leave();
  },
});

conforms('the client leaves in the midst of its content', {
  request: { method: 'POST', content: 'later' },
  async handler(request, response, { note, watch, client }) {
    watch(request, response, ['request aborted', 'request close', 'response close']);
    client.send('some');
    try {
      for await (const piece of request) {
        note(String(piece));
        client.leave();
      }
    } catch (error) {
      note('iteration', error, request.complete);
    }
  },
});

conforms('the client leaves while the response goes out', {
  request: { leavesOnContent: true },
  handler(request, response, { note, watch }) {
    watch(request, response, ['request aborted', 'response finish', 'response close']);
    response.on('close', () => note(response.headersSent, response.writableEnded));
    response.write('some');
  },
});

conforms('res.destroy() in the midst of the content', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    response.write('some', () => {
      response.destroy();
      note(response.destroyed, response.write('x'));
    });
  },
});

conforms('res.destroy() with a Content-Length', {
  handler(_request, response) {
    response.setHeader('Content-Length', 10);
    response.write('some', () => response.destroy());
  },
});

conforms('res.destroy(error) before the head', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    request.socket.on('error', (error) => note('socket error', error));
    request.socket.on('close', (hadError) => note('socket close', hadError));
    response.destroy(new Error('broken'));
    note(response.errored?.message, response.destroyed);
  },
});

conforms('req.destroy() before the head', {
  request: { method: 'POST', content: 'later' },
  handler(request, response, { note, watch }) {
    watch(request, response);
    request.destroy();
    note(request.destroyed, request.aborted);
  },
});

conforms('req.destroy(error) in the midst of the content', {
  request: { method: 'POST', content: 'later' },
  handler(request, response, { watch, client }) {
    watch(request, response);
    client.send('some');
    request.once('data', () => request.destroy(new Error('enough')));
  },
});

conforms('leaving an iteration early destroys the request alone', {
  request: { method: 'POST', content: 'later' },
  async handler(request, response, { note, watch, client }) {
    watch(request, response, ['request error', 'request close', 'response close']);
    client.send('some');
    for await (const piece of request) {
      note(String(piece));
      break;
    }
    note(request.destroyed, response.destroyed);
    client.end();
    response.end('enough');
  },
});

conforms('socket.destroy()', {
  handler(request, response, { watch }) {
    watch(request, response);
    request.socket.destroy();
  },
});

conforms('stream.finished of request, response and socket when the client leaves', {
  request: { method: 'POST', content: 'later' },
  async handler(request, response, { note, client }) {
    const told = (name: string) => (error: unknown) => note(name, codeOf(error));
    void finished(response).catch(told('response'));
    void finished(request).catch(told('request'));
    await turns(1);
    client.leave();
  },
});

conforms('the socket is let go when the response is out', {
  handler(request, response, { note }) {
    note(response.socket === request.socket, response.socket !== null);
    response.on('finish', () => note('finish', response.socket, request.socket !== null));
    response.on('close', () => note('close', response.socket));
    response.end('x');
  },
});

conforms('what the socket says', {
  handler(request, response, { note }) {
    const { socket } = request;
    note(socket.remoteAddress, socket.remoteFamily, typeof socket.remotePort);
    note(socket.localAddress, typeof socket.localPort, Object.keys(socket.address()).sort());
    note(socket.readable, socket.writable, socket.destroyed, socket.connecting, socket.pending);
    note(socket.readyState, socket instanceof Duplex, (socket as never as Facts).encrypted);
    note(typeof (socket as never as Facts).getPeerCertificate, socket.writableNeedDrain);
    note(socket.setKeepAlive() === socket, socket.setNoDelay(true) === socket);
    note(socket.ref() === socket, socket.unref() === socket, socket.setTimeout(0) === socket);
    note(socket.timeout);
    response.end();
  },
});
type Facts = Record<string, unknown>;

conforms("'timeout' of the response", {
  handler(request, response, { note }) {
    response.setTimeout(20);
    response.on('timeout', (socket) => {
      note('timeout', socket === request.socket);
      response.end('late');
    });
  },
});

conforms("'timeout' of the request, which is still coming", {
  request: { method: 'POST', content: 'later' },
  handler(request, response, { note, client }) {
    request.setTimeout(20, () => {
      note('timeout', request.socket.timeout);
      request.setTimeout(0);
      response.end('late');
      client.end();
    });
  },
});

conforms("'timeout' is told to request, response and server alike", {
  request: { method: 'POST', content: 'later' },
  prepare: (server, { note }) => void server.setTimeout(20, () => note('server')),
  handler(request, response, { note, client }) {
    request.on('timeout', () => note('request'));
    request.socket.on('timeout', () => note('socket'));
    response.on('timeout', () => {
      note('response');
      client.end();
      response.end('late');
    });
  },
});

conforms("a 'timeout' listener of the socket alone keeps nothing alive", {
  handler(request, _response, { note }) {
    request.socket.setTimeout(20, () => note('socket timeout', request.socket.destroyed));
  },
});

conforms("'timeout' of the server", {
  prepare(server, { note }) {
    server.setTimeout(20, (socket) => {
      note('timeout');
      socket.destroy();
    });
  },
  handler: (request, response, { watch }) => watch(request, response),
});

conforms('a timeout nobody listens to ends the exchange', {
  prepare: (server) => void server.setTimeout(20),
  handler: (request, response, { watch }) => watch(request, response),
});

conforms("'timeout' of the socket", {
  handler(request, response, { note }) {
    request.socket.setTimeout(20);
    request.socket.on('timeout', () => note('socket timeout'));
    response.on('timeout', () => response.end('late'));
  },
});

conforms('setTimeout checks its argument', {
  handler(request, response, { note }) {
    for (const bad of ['x', -1, Number.NaN, {}])
      try {
        request.socket.setTimeout(bad as never);
        note('taken');
      } catch (error) {
        note(error);
      }
    request.socket.setTimeout(0);
    response.end();
  },
});

conforms('req.signal, which Node has from 24 on', {
  handler(request, response, { note, client }) {
    const { signal } = request as never as { signal?: AbortSignal };
    note(signal?.aborted);
    signal?.addEventListener('abort', () => note('aborted'));
    response.on('close', () => note('closed'));
    client.leave();
  },
});

conforms('req.signal stays quiet when all went well', {
  handler(request, response, { note }) {
    const { signal } = request as never as { signal?: AbortSignal };
    signal?.addEventListener('abort', () => note('aborted'));
    response.on('close', () => note(signal?.aborted));
    response.end('x');
  },
});

// ── The adapter alone ──

test('a destroyed response is a failure of the worker, before and after its head', async () => {
  for (const begun of [false, true]) {
    const exchange = fakeExchange();
    const { response } = toNodeHttp(exchange);
    if (begun) response.write('x');
    const error = new Error('broken');
    response.destroy(error);
    await exchange.over;
    assert.equal(exchange.failure?.code, 'WORKER_RESET');
    assert.equal(exchange.failure?.cause, error);
  }
});

test('a socket destroyed after end() does not take the response back', async () => {
  const exchange = fakeExchange();
  const { request, response } = toNodeHttp(exchange);
  response.end('whole');
  request.socket.destroy();
  const seen = await exchange.over;
  assert.equal(seen.whole, true);
  assert.equal(seen.content.toString(), 'whole');
});

test('what a listener throws reaches the process, not the exchange', async (context) => {
  const errors: unknown[] = [];
  const heard = new Promise<void>((resolve) => {
    const handlers = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => {
      errors.push(error.message);
      for (const handler of handlers) process.on('uncaughtException', handler);
      resolve();
    });
  });
  const exchange = fakeExchange();
  serveNodeHttp(exchange, () => {
    throw new Error('the app failed');
  });
  await heard;
  assert.deepEqual(errors, ['the app failed']);
  exchange.clientLeaves();
  context.diagnostic('the exchange was left open for the process to decide');
});

test("the socket tells who the client is, after the edge's trust", () => {
  const exchange = fakeExchange({
    client: { address: '2001:db8::1', port: 4242, peerAddress: '10.0.0.1' },
  });
  const { request } = toNodeHttp(exchange);
  assert.equal(request.socket.remoteAddress, '2001:db8::1');
  assert.equal(request.socket.remotePort, 4242);
  assert.equal(request.socket.remoteFamily, 'IPv6');
});

test('over a Unix socket there is no address', () => {
  const exchange = fakeExchange({
    client: { address: '', port: 0, localAddress: '', localPort: 0 },
  });
  const { socket } = toNodeHttp(exchange).request;
  assert.equal(socket.remoteAddress, undefined);
  assert.equal(socket.remotePort, undefined);
  assert.deepEqual(socket.address(), {});
});

test('over TLS the socket tells what a TLSSocket does', () => {
  const subject = 'CN=J\\C3\\BCrgen\\, me,OU=b,OU=a+L=here,O=us';
  const tls = {
    protocol: 'TLSv1.2',
    cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256',
    serverName: 'example.org',
    clientCertificate: { subject, fingerprint256: 'AB:CD', verified: true },
  };
  const exchange = fakeExchange({ client: { scheme: 'https', tls } });
  const socket = toNodeHttp(exchange).request.socket as never as Record<string, unknown> & {
    getProtocol(): string;
    getCipher(): object;
    getPeerCertificate(): { subject: Facts; fingerprint256: string };
  };
  assert.equal(socket.encrypted, true);
  assert.equal(socket.authorized, true);
  assert.equal(socket.authorizationError, null);
  assert.equal(socket.servername, 'example.org');
  assert.equal(socket.getProtocol(), 'TLSv1.2');
  assert.deepEqual(socket.getCipher(), {
    name: 'ECDHE-ECDSA-AES128-GCM-SHA256',
    standardName: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    version: 'TLSv1.2',
  });
  const certificate = socket.getPeerCertificate();
  assert.equal(certificate.fingerprint256, 'AB:CD');
  assert.deepEqual(
    { ...certificate.subject },
    { O: 'us', L: 'here', OU: ['a', 'b'], CN: 'Jürgen, me' },
  );
});

test('bytes written to the socket past the response end the exchange', async () => {
  const exchange = fakeExchange();
  const { response } = toNodeHttp(exchange);
  response.socket?.write('HTTP/1.1 200 OK\r\n\r\nraw');
  await exchange.over;
  assert.equal(exchange.failure?.code, 'WORKER_RESET');
});

test('103 as text, as some plugins write it, is understood', async () => {
  const exchange = fakeExchange();
  const { response } = toNodeHttp(exchange);
  response.socket?.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
  response.end('x');
  const seen = await exchange.over;
  assert.deepEqual(seen.informed, [{ status: 103, fields: ['Link', '</a.css>; rel=preload'] }]);
  assert.equal(seen.whole, true);
});

test('a field of writeEarlyHints cannot add another line', async () => {
  const exchange = fakeExchange();
  const { response } = toNodeHttp(exchange);
  try {
    response.writeEarlyHints({
      link: '</a.css>; rel=preload',
      'x-bad': 'a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    });
  } catch {
    // Node 26 checks it by itself.
  }
  response.end();
  const seen = await exchange.over;
  assert.deepEqual(seen.informed, []);
});

test('writeHead(101) is refused: an exchange cannot hand the connection over', async () => {
  const exchange = fakeExchange();
  const { response } = toNodeHttp(exchange);
  response.writeHead(101, { Upgrade: 'websocket' });
  response.end();
  await exchange.over;
  assert.equal(exchange.failure?.code, 'RESPONSE_INVALID');
});

test("'drain' comes when the exchange has room, and write callbacks wait for it", async () => {
  const exchange = fakeExchange({ responseWindow: 10, reads: false });
  const { response } = toNodeHttp(exchange);
  const events: string[] = [];
  response.on('drain', () => events.push('drain'));
  assert.equal(response.write('12345'), true);
  assert.equal(
    response.write('67890!', () => events.push('written')),
    false,
  );
  assert.equal(response.writableNeedDrain, true);
  await turns(3);
  assert.deepEqual(events, []);
  exchange.drain();
  assert.deepEqual(events, ['written', 'drain']);
  assert.equal(response.writableNeedDrain, false);
});

test("'finish' waits until the exchange has taken all", async () => {
  const exchange = fakeExchange({ responseWindow: 1, reads: false });
  const { response } = toNodeHttp(exchange);
  const events: string[] = [];
  for (const event of ['finish', 'close']) response.on(event, () => events.push(event));
  response.end('more than one byte');
  await turns(3);
  assert.deepEqual(events, []);
  assert.equal(response.writableFinished, false);
  exchange.drain();
  await once(response, 'close');
  assert.deepEqual(events, ['finish', 'close']);
});

test("a client that leaves with the response still on its way: 'close' without 'finish'", async () => {
  const exchange = fakeExchange({ responseWindow: 1, reads: false });
  const { response } = toNodeHttp(exchange);
  const events: string[] = [];
  for (const event of ['finish', 'close']) response.on(event, () => events.push(event));
  response.end('more than one byte');
  await turns(3);
  exchange.clientLeaves();
  await turns(3);
  assert.deepEqual(events, ['close']);
  assert.equal(response.writableFinished, false);
});

test('a reader that goes on after the response hears that the client left', async () => {
  const exchange = fakeExchange({ method: 'POST', content: 'later' });
  const { request, response } = toNodeHttp(exchange);
  request.on('data', () => {});
  const heard = once(request, 'aborted');
  response.end('already');
  await once(response, 'close');
  exchange.clientLeaves();
  await heard;
});

test('a listener that throws keeps no other from hearing that the client left', async () => {
  const exchange = fakeExchange({ responseWindow: 1, reads: false });
  const { request, response } = toNodeHttp(exchange);
  const heard = new Promise<void>((resolve) => {
    const handlers = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', () => {
      for (const handler of handlers) process.on('uncaughtException', handler);
      resolve();
    });
  });
  response.write('more than one byte', () => {
    throw new Error('bad callback');
  });
  const told = Promise.all([
    once(request, 'aborted'),
    once(response, 'close'),
    once(request.socket, 'close'),
  ]);
  exchange.clientLeaves();
  await Promise.all([heard, told]);
});

test('a buffer written with a callback may be filled anew in it', async () => {
  const exchange = fakeExchange();
  const { response } = toNodeHttp(exchange);
  const written: Uint8Array[] = [];
  const { write } = exchange;
  exchange.write = (chunk) => {
    written.push(chunk);
    return write.call(exchange, chunk);
  };
  const buffer = Buffer.from('first');
  await new Promise((resolve) => response.write(buffer, resolve));
  buffer.write('other');
  assert.equal(Buffer.from(written[0]!).toString(), 'first');
});

test('diagnostics channels of node:http are served', async () => {
  const names: string[] = [];
  const start = (message: unknown) => names.push(`start ${Object.keys(message as object)}`);
  const finish = () => names.push('finish');
  subscribe('http.server.request.start', start);
  subscribe('http.server.response.finish', finish);
  const exchange = fakeExchange();
  serveNodeHttp(exchange, (_request, response) => response.end('x'));
  await exchange.over;
  unsubscribe('http.server.request.start', start);
  unsubscribe('http.server.response.finish', finish);
  assert.deepEqual(names, ['start request,response,socket,server', 'finish']);
});

test("the socket's 'close' comes when the exchange is over", async () => {
  const exchange = fakeExchange();
  const events: string[] = [];
  serveNodeHttp(exchange, (request: http.IncomingMessage, response) => {
    request.socket.on('close', (hadError) => events.push(`socket ${hadError}`));
    response.on('close', () => events.push('response'));
    response.end('x');
  });
  await exchange.over;
  await turns(2);
  assert.deepEqual(events, ['response', 'socket false']);
});

test('the objects can be inspected', () => {
  const { request, response } = toNodeHttp(fakeExchange());
  assert.match(inspect(request), /IncomingMessage/);
  assert.match(inspect(response), /ServerResponse/);
  assert.match(inspect(request.socket), /ExchangeSocket/);
});
