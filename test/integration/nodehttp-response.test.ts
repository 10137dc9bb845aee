// The response: head, content, trailers and events, through node:http and through the adapter.

import type http from 'node:http';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { conforms, thrown } from '../helpers/nodehttp.ts';

conforms('end(string)', {
  handler: (_request, response) => response.end('hello'),
});

conforms('end(buffer)', {
  handler: (_request, response) => response.end(Buffer.from([0, 255, 10, 13])),
});

conforms('end(Uint8Array)', {
  handler: (_request, response) => response.end(Uint8Array.of(1, 2, 3)),
});

conforms('end() alone', {
  handler: (_request, response) => response.end(),
});

conforms('end("") has length 0', {
  handler: (_request, response) => response.end(''),
});

conforms('end with encoding', {
  handler: (_request, response) => response.end('w6TDtg==', 'base64'),
});

conforms('several writes', {
  handler(_request, response) {
    response.write('a');
    response.write(Buffer.from('b'));
    response.write('ä', 'latin1');
    response.write('00ff', 'hex');
    response.write('u', 'utf16le');
    response.end('z');
  },
});

conforms('writes over several turns', {
  async handler(_request, response) {
    for (const piece of ['one ', 'two ', 'three']) {
      response.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  },
});

conforms('an empty write sends nothing but the head', {
  handler(_request, response, { note }) {
    note(response.write(''), response.headersSent);
    response.end('x');
  },
});

conforms('callbacks of write and end', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    response.write('a', () => note('written a'));
    response.write('b', 'utf8', () => note('written b'));
    response.end('c', () => note('ended'));
  },
});

conforms('end(callback)', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    response.end(() => note('ended'));
  },
});

conforms('end(content, encoding, callback)', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    response.end('ff', 'hex', () => note('ended'));
  },
});

conforms('setHeader with string, number and array', {
  handler(_request, response) {
    response.setHeader('X-Text', 'a');
    response.setHeader('x-Number', 7);
    response.setHeader('X-List', ['a', 'b']);
    response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    response.setHeader('X-Text', 'later wins');
    response.end();
  },
});

conforms('an array of cookies is joined, an array of one is not', {
  handler(_request, response) {
    response.setHeader('Cookie', ['a=1', 'b=2']);
    response.setHeader('X-One', ['only']);
    response.setHeader('X-None', []);
    response.end();
  },
});

conforms('a field with bytes beyond ASCII, before a string', {
  differs: { parts: ['fields'], why: 'LATIN1' },
  handler(_request, response) {
    response.setHeader('X-A', 'caf\xe9');
    response.end('x');
  },
});

conforms('a field with bytes beyond ASCII, before bytes', {
  handler(_request, response) {
    response.setHeader('X-A', 'caf\xe9');
    response.end(Buffer.from('x'));
  },
});

conforms('Content-Disposition with bytes beyond ASCII', {
  differs: { parts: ['fields'], why: 'DISPOSITION' },
  handler(_request, response) {
    response.setHeader('Content-Disposition', 'attachment; filename="\xc3\xa9"');
    response.end(Buffer.from('x'));
  },
});

conforms('appendHeader', {
  handler(_request, response, { note }) {
    response.appendHeader('X-A', '1').appendHeader('x-a', '2').appendHeader('X-A', ['3', '4']);
    note(response.getHeader('x-a'));
    response.end();
  },
});

conforms('setHeaders with Headers and Map', {
  handler(_request, response) {
    const headers = new Headers({ 'x-a': '1' });
    headers.append('set-cookie', 'a=1');
    headers.append('set-cookie', 'b=2');
    response.setHeaders(headers);
    response.setHeaders(new Map([['X-B', '2']]));
    response.end();
  },
});

conforms('reading fields back', {
  handler(_request, response, { note }) {
    response.setHeader('X-A', 1);
    response.setHeader('X-B', ['2', '3']);
    note(response.getHeader('X-A'), response.getHeader('none'), response.getHeaders());
    note(
      response.getHeaderNames(),
      (response as never as { getRawHeaderNames(): string[] }).getRawHeaderNames(),
      response.hasHeader('x-b'),
    );
    response.removeHeader('X-A');
    note(response.getHeaderNames());
    response.end();
    note(response.getHeaders(), response.headersSent);
  },
});

conforms('writeHead with an object', {
  handler(_request, response) {
    response.writeHead(201, { 'X-A': '1', 'Set-Cookie': ['a', 'b'], 'X-N': 5 }).end('made');
  },
});

conforms('writeHead with a flat list', {
  handler(_request, response) {
    response.writeHead(200, ['X-A', '1', 'Set-Cookie', 'a', 'Set-Cookie', 'b']).end('x');
  },
});

conforms('writeHead with a list of pairs', {
  handler(_request, response) {
    const pairs = [
      ['X-A', '1'],
      ['X-A', '2'],
    ];
    response.writeHead(200, pairs as never).end('x');
  },
});

conforms('writeHead over fields that were set', {
  handler(_request, response) {
    response.setHeader('X-A', 'old');
    response.setHeader('X-B', 'kept');
    response.writeHead(200, { 'x-a': 'new', 'X-C': 'added' }).end('x');
  },
});

conforms('writeHead with a list over fields that were set', {
  handler(_request, response) {
    response.setHeader('X-A', 'old');
    response.writeHead(200, ['X-B', '1', 'X-C', '2']).end('x');
  },
});

conforms('writeHead with a reason', {
  handler: (_request, response) => response.writeHead(200, 'Fine', { 'X-A': '1' }).end(),
});

conforms('statusCode and statusMessage', {
  handler(_request, response, { note }) {
    note(response.statusCode, response.statusMessage);
    response.statusCode = 418;
    response.statusMessage = 'Pot';
    response.end('short');
    note(response.statusCode, response.statusMessage);
  },
});

conforms('statusMessage is filled in when the head is written', {
  handler(_request, response, { note }) {
    response.statusCode = 404;
    response.end();
    note(response.statusMessage);
  },
});

conforms('a status without a phrase', {
  handler: (_request, response) => response.writeHead(599).end('x'),
});

conforms('head methods throw once the head is sent', {
  handler(_request, response, { note }) {
    response.write('x');
    note(thrown(() => response.setHeader('a', 'b')));
    note(thrown(() => response.appendHeader('a', 'b')));
    note(thrown(() => response.removeHeader('a')));
    note(thrown(() => response.writeHead(200)));
    note(thrown(() => response.setHeaders(new Map())));
    response.end();
  },
});

conforms('invalid fields and statuses throw', {
  handler(_request, response, { note }) {
    note(thrown(() => response.setHeader('bad name', 'x')));
    note(thrown(() => response.setHeader('a', 'b\r\nc: d')));
    note(thrown(() => response.setHeader('a', undefined as never)));
    note(thrown(() => response.setHeader('a', 'Ā')));
    note(thrown(() => response.writeHead(200, { 'bad name': 'x' })));
    note(thrown(() => response.writeHead(200, { a: 'b\nc' })));
    note(thrown(() => response.writeHead(200, { a: ['ok', 'b\nc'] })));
    note(thrown(() => response.writeHead(200, { a: undefined })));
    note(thrown(() => response.writeHead(200, ['a'] as never)));
    note(thrown(() => response.writeHead(99)));
    note(thrown(() => response.writeHead(1000)));
    note(thrown(() => response.writeHead(200, 'bad\nreason')));
    note(response.headersSent);
    response.statusMessage = 'OK';
    response.end('still fine');
  },
});

conforms('write() of what cannot be written throws', {
  handler(_request, response, { note }) {
    note(thrown(() => response.write(null as never)));
    note(thrown(() => response.write(5 as never)));
    note(thrown(() => response.end({} as never)));
    response.end('x');
  },
});

conforms('write and end after end', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    response.end('x');
    note(response.write('y', (error) => note('write callback', error)));
    response.end((error?: Error) => note('second end', error));
    response.end('z');
  },
});

conforms('end(callback) after finish', {
  handler(_request, response, { note }) {
    response.end('x');
    response.on('finish', () => response.end((error?: Error) => note('late', error)));
  },
});

conforms('HEAD throws content away', {
  request: { method: 'HEAD' },
  handler(request, response, { note, watch }) {
    watch(request, response);
    response.setHeader('X-A', '1');
    note(response.write('x', () => note('written')));
    response.end('content');
  },
});

conforms('HEAD with a Content-Length of the app', {
  request: { method: 'HEAD' },
  handler(_request, response) {
    response.setHeader('Content-Length', 1234);
    response.end();
  },
});

conforms('204 throws content away', {
  handler(request, response, { watch }) {
    watch(request, response);
    response.statusCode = 204;
    response.write('a');
    response.end('content');
  },
});

conforms('304 keeps its fields', {
  handler(_request, response) {
    response.writeHead(304, { ETag: '"a"' });
    response.end('content');
  },
});

conforms('rejectNonStandardBodyWrites', {
  request: { method: 'HEAD' },
  serverOptions: { rejectNonStandardBodyWrites: true },
  handler(_request, response, { note }) {
    note(thrown(() => response.write('x')));
    response.end();
  },
});

conforms('a right Content-Length of the app', {
  handler(_request, response) {
    response.setHeader('Content-Length', '10');
    response.write('01234');
    response.end('56789');
  },
});

conforms('strictContentLength: too much', {
  handler(_request, response, { note }) {
    response.strictContentLength = true;
    response.setHeader('Content-Length', 3);
    response.flushHeaders();
    note(thrown(() => response.write('four')));
    response.write('ab');
    note(thrown(() => response.write('cd')));
    response.end('c');
  },
});

conforms('strictContentLength: too little', {
  handler(_request, response, { note }) {
    response.strictContentLength = true;
    response.setHeader('Content-Length', 3);
    response.write('ab');
    note(thrown(() => response.end()));
    response.write('c');
    response.end();
  },
});

conforms('a removed Content-Length does not come back', {
  handler(_request, response) {
    response.setHeader('Content-Length', 3);
    response.removeHeader('Content-Length');
    response.end('abc');
  },
});

conforms('Transfer-Encoding set by the app', {
  handler(_request, response) {
    response.setHeader('Transfer-Encoding', 'chunked');
    response.end('abc');
  },
});

conforms('Connection: close set by the app', {
  handler(_request, response) {
    response.setHeader('Connection', 'close');
    response.end('abc');
  },
});

conforms('flushHeaders', {
  handler(_request, response, { note }) {
    response.setHeader('X-A', '1');
    response.flushHeaders();
    note(response.headersSent);
    setImmediate(() => response.end('later'));
  },
});

conforms('flushHeaders, then end() with nothing', {
  handler(request, response, { watch }) {
    watch(request, response);
    response.flushHeaders();
    setImmediate(() => response.end());
  },
});

conforms('the life of the properties', {
  handler(_request, response, { note }) {
    const state = () => ({
      headersSent: response.headersSent,
      finished: response.finished,
      writable: response.writable,
      writableEnded: response.writableEnded,
      writableNeedDrain: response.writableNeedDrain,
      writableCorked: response.writableCorked,
      writableObjectMode: response.writableObjectMode,
      writableHighWaterMark: response.writableHighWaterMark,
      destroyed: response.destroyed,
      closed: response.closed,
      errored: response.errored ?? null,
    });
    note(state());
    response.on('prefinish', () => note('prefinish', state()));
    response.on('finish', () => note('finish', state(), response.writableFinished));
    response.on('close', () => note('close', state(), response.writableFinished));
    response.writeHead(200);
    note(state());
    response.end('x');
    note(state());
  },
});

conforms('cork and uncork', {
  handler(_request, response, { note }) {
    response.cork();
    note(response.writableCorked);
    response.write('a');
    response.write('b');
    response.uncork();
    note(response.writableCorked);
    response.end('c');
  },
});

conforms('cork without uncork', {
  differs: { parts: ['content'], why: 'CORK', on: [22, 24] },
  handler(request, response, { watch }) {
    watch(request, response);
    response.cork();
    response.write('a');
    response.end('b');
  },
});

conforms('trailers', {
  handler(_request, response) {
    response.setHeader('Trailer', 'X-Sum, X-List');
    response.write('abc');
    response.addTrailers({ 'X-Sum': '6', 'X-List': ['a', 'b'] as never });
    response.end();
  },
});

conforms('trailers as a list of pairs, with end(content)', {
  handler(_request, response) {
    response.setHeader('Trailer', 'X-Sum');
    response.addTrailers([['X-Sum', '6: six']]);
    response.end('abc');
  },
});

conforms('trailers with a Content-Length throw', {
  handler(_request, response, { note }) {
    response.setHeader('Trailer', 'X-Sum');
    response.setHeader('Content-Length', '3');
    note(thrown(() => response.write('abc')));
    response.removeHeader('Trailer');
    response.end('abc');
  },
});

conforms('bad trailers throw', {
  handler(_request, response, { note }) {
    note(thrown(() => response.addTrailers({ 'bad name': 'x' })));
    note(thrown(() => response.addTrailers({ a: 'x\r\ny' })));
    response.end('abc');
  },
});

conforms('sendDate off', {
  handler(_request, response) {
    response.sendDate = false;
    response.end('x');
  },
});

conforms('103 Early Hints', {
  handler(_request, response) {
    response.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.js>; rel=preload'] });
    response.writeEarlyHints({ link: '</c.css>; rel=preload; as=style', 'x-trace': 'id' });
    setImmediate(() => response.end('x'));
  },
});

conforms('103 with a callback, and one with nothing to hint', {
  handler(_request, response, { note }) {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => {
      note('hinted');
      response.end('x');
    });
    response.writeEarlyHints({ link: [] });
    note(thrown(() => response.writeEarlyHints({ link: 'nonsense' })));
  },
});

conforms('102 Processing', {
  handler(_request, response) {
    response.writeProcessing();
    setImmediate(() => response.end('x'));
  },
});

conforms('methods patched by a library are called', {
  handler(_request, response, { note }) {
    for (const name of ['writeHead', 'write', 'end'] as const) {
      const original = response[name] as (...args: unknown[]) => unknown;
      response[name] = function (this: http.ServerResponse, ...args: unknown[]) {
        note(name, typeof args[0]);
        if (name === 'writeHead') this.setHeader('X-Patched', '1');
        return original.apply(this, args);
      } as never;
    }
    response.write('a');
    response.end('b');
  },
});

conforms('pipe into the response', {
  handler(request, response, { watch }) {
    watch(request, response);
    Readable.from(['a', 'b', 'c']).pipe(response);
  },
});

conforms('pipeline into the response', {
  async handler(request, response, { note, watch }) {
    watch(request, response);
    await pipeline(Readable.from(['a', 'b', 'c']), response);
    note('pipeline over');
  },
});

conforms('pipeline from a stream that fails cuts the response', {
  async handler(request, response, { note, watch }) {
    watch(request, response);
    async function* failing() {
      yield 'some';
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('no more');
    }
    await pipeline(failing, response).catch((error) => note('pipeline', error));
  },
});

conforms('stream.finished of the response', {
  async handler(_request, response, { note }) {
    void finished(response).then(() => note('finished'));
    response.end('x');
  },
});

conforms('a large response is whole, and drains', {
  handler(_request, response, { note }) {
    const chunk = 'x'.repeat(100_000);
    let left = 40;
    let waited = false;
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (!response.write(chunk)) {
          waited = true;
          if (!response.writableNeedDrain) note('should need drain');
          response.once('drain', more);
          return;
        }
      }
      response.end(() => note('ended, waited:', waited, response.writableNeedDrain));
    };
    more();
  },
});

conforms('piping out of the response is an error', {
  handler(request, response, { watch }) {
    watch(request, response);
    response.pipe(response);
    response.end('x');
  },
});
