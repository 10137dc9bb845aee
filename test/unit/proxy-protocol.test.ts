// What load balancers say by PROXY protocol, and what nobody may say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPreamble } from '../../src/http/proxy-protocol.ts';
import { preambleV2 } from '../helpers/proxy-protocol.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const line = (text: string) => readPreamble(Buffer.from(text, 'latin1'));

test('version 1 names the client, or says that it is unknown', () => {
  assert.deepEqual(line('PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\nGET /'), {
    kind: 'whole',
    bytes: 41,
    origin: {
      address: '192.0.2.1',
      port: 56324,
      localAddress: '10.0.0.1',
      localPort: 443,
      secure: false,
    },
  });
  const six = line('PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 1 2\r\n');
  assert.ok(six.kind === 'whole' && six.origin?.address === '2001:db8::1');
  assert.equal(six.origin.localAddress, '10.0.0.1');
  for (const text of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN ffff::1 anything 1 2\r\n'])
    assert.deepEqual(line(text), { kind: 'whole', bytes: text.length, origin: null });
});

test('version 1 that is malformed is refused at once', () => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    '\x16\x03\x01',
    'PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n',
    'PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n',
    'PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n',
    'PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n',
    'PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n',
    'PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n',
    'PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n',
    'PROXY TCP4 ::1 ::1 1 1\r\n',
    'PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n',
    'PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n',
    'PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n',
    'PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n\r\n',
    `PROXY UNKNOWN ${'x'.repeat(100)}`,
  ])
    assert.equal(line(text).kind, 'bad', text);
});

test('version 2 names the client, with what it adds passed over', () => {
  const four = preambleV2({ family: 0x11, from: '192.0.2.1', to: '10.0.0.1', ports: [5, 443] });
  const read = readPreamble(Buffer.concat([four, Buffer.from('GET')]));
  assert.ok(read.kind === 'whole' && read.bytes === four.length);
  assert.deepEqual(read.origin, {
    address: '192.0.2.1',
    port: 5,
    localAddress: '10.0.0.1',
    localPort: 443,
    secure: false,
  });
  // Type 4 is padding; the first byte of type 0x20 says that the client came over TLS.
  const tlvs = Buffer.from([4, 0, 2, 0, 0, 0x20, 0, 5, 1, 0, 0, 0, 0]);
  const six = preambleV2({ family: 0x21, from: '2001:db8::1', to: '::1', ports: [1, 2], tlvs });
  const secure = readPreamble(six);
  assert.ok(secure.kind === 'whole' && secure.origin?.secure);
  assert.deepEqual([secure.origin.address, secure.origin.localAddress], ['2001:db8::1', '::1']);
  const mapped = preambleV2({ family: 0x21, from: '::ffff:192.0.2.9', to: '::1', ports: [1, 2] });
  const dressed = readPreamble(mapped);
  assert.ok(dressed.kind === 'whole' && dressed.origin?.address === '192.0.2.9');
});

test('version 2 without a client of its own has none; Unix sockets are no clients', () => {
  const addresses = { from: '192.0.2.1', to: '10.0.0.1', ports: [1, 2] } as const;
  for (const given of [
    { command: 0x20, family: 0x11 },
    { family: 0 },
    { family: 0x31 },
    { family: 0x12 },
  ]) {
    const preamble = preambleV2({ ...addresses, ...given });
    assert.deepEqual(readPreamble(preamble), {
      kind: 'whole',
      bytes: preamble.length,
      origin: null,
    });
  }
});

test('version 2 that is malformed is refused', () => {
  const good = preambleV2({ family: 0x11, from: '192.0.2.1', to: '10.0.0.1', ports: [1, 2] });
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(good);
    bytes[at] = value;
    return readPreamble(bytes).kind;
  };
  assert.equal(changed(12, 0x11), 'bad');
  assert.equal(changed(12, 0x22), 'bad');
  assert.equal(changed(13, 0x41), 'bad');
  assert.equal(changed(14, 0xff), 'bad');
  assert.equal(changed(15, 11), 'bad');
  assert.equal(changed(0, 0x0a), 'bad');
  const cut = Buffer.from([4, 0, 9, 0]);
  const tlvs = preambleV2({
    family: 0x11,
    from: '192.0.2.1',
    to: '10.0.0.1',
    ports: [1, 2],
    tlvs: cut,
  });
  assert.equal(readPreamble(tlvs).kind, 'bad');
});

test(`whatever comes is read without a fault, and a part of a preamble is a part (seed ${seed})`, () => {
  const below = randomFrom(seed);
  const whole = [
    Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n'),
    preambleV2({
      family: 0x21,
      from: '2001:db8::1',
      to: '::1',
      ports: [1, 2],
      tlvs: Buffer.alloc(9),
    }),
  ];
  for (const preamble of whole)
    for (let length = 0; length < preamble.length; length++)
      assert.equal(readPreamble(preamble.subarray(0, length)).kind, 'partial', `${length} bytes`);
  for (let run = 0; run < 20_000; run++) {
    const bytes = Buffer.from(whole[run % 2]!);
    for (let change = below(4); change >= 0; change--) bytes[below(bytes.length)] = below(256);
    const read = readPreamble(bytes.subarray(0, below(bytes.length + 1)));
    if (read.kind === 'whole') assert.ok(read.bytes <= bytes.length);
    if (read.kind === 'whole' && read.origin !== null) assert.notEqual(read.origin.address, '');
  }
  // No more is ever waited for than a preamble may have.
  assert.equal(readPreamble(Buffer.from(`PROXY ${'x'.repeat(101)}`)).kind, 'bad');
});
