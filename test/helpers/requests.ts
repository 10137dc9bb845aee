// Generators of random HTTP/1.1 requests: valid ones, and valid ones with a mutation or a few.

import fc from 'fast-check';

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const value = fc.stringMatching(/^([!-~]([\t -~]{0,30}[!-~])?)?$/);
const path = fc.stringMatching(/^\/[A-Za-z0-9._~%&=?/|-]{0,20}$/);

/** Names that mean something are left to `framed`. */
const plainField = fc
  .tuple(token, fc.constantFrom('', ' ', '\t', '  '), value, fc.constantFrom('', ' '))
  .filter(
    ([name]) =>
      !/^(host|expect|upgrade|connection|content-.*|transfer-encoding|te|trailer)$/i.test(name),
  )
  .map(([name, before, text, after]) => `${name}:${before}${text}${after}\r\n`);

const connection = fc
  .constantFrom('keep-alive', 'close', 'Keep-Alive, x-a', 'upgrade')
  .map((option) => `Connection: ${option}\r\n`);
const contentType = fc.constant('Content-Type: text/plain\r\n');

const content = fc.stringMatching(/^[ -~\r\n]{0,40}$/);
const extension = fc.constantFrom('', '', ';a', ';a=b', ' ; a="b;\\" c"');
const chunk = fc
  .tuple(fc.stringMatching(/^[ -~\r\n]{1,20}$/), extension, fc.boolean())
  .map(([text, after, isPadded]) => {
    const size = text.length.toString(16);
    return `${isPadded ? '00' : ''}${size}${after}\r\n${text}\r\n`;
  });

const framed = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ field: '', rest: '' }) },
  content.map((text) => ({ field: `Content-Length: ${text.length}\r\n`, rest: text })),
  fc
    .tuple(fc.array(chunk, { maxLength: 4 }), fc.array(plainField, { maxLength: 2 }), extension)
    .map(([chunks, trailers, after]) => ({
      field: 'Transfer-Encoding: chunked\r\n',
      rest: `${chunks.join('')}0${after}\r\n${trailers.join('')}\r\n`,
    })),
);

const host = fc.constantFrom('a', 'a.example:8000', '[::1]:80', '127.0.0.1', 'a_b.example');

/** One valid request with its content. */
export const request = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'),
    target: fc.oneof(
      { weight: 4, arbitrary: path },
      path.map((rest) => `http://b.example${rest}`),
    ),
    version: fc.constantFrom('1.1', '1.1', '1.1', '1.0'),
    host,
    fields: fc.array(fc.oneof({ weight: 4, arbitrary: plainField }, connection), { maxLength: 5 }),
    type: fc.option(contentType, { nil: '' }),
    framing: framed,
    hostFirst: fc.boolean(),
  })
  .map((parts) => {
    const isChunked = parts.framing.field.startsWith('Transfer');
    const version = isChunked ? '1.1' : parts.version;
    const hostLine = `Host: ${parts.host}\r\n`;
    const lines = [parts.type, parts.framing.field, ...parts.fields];
    const fields = parts.hostFirst ? [hostLine, ...lines] : [...lines, hostLine];
    return `${parts.method} ${parts.target} HTTP/${version}\r\n${fields.join('')}\r\n${parts.framing.rest}`;
  });

/** What parsers of this world have been seen to disagree about. */
const suspects = [
  '\r',
  '\n',
  '\r\n',
  '\n\n',
  '\r\n\r\n',
  ' ',
  '\t',
  '\0',
  '\x0b',
  '\x7f',
  '\xa0',
  '\xff',
  ':',
  ',',
  ';',
  '"',
  '#',
  '0',
  '+',
  '*',
  '%',
  '\\',
  '@',
  '0x',
  'HTTP/2.0',
  'HTTP/1.0',
  'http://',
  'Host: b\r\n',
  'Host:\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 5, 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Transfer-Encoding:\x0bchunked\r\n',
  'Content-Type: a/b\r\n',
  'Expect: 100-continue\r\n',
  'Expect: x\r\n',
  'Connection: close\r\n',
  'X-A : b\r\n',
  ' folded\r\n',
  ';a="\n"',
  ';a=b',
];

/** `input` with one to three pieces inserted, removed, replaced or repeated. */
export function mutated(input: string): fc.Arbitrary<string> {
  const mutation = fc.record({
    at: fc.nat(Math.max(input.length - 1, 0)),
    kind: fc.constantFrom('insert', 'remove', 'replace', 'repeat', 'line'),
    length: fc.integer({ min: 1, max: 8 }),
    piece: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...suspects) },
      fc.nat(255).map((byte) => String.fromCharCode(byte)),
    ),
  });
  return fc
    .array(mutation, { minLength: 1, maxLength: 3 })
    .map((mutations) => mutations.reduce(apply, input));
}

interface Mutation {
  readonly at: number;
  readonly kind: string;
  readonly length: number;
  readonly piece: string;
}

function apply(text: string, { at, kind, length, piece }: Mutation): string {
  const before = text.slice(0, at);
  switch (kind) {
    case 'insert':
      return before + piece + text.slice(at);
    case 'remove':
      return before + text.slice(at + length);
    case 'replace':
      return before + piece + text.slice(at + piece.length);
    case 'line': {
      // At the beginning of a line: where another field would be.
      const line = text.indexOf('\r\n', at);
      return line === -1 ? text : text.slice(0, line + 2) + piece + text.slice(line + 2);
    }
    default:
      return before + text.slice(at, at + length) + text.slice(at);
  }
}
