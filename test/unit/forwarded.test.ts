// Who the client is, and what the app is told: nothing a client sent is believed unless its peer is trusted.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClientFacts, Fields } from '../../src/http/exchange.ts';
import {
  createTrust,
  forwardedRequestId,
  plainAddress,
  resolveClient,
  trustEntryFault,
  upstreamFields,
} from '../../src/http/forwarded.ts';

const peer: ClientFacts = {
  address: '10.0.0.1',
  port: 4711,
  peerAddress: '10.0.0.1',
  localAddress: '10.0.0.9',
  localPort: 8000,
  scheme: 'http',
  tls: null,
};

describe('trust', () => {
  const rows: readonly [string[], string, boolean][] = [
    [[], '127.0.0.1', false],
    [[], '', false],
    [['*'], '203.0.113.9', true],
    [['*'], '', true],
    [['unix'], '', true],
    [['unix'], '127.0.0.1', false],
    [['127.0.0.1'], '127.0.0.1', true],
    [['127.0.0.1'], '127.0.0.10', false],
    [['127.0.0.1'], '::ffff:127.0.0.1', true],
    [['::ffff:127.0.0.1'], '127.0.0.1', true],
    [['127.0.0.1'], '127.0.0.1 ', false],
    [['127.0.0.1'], 'not an address', false],
    [['10.0.0.0/8'], '10.255.255.255', true],
    [['10.0.0.0/8'], '11.0.0.0', false],
    [['10.0.0.0/8'], '2.0.0.10', false],
    [['192.168.1.77/31'], '192.168.1.76', true],
    [['192.168.1.77/31'], '192.168.1.78', false],
    [['0.0.0.0/0'], '203.0.113.9', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['255.255.255.255/32'], '255.255.255.255', true],
    [['::1'], '::1', true],
    [['0:0:0:0:0:0:0:1'], '::1', true],
    [['::1'], '::2', false],
    [['2001:db8::/33'], '2001:db8:7fff::1', true],
    [['2001:db8::/33'], '2001:db8:8000::1', false],
    [['::/0'], 'fe80::1', true],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['fd00::10.0.0.1'], 'fd00::a00:1', true],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', true],
  ];
  for (const [list, address, expected] of rows) {
    test(`[${list}] ${expected ? 'trusts' : 'does not trust'} "${address}"`, () => {
      assert.equal(createTrust(list).trusts(address), expected);
    });
  }

  test('entries that are no address are named', () => {
    for (const entry of [
      '',
      'localhost',
      '10.0.0',
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10.0.0.0/8/8',
      '1.2.3.4/x',
      'fe80::1%eth0',
      '::ffff:10.0.0.0/8',
    ]) {
      assert.ok(trustEntryFault(entry)?.includes(entry), entry);
      assert.throws(() => createTrust([entry]), TypeError);
    }
    for (const entry of ['*', 'unix', '10.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32']) {
      assert.equal(trustEntryFault(entry), null);
    }
  });

  test('addresses are told without zone and IPv6 clothes', () => {
    assert.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1');
    assert.equal(plainAddress('::1'), '::1');
    assert.equal(plainAddress(''), '');
  });
});

describe('the client behind a trusted proxy', () => {
  const trust = createTrust(['10.0.0.0/8', '::1']);
  const rows: readonly [string, Fields, Partial<ClientFacts>][] = [
    ['no fields: the peer', [], {}],
    ['one address', ['X-Forwarded-For', '203.0.113.9'], { address: '203.0.113.9', port: 0 }],
    [
      'the rightmost that is not trusted, not what the client wrote before it',
      ['X-Forwarded-For', '1.1.1.1, 203.0.113.9, 10.0.0.2'],
      { address: '203.0.113.9', port: 0 },
    ],
    [
      'several fields are one list',
      [
        'x-forwarded-for',
        '1.1.1.1',
        'X-Forwarded-For',
        '203.0.113.9',
        'X-FORWARDED-FOR',
        '10.0.0.3,10.0.0.2',
      ],
      { address: '203.0.113.9', port: 0 },
    ],
    [
      'all trusted: the leftmost',
      ['X-Forwarded-For', '10.0.0.3, 10.0.0.2'],
      { address: '10.0.0.3', port: 0 },
    ],
    [
      'an entry with port',
      ['X-Forwarded-For', '203.0.113.9:4712'],
      { address: '203.0.113.9', port: 4712 },
    ],
    ['IPv6', ['X-Forwarded-For', '2001:db8::9'], { address: '2001:db8::9', port: 0 }],
    [
      'IPv6 in brackets',
      ['X-Forwarded-For', '[2001:db8::9]:99'],
      { address: '2001:db8::9', port: 99 },
    ],
    [
      'IPv4 in IPv6',
      ['X-Forwarded-For', '::ffff:203.0.113.9'],
      { address: '203.0.113.9', port: 0 },
    ],
    [
      'an entry that is no address ends the walk',
      ['X-Forwarded-For', '203.0.113.9, unknown, 10.0.0.2'],
      { address: '10.0.0.2', port: 0 },
    ],
    ['only nonsense: the peer', ['X-Forwarded-For', 'unknown'], {}],
    ['an open bracket: the peer', ['X-Forwarded-For', '[::1'], {}],
    ['empty: the peer', ['X-Forwarded-For', ''], {}],
    [
      'X-Real-IP where there is no X-Forwarded-For',
      ['X-Real-IP', '203.0.113.9'],
      { address: '203.0.113.9', port: 0 },
    ],
    [
      'X-Real-IP beside X-Forwarded-For is not used',
      ['X-Real-IP', '1.1.1.1', 'X-Forwarded-For', '203.0.113.9'],
      { address: '203.0.113.9', port: 0 },
    ],
    ['the scheme', ['X-Forwarded-Proto', 'HTTPS'], { scheme: 'https' }],
    ['an odd scheme is not used', ['X-Forwarded-Proto', 'javascript'], {}],
    [
      'the scheme in line with the address',
      ['X-Forwarded-For', '203.0.113.9, 10.0.0.2', 'X-Forwarded-Proto', 'https, http'],
      { address: '203.0.113.9', port: 0, scheme: 'https' },
    ],
    [
      'of more schemes than addresses the last, which the peer wrote',
      ['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Proto', 'https, http'],
      { address: '203.0.113.9', port: 0, scheme: 'http' },
    ],
  ];
  for (const [name, fields, expected] of rows) {
    test(name, () =>
      assert.deepEqual(resolveClient(peer, fields, trust), { ...peer, ...expected }),
    );
  }

  test('from a peer that is not trusted nothing counts', () => {
    const fields = [
      'X-Forwarded-For',
      '203.0.113.9',
      'X-Forwarded-Proto',
      'https',
      'X-Real-IP',
      '1.1.1.1',
    ];
    assert.equal(resolveClient(peer, fields, createTrust(['127.0.0.1', 'unix'])), peer);
  });

  test('a list without end is walked only so far', () => {
    const fields = ['X-Forwarded-For', '10.1.1.1,'.repeat(5000)];
    assert.equal(resolveClient(peer, fields, trust).peerAddress, '10.0.0.1');
  });
});

test('a request id is taken over if it is short and printable', () => {
  assert.equal(forwardedRequestId(['X-Request-Id', 'abc-1']), 'abc-1');
  for (const id of ['', 'a b', 'x'.repeat(129), 'caf\xe9']) {
    assert.equal(forwardedRequestId(['X-Request-Id', id]), null);
  }
  assert.equal(forwardedRequestId([]), null);
});

interface Told {
  readonly fields: Fields;
  readonly peer?: Partial<ClientFacts>;
  readonly client?: Partial<ClientFacts>;
  readonly trusted?: boolean;
  readonly forwarded?: boolean;
  readonly clientCertificates?: boolean;
}

/** What the app gets, as an object by name as spelt; a name that comes twice fails. */
function told(options: Told): Record<string, string> {
  const own = { ...peer, ...options.peer };
  const fields = upstreamFields({
    fields: options.fields,
    peer: own,
    client: { ...own, ...options.client },
    trusted: options.trusted ?? false,
    forwarded: options.forwarded ?? false,
    clientCertificates: options.clientCertificates ?? false,
  });
  const result: Record<string, string> = {};
  for (let at = 0; at < fields.length; at += 2) {
    assert.ok(!(fields[at]! in result), `${fields[at]} comes twice`);
    result[fields[at]!] = fields[at + 1]!;
  }
  return result;
}

const added = {
  Host: 'a.example',
  'X-Forwarded-For': '10.0.0.1',
  'X-Forwarded-Proto': 'http',
  'X-Forwarded-Host': 'a.example',
  'X-Forwarded-Port': '8000',
  'X-Real-IP': '10.0.0.1',
};
const host = ['Host', 'a.example'];

test('the app is told who asks', () => {
  assert.deepEqual(told({ fields: host }), added);
});

test('what an untrusted client says of itself is thrown away, however it is spelt', () => {
  const spoofed = [
    'X-Forwarded-For',
    'x-forwarded-for',
    'X-FORWARDED-PROTO',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'X-Forwarded-User',
    'X-Real-IP',
    'x-request-id',
    'Forwarded',
    'X-Client-Cert-Subject',
    'X_Forwarded_For',
    'X-Forwarded_For',
    'x_real_ip',
    'X_Request-ID',
    'X_Client_Cert_Verified',
    'Content_Length',
    'Content_Type',
    'Transfer_Encoding',
    'Proxy',
  ];
  for (const trusted of [false, true]) {
    const names = spoofed.filter((name) => !trusted || name.includes('_') || name === 'Proxy');
    assert.deepEqual(
      told({ fields: [...host, ...names.flatMap((name) => [name, '6.6.6.6'])], trusted }),
      added,
    );
  }
});

test('names with "_" that pass for none of ours are kept', () => {
  const fields = [...host, 'my_token', 'a', 'x_custom_one', 'b', 'c_123456789', 'd'];
  assert.deepEqual(told({ fields }), {
    ...added,
    my_token: 'a',
    x_custom_one: 'b',
    c_123456789: 'd',
  });
});

test('what a trusted proxy says is added to or kept', () => {
  const fields = [
    ...['X-Forwarded-For', '203.0.113.9', 'x-forwarded-for', '10.0.0.7'],
    ...['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'b.example', 'X-Forwarded-Port', '443'],
    ...[
      'X-Real-IP',
      '6.6.6.6',
      'X-Request-Id',
      'other',
      'X-Client-Cert-Subject',
      'CN=x',
      'X-Forwarded-Prefix',
      '/p',
    ],
    ...host,
  ];
  const client = { address: '203.0.113.9', scheme: 'https' } as const;
  assert.deepEqual(told({ fields, client, trusted: true }), {
    ...added,
    'X-Forwarded-For': '203.0.113.9, 10.0.0.7, 10.0.0.1',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'b.example',
    'X-Forwarded-Port': '443',
    'X-Real-IP': '203.0.113.9',
    'X-Client-Cert-Subject': 'CN=x',
    'X-Forwarded-Prefix': '/p',
  });
});

test('a trusted proxy that sends no valid host or port is corrected', () => {
  const fields = [...host, 'X-Forwarded-Host', 'a b', 'X-Forwarded-Port', 'x'];
  assert.deepEqual(told({ fields, trusted: true }), added);
});

test('the port is the one in Host if there is one', () => {
  const told8080 = told({ fields: ['Host', 'a.example:8080'] });
  assert.equal(told8080['X-Forwarded-Port'], '8080');
  assert.equal(told8080['X-Forwarded-Host'], 'a.example:8080');
  const unix = { address: '', peerAddress: '', localPort: 0 };
  assert.equal(told({ fields: host, peer: unix })['X-Forwarded-Port'], '80');
  assert.equal(
    told({ fields: host, peer: { ...unix, scheme: 'https' } })['X-Forwarded-Port'],
    '443',
  );
});

test('over a Unix socket there is no address to tell', () => {
  const fields = told({ fields: host, peer: { address: '', peerAddress: '' }, forwarded: true });
  assert.ok(!('X-Forwarded-For' in fields) && !('X-Real-IP' in fields));
  assert.equal(fields.Forwarded, 'for=unknown;host="a.example";proto=http');
});

test('Forwarded is sent when asked for, quoted where it must be, and added to', () => {
  const v6 = { address: '2001:db8::1', peerAddress: '2001:db8::1' };
  assert.equal(
    told({ fields: ['Host', '[::1]:80'], peer: v6, forwarded: true }).Forwarded,
    'for="[2001:db8::1]";host="[::1]:80";proto=http',
  );
  const fields = [...host, 'Forwarded', 'for=1.1.1.1'];
  const ours = 'for=10.0.0.1;host="a.example";proto=http';
  assert.equal(told({ fields, forwarded: true }).Forwarded, ours);
  assert.equal(told({ fields, forwarded: true, trusted: true }).Forwarded, `for=1.1.1.1, ${ours}`);
  assert.equal(told({ fields, trusted: true }).Forwarded, 'for=1.1.1.1');
});

test('hop-by-hop fields do not pass', () => {
  const fields = [
    ...host,
    'Connection',
    'keep-alive, X-A',
    'Connection',
    'x-b',
    'Keep-Alive',
    '5',
    'X-A',
    '1',
    'X-B',
    '2',
  ];
  fields.push(
    'Upgrade',
    'h2c',
    'HTTP2-Settings',
    'x',
    'Proxy-Connection',
    'x',
    'Proxy-Authorization',
    'x',
  );
  fields.push('Transfer-Encoding', 'chunked', 'Expect', '100-continue', 'X-C', '3', 'TE', 'gzip');
  assert.deepEqual(told({ fields }), { ...added, 'X-C': '3' });
});

test('TE passes for trailers only', () => {
  const fields = [...host, 'TE', 'gzip, Trailers', 'Connection', 'TE'];
  assert.deepEqual(told({ fields }), { ...added, TE: 'trailers' });
});

test('Connection can not take away Host, framing or what we add', () => {
  const fields = [...host, 'Content-Length', '5', 'Content-Type', 'a/b'];
  fields.push(
    'Connection',
    'host, content-length, content-type, x-forwarded-for, x-real-ip, x-request-id',
  );
  assert.deepEqual(told({ fields }), { ...added, 'Content-Length': '5', 'Content-Type': 'a/b' });
});

test('with client certificates the app is told whose, whatever the client or a proxy says', () => {
  const certificate = { subject: 'CN=me,O=us', fingerprint256: 'AB:CD', verified: true };
  const tls = { protocol: 'TLSv1.3', cipher: 'x', serverName: null };
  const fields = [...host, 'X-Client-Cert-Subject', 'CN=root', 'x-client-cert-verify', 'SUCCESS'];
  for (const trusted of [false, true]) {
    const asked = { fields, trusted, clientCertificates: true };
    const none = { ...added, 'X-Client-Cert-Verify': 'NONE' };
    assert.deepEqual(told(asked), none);
    const over = (clientCertificate: typeof certificate | null) =>
      told({ ...asked, peer: { tls: { ...tls, clientCertificate } } });
    assert.deepEqual(over(null), none);
    assert.deepEqual(over({ ...certificate, verified: false }), none);
    assert.deepEqual(over(certificate), {
      ...added,
      'X-Client-Cert-Verify': 'SUCCESS',
      'X-Client-Cert-Subject': 'CN=me,O=us',
      'X-Client-Cert-Fingerprint': 'AB:CD',
    });
  }
  assert.equal(told({ fields })['X-Client-Cert-Subject'], undefined);
});
