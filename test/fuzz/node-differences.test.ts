// Our parser and Node's on the same random requests: where the two differ must be on this list.
// docs/http-differences.md is the list in plain words; a row's `what` is a heading there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { NodeHttp, type NodeParsed } from '../helpers/node-parse.ts';
import { type Parsed, parse } from '../helpers/parse.ts';
import { mutated, request } from '../helpers/requests.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed} (FUZZ_SEED repeats it)`);

/** Some 3 s. */
const runs = Number(process.env.FUZZ_RUNS ?? 4000);

interface Difference {
  readonly what: string;
  /** Our failure, Node's refusal ("node …"), or what of the message differs ("trailers"). */
  readonly seen: RegExp;
  /** A request that shows it. */
  readonly example: string;
  /** Newest major version of Node that differs. */
  readonly nodeMax?: number;
}

const host = 'Host: a\r\n';
const chunked = `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;

/** Refused here, accepted by Node. */
const stricter: readonly Difference[] = [
  {
    what: 'More than one Host',
    seen: /^BAD_HOST: more than one/,
    example: `GET / HTTP/1.1\r\n${host}Host: b\r\n\r\n`,
  },
  {
    what: 'A Host that is no host',
    seen: /^BAD_HOST: Host is not valid/,
    example: 'GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n',
  },
  {
    what: 'An empty Host',
    seen: /^BAD_HOST: Host is empty/,
    example: 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  },
  {
    what: 'More than one Content-Type',
    seen: /^BAD_FIELD: more than one Content-Type/,
    example: `GET / HTTP/1.1\r\n${host}Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n`,
  },
  {
    what: 'Chunked content in HTTP/1.0',
    seen: /^BAD_TRANSFER_ENCODING: HTTP\/1\.0/,
    example: 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  },
  {
    what: 'A Transfer-Encoding that is not plain chunked',
    seen: /^(BAD_TRANSFER_ENCODING|UNKNOWN_TRANSFER_CODING): Transfer-Encoding is not plain/,
    example: `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  },
  { what: 'GET *', seen: /^BAD_TARGET: only OPTIONS/, example: `GET * HTTP/1.1\r\n${host}\r\n` },
  {
    what: 'HTTP/2.0 and HTTP/0.9 in a request line',
    seen: /^BAD_VERSION/,
    example: `GET / HTTP/2.0\r\n${host}\r\n`,
  },
  {
    what: 'A request line without version',
    seen: /^BAD_REQUEST_LINE: the request line ends before/,
    example: `GET /\r\n${host}\r\n`,
  },
  {
    what: 'More than one space in the request line',
    seen: /^BAD_REQUEST_LINE: (more than one space|not an HTTP version: " )/,
    example: `GET  / HTTP/1.1\r\n${host}\r\n`,
  },
  {
    what: 'An absolute target whose host is no host',
    seen: /^BAD_TARGET: the target's host/,
    example: `GET http://a]b/ HTTP/1.1\r\n${host}\r\n`,
  },
  {
    what: 'A target that is neither a path nor an http URI',
    seen: /^BAD_TARGET: the target is neither/,
    example: `GET ftp://a/ HTTP/1.1\r\n${host}\r\n`,
  },
  {
    what: 'A fragment or a byte above 127 in the target',
    seen: /^BAD_TARGET: the target holds the byte 0x(23|[89a-f])/,
    example: `GET /#a HTTP/1.1\r\n${host}\r\n`,
  },
  {
    what: 'An unknown expectation in HTTP/1.0',
    seen: /^EXPECTATION_UNKNOWN/,
    example: 'GET / HTTP/1.0\r\nExpect: x\r\n\r\n',
  },
  {
    what: 'An empty line with LF alone before the request',
    seen: /^BAD_REQUEST_LINE: an empty line ends with LF/,
    example: `\nGET / HTTP/1.1\r\n${host}\r\n`,
  },
  {
    what: 'A malformed chunk extension',
    seen: /^BAD_CHUNK: a chunk extension is malformed/,
    example: `${chunked}1;;a\r\nx\r\n0\r\n\r\n`,
  },
  {
    what: 'More than four empty lines before the request',
    seen: /^BAD_REQUEST_LINE: too many empty lines/,
    example: `${'\r\n'.repeat(9)}GET / HTTP/1.1\r\n${host}\r\n`,
  },
];

/** Accepted here, refused by Node. */
const laxer: readonly Difference[] = [
  {
    what: 'Methods nobody has registered',
    seen: /^node HPE_INVALID_METHOD/,
    example: `BREW / HTTP/1.1\r\n${host}\r\n`,
  },
  {
    what: 'White space around ";" and "=" of a chunk extension',
    seen: /^node (HPE_INVALID_CHUNK_SIZE|HPE_STRICT)/,
    example: `${chunked}1 ; a = b\r\nx\r\n0\r\n\r\n`,
  },
  {
    what: 'A tab behind Content-Length',
    seen: /^node HPE_INVALID_CONTENT_LENGTH/,
    example: `POST / HTTP/1.1\r\n${host}Content-Length: 1\t\r\n\r\nx`,
    nodeMax: 20,
  },
];

/** Accepted by both, and handed on differently. */
const other: readonly Difference[] = [
  {
    what: 'Forbidden trailers',
    seen: /^(trailers|node HPE_(INVALID_TRANSFER_ENCODING|(INVALID|UNEXPECTED)_CONTENT_LENGTH))/,
    example: `${chunked}0\r\nHost: b\r\nX: 1\r\n\r\n`,
  },
];

const known = [...stricter, ...laxer, ...other];

/** How the two differ on `input`, or null. Messages are compared up to the first that one of them
 *  refuses or that closes the connection; why both refuse need not be the same. */
function difference(ours: Parsed, theirs: NodeParsed): string | null {
  for (let index = 0; ; index++) {
    const mine = ours.messages[index];
    const their = theirs.messages[index];
    const isMineWhole = mine !== undefined && mine.trailers !== null;
    const isTheirsWhole = their !== undefined && their.trailers !== null;
    if (!isMineWhole && !isTheirsWhole) return null;
    if (!isMineWhole) return ours.failure ?? `unfinished (${ours.state})`;
    if (!isTheirsWhole) return `node ${theirs.refusal ?? 'unfinished'}`;
    const isAbsolute = /^https?:/i.test(their!.target);
    const pairs: readonly [string, unknown, unknown][] = [
      ['method', mine.head.method, their!.method],
      ['version', mine.head.version, their!.version],
      // Reduced to origin-form, and its host put into Host, which is tested by itself.
      ['target', isAbsolute ? '' : mine.head.target, isAbsolute ? '' : their!.target],
      ['fields', fieldsOf(mine.head.fields, isAbsolute), fieldsOf(their!.fields, isAbsolute)],
      ['content', mine.content, their!.content],
      ['trailers', fieldsOf(mine.trailers!, false), fieldsOf(their!.trailers!, false)],
    ];
    for (const [what, one, two] of pairs) {
      if (one !== two) return `${what}: ${one} | ${two}`;
    }
    if (!mine.framing.keepAlive || mine.framing.upgrade !== null) return null;
  }
}

function fieldsOf(fields: readonly string[], dropHost: boolean): string {
  const kept = fields.filter((_, at) => !dropHost || !/^host$/i.test(fields[at & ~1]!));
  return JSON.stringify(kept);
}

const node = new NodeHttp();
before(() => node.listen());
after(() => node.close());

test('on random requests our parser differs from Node only as listed', async () => {
  const inputs = [
    ...fc.sample(request, { seed, numRuns: 400 }),
    ...fc.sample(request.chain(mutated), { seed, numRuns: runs }),
  ];
  const unknown: string[] = [];
  const queue = [...inputs];
  const work = async () => {
    for (let input = queue.pop(); input !== undefined; input = queue.pop()) {
      const seen = difference(parse(input), await node.parse(input));
      if (seen === null || known.some((row) => row.seen.test(seen))) continue;
      unknown.push(`${seen}\n    ${JSON.stringify(input)}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  assert.equal(unknown.length, 0, `not on the list:\n  ${unknown.slice(0, 5).join('\n  ')}`);
});

describe('each difference on the list is one', () => {
  const major = Number(process.versions.node.split('.')[0]);
  for (const { what, seen, example, nodeMax = major } of known) {
    if (major > nodeMax) continue;
    test(what, async () => {
      const found = difference(parse(example), await node.parse(example));
      assert.notEqual(found, null, 'the two agree');
      assert.match(found!, seen);
    });
  }
});

test('docs/http-differences.md has the same list', () => {
  const headings = readFileSync('docs/http-differences.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('### '))
    .map((line) => line.slice(4));
  assert.deepEqual(headings.sort(), known.map(({ what }) => what).sort());
});
