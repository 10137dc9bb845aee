// A connection's memory of its field lines: a request that repeats them means what it would mean
// to a reader without a memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestHead } from '../../src/http/exchange.ts';
import { FieldMemory } from '../../src/http/repeated-fields.ts';
import { type RequestFraming, RequestParser } from '../../src/http/request-parser.ts';
import { limits as plainLimits } from '../helpers/parse.ts';

const lines = 'Host: a.example\r\nAccept: text/html\r\nCookie: a=1; b=2\r\n\r\n';
const get = `GET /one HTTP/1.1\r\n${lines}`;

interface Seen {
  readonly heads: (RequestHead & RequestFraming)[];
  readonly failure: string | null;
  readonly repeats: boolean[];
  /** Bytes not taken of the last text. */
  readonly rest: number;
}

/** Reads the texts one after another, each in one piece. */
function read(texts: readonly string[], memory?: FieldMemory, limits = plainLimits): Seen {
  const heads: (RequestHead & RequestFraming)[] = [];
  const repeats: boolean[] = [];
  let failure: string | null = null;
  let rest = 0;
  for (const text of texts) {
    const parser = new RequestParser(limits, {
      onHead: ({ method, target, version, fields, repeats: known }, framing) => {
        heads.push({ method, target, version, fields: [...fields], ...framing });
        repeats.push(known != null);
      },
      onData: () => {},
      onEnd: () => {},
      ...(memory === undefined ? {} : { memory }),
    });
    const bytes = Buffer.from(text, 'latin1');
    rest = bytes.length - parser.push(bytes);
    failure = parser.failure && `${parser.failure.code} ${parser.failure.detail}`;
  }
  return { heads, failure, repeats, rest };
}

/** What `text` means after requests that were remembered, and that it means so without a memory. */
function readAfterRepeats(text: string): Seen {
  const memory = new FieldMemory();
  const seen = read([get, get, get, text], memory);
  const plain = read([get, get, get, text]);
  assert.deepEqual(seen.heads, plain.heads, JSON.stringify(text));
  assert.equal(seen.failure, plain.failure, JSON.stringify(text));
  assert.equal(seen.rest, plain.rest, JSON.stringify(text));
  assert.equal(seen.repeats[2], true);
  return seen;
}

test('lines that come a third time are not read again', () => {
  const { repeats, heads } = readAfterRepeats(`GET /two?x HTTP/1.1\r\n${lines}`);
  assert.deepEqual(repeats, [false, false, true, true]);
  assert.equal(heads[3]!.target, '/two?x');
});

test('another byte anywhere is seen', () => {
  for (let at = 0; at < lines.length; at++)
    for (const byte of ['x', ' ', ':', '\r', '\n', '\0'])
      if (lines[at] !== byte)
        readAfterRepeats(`GET / HTTP/1.1\r\n${lines.slice(0, at)}${byte}${lines.slice(at + 1)}`);
});

test('the same lines mean something else behind another request line', () => {
  const longer = lines.replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\nabc');
  for (const head of [
    `POST / HTTP/1.1\r\n${lines}`,
    `HEAD * HTTP/1.1\r\n${lines}`,
    `OPTIONS * HTTP/1.1\r\n${lines}`,
    `GET http://b.example/x HTTP/1.1\r\n${lines}`,
    `GET / HTTP/1.0\r\n${lines}`,
    `CONNECT b.example:1 HTTP/1.1\r\n${lines}`,
    `GET / HTTP/2.0\r\n${lines}`,
    `GET / HTTP/1.1\n${lines}`,
    `GET  / HTTP/1.1\r\n${lines}`,
    `\r\nGET / HTTP/1.1\r\n${lines}`,
    `\r\n${lines}`,
    `\n${lines}`,
    `GET / HTTP/1.1\r\n`,
    `GET / HTTP/1.1\r\n${lines.slice(0, -1)}`,
    `PUT / HTTP/1.1\r\n${longer}`,
    `GET /${'a'.repeat(9_000)} HTTP/1.1\r\n${lines}`,
  ])
    readAfterRepeats(head);
});

test('a request behind the repeated one is left for later', () => {
  const { rest } = readAfterRepeats(`GET / HTTP/1.1\r\n${lines}${get}`);
  assert.equal(rest, get.length);
});

test('under other limits lines are read again', () => {
  const memory = new FieldMemory();
  read([get, get, get], memory);
  const { failure, repeats } = read([get], memory, { ...plainLimits, fields: 2 });
  assert.match(failure ?? '', /^FIELDS_TOO_MANY/);
  assert.deepEqual(repeats, []);
});

test('requests with content, an expectation or an upgrade are not remembered', () => {
  for (const line of ['Content-Length: 0', 'Connection: upgrade\r\nUpgrade: x', 'Accept: y'])
    assert.equal(
      read(Array(4).fill(`GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`), new FieldMemory())
        .repeats[3],
      !line.includes('Upgrade'),
      line,
    );
  for (const line of ['Content-Length: 2', 'Transfer-Encoding: chunked'])
    assert.deepEqual(
      read(Array(3).fill(`POST / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`), new FieldMemory())
        .repeats,
      [false, false, false],
    );
});

test('lines of more than 2 KB, and lines of changing length, are not kept', () => {
  const long = `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${'c'.repeat(2_100)}\r\n\r\n`;
  assert.deepEqual(read([long, long, long], new FieldMemory()).repeats, [false, false, false]);
  const one = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  const two = 'GET / HTTP/1.1\r\nHost: ab\r\n\r\n';
  assert.deepEqual(read([one, two, one, two], new FieldMemory()).repeats, Array(4).fill(false));
});
