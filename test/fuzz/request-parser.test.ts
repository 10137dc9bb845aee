// Random requests to the request parser: splits change nothing, nothing throws, memory stays bounded.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { RequestParser } from '../../src/http/request-parser.ts';
import { limits, parse } from '../helpers/parse.ts';
import { mutated, request } from '../helpers/requests.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed} (FUZZ_SEED repeats it)`);

/** Small limits, so that they are met often. */
const tight = { requestLineBytes: 40, fields: 5, fieldSizeBytes: 60, bodyBytes: 30 };

const anyInput = fc
  .array(fc.oneof(request, request.chain(mutated)), { minLength: 1, maxLength: 4 })
  .map((messages) => messages.join(''));

test('however the bytes are split, events and failure are the same', () => {
  const property = fc.property(
    anyInput,
    fc.array(fc.nat(1500), { maxLength: 30 }),
    fc.boolean(),
    fc.boolean(),
    (input, cuts, isTight, permitBareLf) => {
      const own = { ...(isTight ? tight : {}), permitBareLf };
      const whole = parse(input, { limits: own });
      const inPieces = cuts.filter((cut) => cut < input.length);
      for (const some of [inPieces, Array.from(input, (_, index) => index)]) {
        const pieces = parse(input, { limits: own, cuts: some });
        assert.deepEqual(pieces.messages, whole.messages);
        assert.equal(pieces.failure, whole.failure);
        assert.equal(pieces.state, whole.state);
      }
    },
  );
  fc.assert(property, { seed, numRuns: 3000 });
});

test('an unmutated request is always accepted, with its content', () => {
  fc.assert(
    fc.property(request, (input) => {
      const { failure, messages, state } = parse(input);
      assert.equal(failure, null);
      assert.equal(state, 'done');
      assert.equal(messages.length, 1);
    }),
    { seed, numRuns: 1000 },
  );
});

test('a mutated request is a message, unfinished, or a failure; what passes is valid', () => {
  fc.assert(
    fc.property(request.chain(mutated), (input) => {
      const { failure, messages, state } = parse(input);
      assert.equal(state === 'failed', failure !== null);
      for (const { head } of messages) {
        assert.match(head.target, /^(\/[!-~]*|\*|[^/]+:[0-9]+)$/);
        assert.doesNotMatch(head.target, /#/);
        const hosts = head.fields.filter((name, at) => at % 2 === 0 && /^host$/i.test(name));
        assert.ok(hosts.length === 1 || (hosts.length === 0 && head.version === '1.0'));
        for (let at = 0; at < head.fields.length; at += 2) {
          assert.match(head.fields[at]!, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
          assert.match(
            head.fields[at + 1]!,
            /^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/,
          );
        }
      }
    }),
    { seed, numRuns: 3000 },
  );
});

test('any bytes at all do not throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const input = Buffer.from(bytes).toString('latin1');
      const { failure, state } = parse(input);
      assert.equal(state === 'failed', failure !== null);
    }),
    { seed, numRuns: 2000 },
  );
});

test('what a parser keeps of an endless line is bounded by the limit', () => {
  for (const beginning of [
    '',
    'GET / HTTP/1.1\r\nHost: a\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;',
  ]) {
    const parser = new RequestParser(limits, { onHead() {}, onData() {}, onEnd() {} });
    parser.push(Buffer.from(beginning));
    const byte = Buffer.from('x');
    let taken = 0;
    while (parser.failure === null && taken < 100_000) taken += parser.push(byte);
    assert.notEqual(parser.failure, null, 'it came to an end');
    assert.ok(taken <= 8192, `${taken} bytes were taken`);
  }
});

test('an idle parser is small: 10,000 of them fit in 5 MB', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const events = { onHead() {}, onData() {}, onEnd() {} };
  collect();
  const before = process.memoryUsage().heapUsed;
  const parsers = Array.from({ length: 10_000 }, () => {
    const parser = new RequestParser(limits, events);
    parser.push(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    parser.next();
    return parser;
  });
  collect();
  const each = (process.memoryUsage().heapUsed - before) / parsers.length;
  assert.ok(each < 500, `${each} bytes each`);
});
