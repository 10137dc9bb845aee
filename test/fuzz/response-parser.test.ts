// Random responses of upstreams to the response parser: splits change nothing, nothing throws, what passes is valid,
// and no response takes a byte of the next.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fields } from '../../src/http/exchange.ts';
import { fieldNameValid, fieldValueValid } from '../../src/http/fields.ts';
import {
  type ReceivedHead,
  ResponseParser,
  responseLimits,
} from '../../src/http/response-parser.ts';
import { mutated } from '../helpers/requests.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed} (FUZZ_SEED repeats it)`);

const tight = {
  requestLineBytes: 40,
  fields: 6,
  fieldSizeBytes: 60,
  bodyBytes: 0,
  permitBareLf: false,
};

interface Told {
  readonly informs: (number | Fields)[];
  head: ReceivedHead | null;
  content: string;
  trailers: Fields | null;
  failure: string | null;
  state: string;
  /** Bytes behind the response. */
  left: number;
}

function parse(
  input: string,
  { method = 'GET', cuts = [] as readonly number[], limits = responseLimits, ends = true } = {},
): Told {
  const told: Told = {
    ...{ informs: [], head: null, content: '', trailers: null, failure: null, state: '', left: 0 },
  };
  const parser = new ResponseParser(
    {
      onInform: (status, fields) => told.informs.push(status, fields),
      onHead: (head) => {
        assert.equal(told.head, null, 'a second head');
        told.head = head;
      },
      onData: (chunk) => {
        assert.equal(told.trailers, null, 'content behind the end');
        told.content += chunk.toString('latin1');
      },
      onEnd: (trailers) => {
        assert.equal(told.trailers, null, 'a second end');
        told.trailers = trailers;
      },
    },
    limits,
  );
  parser.expect(method);
  const bytes = Buffer.from(input, 'latin1');
  const at = [...new Set([0, ...cuts, bytes.length])].sort((a, b) => a - b);
  let taken = 0;
  for (let index = 0; index + 1 < at.length; index++) {
    const piece = Buffer.from(bytes.subarray(at[index], at[index + 1]));
    const done = parser.push(piece);
    taken += done;
    if (parser.failure !== null || done < piece.length) break;
  }
  if (ends && parser.failure === null) parser.endOfInput();
  told.failure =
    parser.failure === null ? null : `${parser.failure.code}: ${parser.failure.detail}`;
  told.state = parser.state;
  told.left = parser.failure === null ? bytes.length - taken : 0;
  return told;
}

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const value = fc.stringMatching(/^[ -~\x80-\xff]{0,20}$/).map((text) => text.trim());
const framing = /^(content-length|transfer-encoding|connection|keep-alive|upgrade)$/i;
const line = fc
  .tuple(token, value)
  .filter(([name]) => !framing.test(name))
  .map(([name, text]) => `${name}: ${text}\r\n`);
const lines = fc.array(line, { maxLength: 4 }).map((all) => all.join(''));
const content = fc
  .stringMatching(/^[\s\S]{0,40}$/)
  .map((text) => text.replace(/[^\x00-\xff]/g, '?'));

function chunked(pieces: readonly string[], trailers: string): string {
  const full = pieces.filter((piece) => piece !== '');
  const chunks = full.map((piece) => `${piece.length.toString(16)};a="b"\r\n${piece}\r\n`).join('');
  return `${chunks}0\r\n${trailers}\r\n`;
}

const inform = fc
  .tuple(fc.constantFrom(100, 102, 103), lines)
  .map(([status, fields]) => `HTTP/1.1 ${status} Wait\r\n${fields}\r\n`);
/** Each with an end of its own. */
const response = fc
  .tuple(
    fc.array(inform, { maxLength: 2 }),
    fc.constantFrom(200, 201, 301, 404, 500, 999),
    lines,
    fc.oneof(
      content.map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`),
      fc
        .tuple(fc.array(content, { maxLength: 4 }), lines)
        .map(
          ([pieces, trailers]) => `Transfer-Encoding: chunked\r\n\r\n${chunked(pieces, trailers)}`,
        ),
    ),
  )
  .map(
    ([informs, status, fields, rest]) =>
      `${informs.join('')}HTTP/1.1 ${status} Ok\r\n${fields}${rest}`,
  );

test('however the bytes are split, what is told is the same', () => {
  fc.assert(
    fc.property(
      fc.oneof(response, response.chain(mutated)),
      fc.array(fc.nat(800), { maxLength: 20 }),
      fc.boolean(),
      fc.constantFrom('GET', 'HEAD'),
      (input, cuts, isTight, method) => {
        const limits = isTight ? tight : responseLimits;
        const whole = parse(input, { limits, method });
        const inPieces = cuts.filter((cut) => cut < input.length);
        for (const some of [inPieces, Array.from(input, (_, index) => index)])
          assert.deepEqual(parse(input, { limits, method, cuts: some }), whole);
      },
    ),
    { seed, numRuns: 3000 },
  );
});

test('a response is accepted whole, and not one byte of the next is taken', () => {
  fc.assert(
    fc.property(response, content, (input, next) => {
      const told = parse(input + next, { ends: false });
      assert.equal(told.failure, null);
      assert.equal(told.state, 'done');
      assert.equal(told.left, next.length);
      assert.ok(told.head!.keepAlive);
    }),
    { seed, numRuns: 1000 },
  );
});

test('a mutated response is a response, unfinished, or the fault of the upstream', () => {
  fc.assert(
    fc.property(response.chain(mutated), (input) => {
      const { failure, state, head, trailers, informs } = parse(input);
      assert.equal(state === 'failed', failure !== null);
      if (failure !== null) assert.match(failure, /^RESPONSE_INVALID: [ -~]+$/);
      const all = [
        head?.fields ?? [],
        trailers ?? [],
        ...informs.filter((it) => typeof it !== 'number'),
      ];
      for (const fields of all)
        for (let at = 0; at < fields.length; at += 2)
          assert.ok(fieldNameValid(fields[at]!) && fieldValueValid(fields[at + 1]!));
      if (head === null) return;
      assert.ok(head.status >= 200 && head.status <= 999);
      assert.ok(fieldValueValid(head.reason));
    }),
    { seed, numRuns: 3000 },
  );
});
