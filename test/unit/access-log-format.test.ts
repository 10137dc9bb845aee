// The access log's formats: which there are, what each writes, and that no client can forge a line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkAccessLogFormat, parseAccessLogFormat } from '../../src/config/access-log-format.ts';
import { compile } from '../../src/edge/access-log/render.ts';
import { failure } from '../../src/errors/failure.ts';
import { settled } from '../helpers/settled.ts';

const moment = { nowMs: 1000 + 2345.678, wallMs: Date.UTC(2026, 10, 22, 9, 15, 45) };

function render(format: string, exchange = settled()): string {
  const parts = parseAccessLogFormat(format);
  assert.ok(typeof parts !== 'string', String(parts));
  return compile(parts)(exchange, moment);
}

test("Gunicorn's default format is nginx's combined", () => {
  const exchange = settled({
    fields: ['Referer', 'http://r/', 'User-Agent', 'curl/8', 'Authorization', 'Basic am9lOnB3'],
  });
  const line = render('combined', exchange);
  assert.match(
    line,
    /^192\.0\.2\.7 - joe \[2[123]\/Nov\/2026:\d\d:\d\d:45 [+-]\d{4}\] "GET \/a\?b=c HTTP\/1\.1" 200 5 "http:\/\/r\/" "curl\/8"$/,
  );
  const gunicorn = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';
  assert.equal(render(gunicorn, exchange), line);
});

test('every atom of Gunicorn is there', () => {
  const exchange = settled({
    fields: ['X-One', '1', 'User-Agent', 'ua'],
    responseFields: ['Content-Type', 'text/plain'],
  });
  const format =
    '%(m)s %(U)s %(q)s %(H)s %(s)s %(B)d %(b)s %(T)s %(M)s %(D)s %(L)s %(l)s %({X-One}i)s %({content-type}o)s %({x-none}i)s 100%%';
  assert.equal(
    render(format, exchange),
    'GET /a b=c HTTP/1.1 200 5 5 2 2345 2345678 2.345678 - 1 text/plain - 100%',
  );
  assert.equal(render('%(p)s'), `<${process.pid}>`);
  process.env.PORTICO_TEST_VARIABLE = 'v';
  assert.equal(render('%({PORTICO_TEST_VARIABLE}e)s'), 'v');
});

test("Portico's own facts are there", () => {
  const format =
    '%({request-id}x)s|%({upstream}x)s|%({queue-time}x)s|%({upstream-time}x)s|%({retries}x)s|%({failure}x)s|%({scheme}x)s|%({peer}x)s|%({request-bytes}x)s|%({host}x)s|%({tls-protocol}x)s';
  assert.equal(
    render(format),
    '0123456789abcdef0123456789abcdef|worker 2|0.002000|0.010500|1|-|http|10.0.0.1|3|-|-',
  );
  const failed = settled({
    record: { failure: failure('QUEUE_TIMEOUT'), claimedMs: 0, status: 503 },
  });
  assert.equal(render('%({failure}x)s %({queue-time}x)s %(s)s', failed), 'QUEUE_TIMEOUT - 503');
  assert.equal(render('%({time-iso8601}x)s'), '2026-11-22T09:15:45.000Z');
});

test('json is one object with everything', () => {
  const line = JSON.parse(render('json', settled({ fields: ['Host', 'a.example'] })));
  assert.equal(line.time, '2026-11-22T09:15:45.000Z');
  assert.equal(line.status, 200);
  assert.equal(line.host, 'a.example');
  assert.equal(line.queueMs, 2);
  assert.equal(line.upstreamMs, 10.5);
  assert.equal(line.durationMs, 2345.678);
});

test('a request of which nothing was understood shows as -', () => {
  assert.equal(render('"%(r)s" %(m)s', settled({ method: '', target: '' })), '"-" -');
});

test('a format that says nothing, or something unknown, is refused with a reason', () => {
  assert.equal(checkAccessLogFormat('combined'), null);
  assert.equal(checkAccessLogFormat('json'), null);
  assert.equal(checkAccessLogFormat('%(h)s 100%%'), null);
  const refused: readonly (readonly [string, RegExp])[] = [
    ['%(h)s %(z)s', /^%\(z\)s at character 7 is no atom; there are h l u .*, \{name\}i/],
    [
      '%({upstrem}x)s',
      /^%\(\{upstrem\}x\)s at character 1 is no atom; did you mean %\(\{upstream\}x\)s\?$/,
    ],
    ['%({zzz}x)s', /is no atom; there are request-id, upstream, /],
    ['%({a}y)s', /^%\(\{a\}y\)s at character 1 ends with none of i, o, e and x$/],
    ['%({}i)s', /^%\(\{\}i\)s at character 1 names nothing$/],
    ['a %h %l', /^"%h %l" at character 3 is no atom: did you mean %\(h\)s\?$/],
    ['%(h)s %>s', /^"%>s" at character 7 is no atom: did you mean %\(s\)s\?$/],
    ['%{Referer}i', /did you mean %\(\{Referer\}i\)s\?$/],
    ['100% %(h)s', /^"% " at character 4 is no atom: atoms are written %\(h\)s, and a percent/],
    ['$remote_addr', /^nginx's variables are atoms here: %\(h\)s/],
    ['combinde', /^did you mean combined\?$/],
    ['nothing', /^it has no atom/],
  ];
  for (const [format, why] of refused) assert.match(checkAccessLogFormat(format) ?? '', why);
  assert.match(checkAccessLogFormat('%(h)s\n') ?? '', /control character/);
});

test('no bytes of a client leave their place in the line', () => {
  const bytes = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  });
  fc.assert(
    fc.property(bytes, bytes, bytes, (target, agent, user) => {
      const basic = `Basic ${Buffer.from(user, 'latin1').toString('base64')}`;
      const exchange = settled({
        target,
        fields: ['User-Agent', agent, 'Authorization', basic, 'Referer', agent],
      });
      const line = render('combined', exchange);
      assert.match(line, /^[\x20-\x7e]*$/);
      assert.equal(line.split('"').length, 7);
      const json = render('json', exchange);
      assert.match(json, /^[\x20-\x7e]*$/);
      assert.equal(JSON.parse(json).target, target);
    }),
  );
  assert.equal(
    render('%(a)s', settled({ fields: ['User-Agent', 'a"b\\\x1b\xe9'] })),
    'a\\x22b\\x5C\\x1B\\xE9',
  );
});
