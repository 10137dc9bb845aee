// The response cache in a whole edge, between raw clients and workers at the other end of real links.
// What is to be stale at once comes with an Age beyond its max-age.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import { failure } from '../../src/errors/failure.ts';
import type { Fields } from '../../src/http/exchange.ts';
import { type Taken, workerFactory } from '../helpers/link-workers.ts';
import type { RawResponse } from '../helpers/raw-client.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

/** An edge with a cache and one worker, whose answers `serve` gives. */
async function start(
  t: TestContext,
  serve: (taken: Taken, count: number) => void,
  changes: Partial<Config> = {},
) {
  const running = await runEdge(t, { cacheBytes: 1024 * 1024, ...changes });
  const makeWorker = workerFactory(t);
  const addWorker = async () => {
    const worker = await makeWorker((taken) => serve(taken, worker.taken.length));
    running.edge.pools.admit(worker.address);
    return worker;
  };
  const worker = await addWorker();
  /** Sends a request on a connection of its own, and reads its answer. */
  const get = (target = '/', head = '', method = 'GET'): Promise<RawResponse> =>
    running.ask(`${method} ${target}`, `${head}\r\n`).response(method);
  const stats = () => running.edge.status().cache!;
  return { ...running, worker, addWorker, get, stats };
}

/** Cache-Status; up to 5 s of a slow machine are taken out of the ttl. */
const statusOf = (response: RawResponse) =>
  response.fields
    .get('cache-status')
    ?.replace(/ttl=5[5-9]/, 'ttl=60')
    .replace(/ttl=-1[1-5]/, 'ttl=-10');
const fieldOf = (taken: Taken | undefined, name: string): string | undefined => {
  const fields = taken?.exchange.request.fields ?? [];
  return fields[fields.findIndex((field) => field.toLowerCase() === name) + 1];
};
const replies =
  (...fields: Fields) =>
  (taken: Taken, count: number): void =>
    taken.reply(`answer ${count}`, fields);

test('the second request is answered from memory, with Age, and no worker hears of it', async (t) => {
  const { get, worker, stats } = await start(t, replies('Cache-Control', 'max-age=60'));
  const first = await get('/a');
  const second = await get('/a');
  assert.equal(statusOf(first), 'portico; fwd=uri-miss; stored');
  assert.equal(first.fields.get('age'), undefined);
  assert.equal(second.body, 'answer 1');
  assert.equal(statusOf(second), 'portico; hit; ttl=60');
  assert.match(second.fields.get('age') ?? '', /^[0-5]$/);
  assert.equal((await get('/a')).fields.get('date'), second.fields.get('date'));
  assert.notEqual(second.fields.get('x-request-id'), first.fields.get('x-request-id'));
  assert.equal(worker.taken.length, 1);
  assert.equal((await get('/b')).body, 'answer 2');
  const { hits, misses, entries, bytes } = stats();
  assert.deepEqual([hits, misses, entries], [2, 2, 2]);
  assert.ok(bytes > 2000 && bytes < 4000);
});

test('without a cache nothing of it is seen', async (t) => {
  const { get, edge } = await start(t, replies('Cache-Control', 'max-age=60'), { cacheBytes: 0 });
  await get();
  assert.equal(statusOf(await get()), undefined);
  assert.equal(edge.status().cache, null);
});

test('HEAD is answered from a stored GET, and does not fill the cache itself', async (t) => {
  const { get, worker } = await start(t, replies('Cache-Control', 'max-age=60'));
  assert.equal(statusOf(await get('/', '', 'HEAD')), 'portico; fwd=uri-miss');
  await get();
  const head = await get('/', '', 'HEAD');
  assert.equal(statusOf(head), 'portico; hit; ttl=60');
  assert.equal(head.fields.get('content-length'), '8');
  assert.equal(worker.taken.length, 2);
});

test('what is not for all is never stored', async (t) => {
  const { get, worker, stats } = await start(t, (taken, count) => {
    const { target } = taken.exchange.request;
    const fields: Record<string, Fields> = {
      '/private': ['Cache-Control', 'private, max-age=60'],
      '/silent': ['ETag', '"a"'],
      '/cookie': ['Cache-Control', 'public, max-age=60', 'Set-Cookie', 'id=1'],
      '/vary': ['Cache-Control', 'max-age=60', 'Vary', '*'],
    };
    taken.reply(`answer ${count}`, fields[target] ?? ['Cache-Control', 'max-age=60']);
  });
  for (const target of ['/private', '/silent', '/cookie', '/vary'])
    for (let at = 0; at < 2; at++)
      assert.equal(statusOf(await get(target)), 'portico; fwd=uri-miss', target);
  assert.equal(statusOf(await get('/a', 'Authorization: Basic x\r\n')), 'portico; fwd=uri-miss');
  assert.equal(statusOf(await get('/a', 'Cache-Control: no-store\r\n')), 'portico; fwd=request');
  const override = 'X-HTTP-Method-Override: DELETE\r\n';
  assert.equal(statusOf(await get('/a', override)), 'portico; fwd=uri-miss');
  assert.equal(worker.taken.length, 11);
  assert.equal(stats().entries, 0);
});

test('Authorization is no hindrance where the app says public', async (t) => {
  const { get } = await start(t, replies('Cache-Control', 'public, max-age=60'));
  await get('/', 'Authorization: Basic x\r\n');
  assert.equal(statusOf(await get()), 'portico; hit; ttl=60');
  assert.equal(statusOf(await get('/', 'Authorization: Basic y\r\n')), 'portico; hit; ttl=60');
});

test('with cacheSetCookie the first client alone gets the cookie', async (t) => {
  const fields = ['Cache-Control', 'max-age=60', 'Set-Cookie', 'id=1'];
  const { get } = await start(t, replies(...fields), { cacheSetCookie: true });
  assert.equal((await get()).fields.get('set-cookie'), 'id=1');
  const second = await get();
  assert.equal(statusOf(second), 'portico; hit; ttl=60');
  assert.equal(second.fields.get('set-cookie'), undefined);
});

test('a micro-cache serves those without cookies, and never one with', async (t) => {
  const { get, worker } = await start(t, replies(), { cacheDefaultTtlMs: 60_000 });
  const cookie = 'Cookie: session=1\r\n';
  assert.equal((await get('/', cookie)).body, 'answer 1');
  assert.equal((await get()).body, 'answer 2');
  assert.equal((await get()).body, 'answer 2');
  assert.equal((await get('/', cookie)).body, 'answer 3');
  assert.equal(worker.taken.length, 3);
});

test('Vary keeps variants apart', async (t) => {
  const { get, worker } = await start(t, (taken) => {
    const language = fieldOf(taken, 'accept-language');
    taken.reply(`in ${language}`, ['Cache-Control', 'max-age=60', 'Vary', 'Accept-Language']);
  });
  const inLanguage = (language: string) => get('/', `Accept-Language: ${language}\r\n`);
  assert.equal((await inLanguage('de')).body, 'in de');
  const english = await inLanguage('en');
  assert.deepEqual([english.body, statusOf(english)], ['in en', 'portico; fwd=vary-miss; stored']);
  assert.equal((await inLanguage('de')).body, 'in de');
  assert.equal(statusOf(await inLanguage('en')), 'portico; hit; ttl=60');
  assert.equal(worker.taken.length, 2);
});

test('Host, and X-Forwarded-Host of a trusted proxy, tell responses apart', async (t) => {
  const { connect, worker } = await start(t, replies('Cache-Control', 'max-age=60'), {
    forwardedAllowIps: ['127.0.0.1'],
  });
  const client = connect();
  const ask = async (fields: string) =>
    (await client.send(`GET / HTTP/1.1\r\n${fields}\r\n`).response()).body;
  assert.equal(await ask('Host: a\r\n'), 'answer 1');
  assert.equal(await ask('Host: b\r\n'), 'answer 2');
  assert.equal(await ask('Host: a\r\nX-Forwarded-Host: evil\r\n'), 'answer 3');
  assert.equal(await ask('Host: a\r\nX-Forwarded-Proto: https\r\n'), 'answer 4');
  assert.equal(await ask('Host: a\r\nX-Forwarded-Prefix: /evil\r\n'), 'answer 5');
  assert.equal(await ask('Host: A:80\r\n'), 'answer 6'); // its port is another X-Forwarded-Port
  assert.equal(await ask('Host: a\r\nX-Forwarded-For: 192.0.2.1\r\n'), 'answer 1');
  assert.equal(worker.taken.length, 6);
});

test('what a stranger says in X-Forwarded-Host changes nothing', async (t) => {
  const { get, worker } = await start(t, replies('Cache-Control', 'max-age=60'), {
    forwardedAllowIps: [],
  });
  await get('/', 'X-Forwarded-Host: evil\r\n');
  assert.equal(fieldOf(worker.taken[0], 'x-forwarded-host'), 'test');
  assert.equal(statusOf(await get()), 'portico; hit; ttl=60');
});

test('by what a proxy says of the scheme or the path a stranger changes nothing that is stored', async (t) => {
  const names = ['Front-End-Https', 'X-Url-Scheme', 'X-Scheme', 'X_Scheme', 'X-Original-Proto'];
  names.push('X-Script-Name', 'X-Original-URI');
  const { get, stats, configure } = await start(t, replies('Cache-Control', 'max-age=60'), {
    forwardedAllowIps: [],
  });
  for (const name of names) {
    await get('/', `${name}: evil\r\n`);
    assert.equal(stats().entries, 0, name);
  }
  configure({ cacheBytes: 1024 * 1024, forwardedAllowIps: ['127.0.0.1'] });
  const { body } = await get('/', 'X-Scheme: https\r\n');
  assert.notEqual((await get()).body, body, 'a trusted one has a variant of its own');
  assert.equal((await get('/', 'X-Scheme: https\r\n')).body, body);
});

test("a client's conditions are answered from memory, and don't reach the app on a miss", async (t) => {
  const { get, worker } = await start(t, replies('Cache-Control', 'max-age=60', 'ETag', '"v1"'));
  const first = await get('/', 'If-None-Match: "v1"\r\n');
  assert.ok(!worker.taken[0]?.exchange.request.fields.includes('If-None-Match'));
  assert.equal(first.status, 304);
  assert.equal(statusOf(first), 'portico; fwd=uri-miss; stored');
  const same = await get('/', 'If-None-Match: "v0", W/"v1"\r\n');
  assert.deepEqual([same.status, same.fields.get('etag')], [304, '"v1"']);
  assert.match(same.fields.get('age') ?? '', /^[0-5]$/);
  assert.equal((await get('/', 'If-None-Match: "v2"\r\n')).body, 'answer 1');
  assert.equal(worker.taken.length, 1);
});

const stale: Fields = ['Cache-Control', 'max-age=10', 'Age', '20', 'ETag', '"v1"'];

test('a stale response is validated with the app, and 304 makes it fresh', async (t) => {
  const { get, worker } = await start(t, (taken, count) => {
    if (count === 1) taken.reply('content', stale);
    else {
      const fields = ['Cache-Control', 'max-age=60', 'X-New', '1', 'Set-Cookie', 'a=b'];
      taken.exchange.respond(304, '', fields);
      taken.exchange.end([]);
    }
  });
  await get();
  const second = await get('/', 'If-None-Match: "other"\r\n');
  assert.equal(fieldOf(worker.taken[1], 'if-none-match'), '"v1"');
  assert.deepEqual([second.status, second.body], [200, 'content']);
  assert.equal(statusOf(second), 'portico; fwd=stale; fwd-status=304; stored; ttl=60');
  assert.equal(second.fields.get('set-cookie'), 'a=b');
  const third = await get();
  assert.deepEqual([third.body, third.fields.get('x-new')], ['content', '1']);
  assert.equal(third.fields.get('set-cookie'), undefined);
  assert.equal(statusOf(third), 'portico; hit; ttl=60');
  assert.equal(worker.taken.length, 2);
});

test('a stale response whose content has changed is replaced; one no longer for all is dropped', async (t) => {
  const { get, stats } = await start(t, (taken, count) => {
    const fields = count === 3 ? ['Cache-Control', 'private'] : stale;
    taken.reply(`answer ${count}`, fields);
  });
  await get();
  const second = await get();
  assert.equal(second.body, 'answer 2');
  assert.equal(statusOf(second), 'portico; fwd=stale; fwd-status=200; stored');
  assert.equal(statusOf(await get()), 'portico; fwd=stale; fwd-status=200');
  assert.equal(stats().entries, 0);
});

test('stale-while-revalidate: answered at once, refreshed behind', async (t) => {
  let refreshing: Taken | null = null;
  const { get, worker, stats } = await start(t, (taken, count) => {
    if (count > 1) refreshing = taken;
    else {
      const fields = ['Cache-Control', 'max-age=10, stale-while-revalidate=600', 'Age', '20'];
      taken.reply('old', fields);
    }
  });
  await get();
  const second = await get();
  assert.equal(second.body, 'old');
  assert.equal(statusOf(second), 'portico; hit; ttl=-10; detail=revalidating');
  const taken = await until('refresh', () => refreshing as Taken | null);
  assert.equal((await get()).body, 'old');
  assert.equal(worker.taken.length, 2);
  taken.reply('new', ['Cache-Control', 'max-age=60']);
  await until('refreshed response', () => stats().bytes > 0 && taken.closed);
  assert.equal((await get()).body, 'new');
  assert.equal(worker.taken.length, 2);
});

test('stale-if-error: a worker that dies, and an error of the app, leave the stored response', async (t) => {
  const fields = ['Cache-Control', 'max-age=10, stale-if-error=600', 'Age', '20'];
  const { get, worker, addWorker, edge } = await start(t, (taken, count) => {
    if (taken.worker.address.slot === 1 && count === 1) taken.reply('old', fields);
    else if (taken.worker.address.slot === 1) {
      taken.exchange.respond(503, '', ['Content-Length', '4']);
      taken.exchange.write(Buffer.from('busy'));
      taken.exchange.end([]);
    } else taken.worker.die();
  });
  await get();
  const onError = await get();
  assert.deepEqual([onError.status, onError.body], [200, 'old']);
  const detail = 'ttl=-10; detail=stale-if-error';
  assert.equal(statusOf(onError), `portico; fwd=stale; fwd-status=503; ${detail}`);
  const dying = await addWorker();
  edge.withdraw(worker.address.id, () => {});
  const onDeath = get();
  await until('request', () => dying.taken.length === 1);
  edge.gone(dying.address.id);
  // The request is idempotent, so it waits for another worker first.
  const another = await addWorker();
  await until('request', () => another.taken.length === 1);
  another.die();
  edge.gone(another.address.id);
  let isAnswered = false;
  void onDeath.then(() => {
    isAnswered = true;
  });
  while (!isAnswered) {
    const last = await addWorker();
    await until('request or answer', () => isAnswered || last.taken.length === 1);
    edge.gone(last.address.id);
  }
  const answer = await onDeath;
  assert.deepEqual([answer.status, answer.body], [200, 'old']);
  assert.equal(statusOf(answer), `portico; fwd=stale; ${detail}`);
});

test('requests for one URL that come at once ask the app once', async (t) => {
  const { get, worker, edge } = await start(t, () => {});
  const answers = Array.from({ length: 20 }, () => get('/busy'));
  await until('all requests', () => edge.status().requestsInFlight === 20);
  assert.equal(worker.taken.length, 1);
  worker.taken[0]?.reply('once', ['Cache-Control', 'max-age=60']);
  const statuses = (await Promise.all(answers)).map((answer) => {
    assert.equal(answer.body, 'once');
    return statusOf(answer);
  });
  assert.equal(worker.taken.length, 1);
  const collapsed = 'portico; fwd=uri-miss; collapsed; ttl=60';
  assert.equal(statuses.filter((status) => status === collapsed).length, 19);
});

test('of several variants asked for at once each is asked for once', async (t) => {
  const { get, worker, edge } = await start(t, () => {});
  const languages = Array.from({ length: 12 }, (_, at) => ['de', 'en', 'fr'][at % 3]!);
  const answers = languages.map((language) => get('/', `Accept-Language: ${language}\r\n`));
  await until('all requests', () => edge.status().requestsInFlight === 12);
  const reply = (taken: Taken | undefined) =>
    taken?.reply(fieldOf(taken, 'accept-language') ?? '', [
      ...['Cache-Control', 'max-age=60', 'Vary', 'Accept-Language'],
    ]);
  reply(worker.taken[0]);
  await until('the other two', () => worker.taken.length === 3);
  reply(worker.taken[1]);
  reply(worker.taken[2]);
  const bodies = (await Promise.all(answers)).map(({ body }) => body);
  assert.deepEqual(bodies, languages);
  assert.equal(worker.taken.length, 3);
});

test('those who waited for a response that is not for them ask themselves, and the next at once', async (t) => {
  const { get, worker, edge } = await start(t, () => {});
  const answers = Array.from({ length: 5 }, () => get('/me'));
  await until('all requests', () => edge.status().requestsInFlight === 5);
  worker.taken[0]?.reply('1', ['Cache-Control', 'private']);
  await until('the others', () => worker.taken.length === 5);
  for (const taken of worker.taken.slice(1)) taken.reply('2');
  const bodies = (await Promise.all(answers)).map(({ body }) => body).sort();
  assert.deepEqual(bodies, ['1', '2', '2', '2', '2']);
  const more = [get('/me'), get('/me', 'If-None-Match: "x"\r\n')];
  await until('both', () => worker.taken.length === 7);
  for (const taken of worker.taken.slice(5)) taken.reply('3');
  for (const answer of await Promise.all(more)) assert.equal(answer.body, '3');
});

test('a client that leaves while others wait for its request: the fetch goes on for them', async (t) => {
  const { ask, get, worker, edge } = await start(t, () => {});
  const leader = ask('GET /', '\r\n');
  await until('request', () => worker.taken.length === 1);
  const follower = get();
  await until('follower', () => edge.status().requestsInFlight === 2);
  leader.reset();
  await until('the leader gone', () => edge.status().requestsInFlight === 1);
  assert.equal(worker.taken[0]?.closed, false);
  worker.taken[0]?.reply('for the follower', ['Cache-Control', 'max-age=60']);
  assert.equal((await follower).body, 'for the follower');
  assert.equal(worker.taken.length, 1);
});

test('a client that leaves with nobody waiting ends the request', async (t) => {
  const { ask, worker } = await start(t, () => {});
  const client = ask('GET /', '\r\n');
  await until('request', () => worker.taken.length === 1);
  client.reset();
  await until('end', () => worker.taken[0]?.closed);
});

test('nobody waits for longer than cacheWait, nor more than queueSize', async (t) => {
  const { get, worker } = await start(t, () => {}, { cacheWaitMs: 1, queueSize: 2 });
  const answers = Array.from({ length: 6 }, () => get());
  await until('all of them at the worker', () => worker.taken.length === 6);
  for (const taken of worker.taken) taken.reply('own', ['Cache-Control', 'max-age=60']);
  for (const answer of await Promise.all(answers)) assert.equal(answer.body, 'own');
});

test('those who wait keep their time limit when a reload changes the size of the cache', async (t) => {
  const { get, worker, configure, edge } = await start(t, () => {}, { cacheWaitMs: 200 });
  const first = get();
  await until('the first at the worker', () => worker.taken.length === 1);
  const second = get();
  await until('the second in the cache', () => edge.status().requestsInFlight === 2);
  configure({ cacheBytes: 2 * 1024 * 1024, cacheWaitMs: 200 });
  await until('the second at the worker', () => worker.taken.length === 2);
  for (const taken of worker.taken) taken.reply('own');
  assert.deepEqual([(await first).body, (await second).body], ['own', 'own']);
});

test('what fails for the first fails for those who wait: nobody tries it on another worker', async (t) => {
  const { get, worker, edge } = await start(t, () => {});
  const answers = Array.from({ length: 5 }, () => get());
  await until('all requests', () => edge.status().requestsInFlight === 5);
  worker.taken[0]!.exchange.fail(failure('WORKER_RESET'));
  for (const answer of await Promise.all(answers)) assert.equal(answer.status, 502);
  assert.equal(worker.taken.length, 1);
});

test('a first client that does not read holds up neither the app nor those who wait', async (t) => {
  const { ask, get, worker, edge } = await start(t, () => {}, {
    ...{ cacheBytes: 64 * 1024 ** 2, cacheEntryBytes: 32 * 1024 ** 2 },
  });
  const slow = ask('GET /', '\r\n');
  slow.socket.pause();
  await until('request', () => worker.taken.length === 1);
  const follower = get();
  await until('follower', () => edge.status().requestsInFlight === 2);
  const { exchange } = worker.taken[0]!;
  exchange.respond(200, '', ['Cache-Control', 'max-age=60']);
  // More than all socket buffers on the way take.
  for (let at = 0; at < 200; at++) exchange.write(Buffer.alloc(100_000, 'x'));
  exchange.end([]);
  assert.equal((await follower).body.length, 20_000_000);
  assert.equal(edge.status().requestsInFlight, 1);
  slow.reset();
});

test('content streams to the first client while it is stored; too large, it just passes', async (t) => {
  const { ask, get, worker, stats } = await start(t, () => {}, { cacheEntryBytes: 100_000 });
  const client = ask('GET /', '\r\n');
  await until('request', () => worker.taken.length === 1);
  const { exchange } = worker.taken[0]!;
  exchange.respond(200, '', ['Cache-Control', 'max-age=60', 'Trailer', 'X-T']);
  exchange.write(Buffer.from('first'));
  await client.take('first');
  exchange.write(Buffer.alloc(90_000, 'x'));
  exchange.end([]);
  await client.take('0\r\n\r\n');
  const hit = await get();
  assert.equal(hit.body.length, 90_005);
  assert.equal(hit.fields.get('content-length'), '90005');
  const large = get('/large');
  await until('request', () => worker.taken.length === 2);
  worker.taken[1]!.exchange.respond(200, '', ['Cache-Control', 'max-age=60']);
  for (let at = 0; at < 20; at++) worker.taken[1]!.exchange.write(Buffer.alloc(10_000, 'y'));
  worker.taken[1]!.exchange.end([]);
  assert.equal((await large).body.length, 200_000);
  assert.equal(stats().entries, 1);
});

test('a Content-Length that is no number of bytes is refused, and costs nobody else anything', async (t) => {
  const lengths: Record<string, string> = { '/minus': '-5', '/half': '1.5', '/hex': '0x10' };
  const { get, stats } = await start(t, (taken) => {
    const length = lengths[taken.exchange.request.target];
    if (length === undefined) {
      taken.reply('fine', ['Cache-Control', 'max-age=60']);
      return;
    }
    taken.exchange.respond(200, '', ['Cache-Control', 'max-age=60', 'Content-Length', length]);
    taken.exchange.end([]);
  });
  for (const target of Object.keys(lengths)) assert.equal((await get(target)).status, 502, target);
  assert.equal(stats().entries, 0);
  assert.equal((await get('/fine')).body, 'fine');
});

test('a response that is cut is not stored', async (t) => {
  const { ask, worker, stats } = await start(t, () => {});
  const client = ask('GET /', '\r\n');
  await until('request', () => worker.taken.length === 1);
  worker.taken[0]!.exchange.respond(200, '', ['Cache-Control', 'max-age=60']);
  worker.taken[0]!.exchange.write(Buffer.from('half'));
  await client.take('half');
  worker.die();
  await client.ended();
  assert.equal(stats().entries, 0);
});

test('a file that the app names is for whom it checked, whatever the mount says of caches', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-cache-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'bill.txt'), 'yours');
  const mount = staticMount({ prefix: '/internal', dir, internal: true, maxAgeMs: 600_000 });
  const { get, worker, stats } = await start(t, replies('X-Accel-Redirect', '/internal/bill.txt'), {
    static: [mount],
  });
  for (let at = 0; at < 2; at++) {
    const answer = await get('/bill', 'Cookie: session=1\r\n');
    assert.equal(answer.body, 'yours');
    assert.match(answer.fields.get('cache-control') ?? '', /max-age/);
    assert.equal(statusOf(answer), 'portico; fwd=uri-miss');
  }
  assert.deepEqual([worker.taken.length, stats().entries], [2, 0]);
});

test('directives of the request: no-cache, max-age, only-if-cached', async (t) => {
  const { get } = await start(t, replies('Cache-Control', 'max-age=60', 'Age', '10'));
  const none = await get('/', 'Cache-Control: only-if-cached\r\n');
  assert.equal(none.status, 504);
  assert.match(none.body, /NOT_CACHED/);
  await get();
  assert.equal((await get('/', 'Cache-Control: only-if-cached\r\n')).body, 'answer 1');
  const again = await get('/', 'Cache-Control: no-cache\r\n');
  assert.equal(again.body, 'answer 2');
  assert.equal(statusOf(again), 'portico; fwd=request; fwd-status=200; stored');
  assert.equal((await get('/', 'Pragma: no-cache\r\n')).body, 'answer 3');
  assert.equal((await get('/', 'Cache-Control: max-age=5\r\n')).body, 'answer 4');
  assert.equal((await get()).body, 'answer 4');
});

test('ranges and content pass by', async (t) => {
  const { get, worker } = await start(t, replies('Cache-Control', 'max-age=60'));
  await get();
  assert.equal(statusOf(await get('/', 'Range: bytes=0-1\r\n')), 'portico; fwd=bypass');
  assert.equal(statusOf(await get('/', 'If-Match: "a"\r\n')), 'portico; fwd=bypass');
  const fat = await get('/', 'Content-Length: 0\r\n');
  assert.equal(statusOf(fat), 'portico; hit; ttl=60');
  assert.equal(worker.taken.length, 3);
});

test('an unsafe method that succeeds drops what is stored of its URL and of those it names', async (t) => {
  const { get, connect, stats } = await start(t, (taken, count) => {
    const { method, target } = taken.exchange.request;
    if (method === 'GET') taken.reply(`answer ${count}`, ['Cache-Control', 'max-age=60']);
    else {
      taken.exchange.respond(target === '/fails' ? 422 : 201, '', [
        ...['Location', '/new', 'Content-Location', 'http://elsewhere/other'],
        ...['Content-Length', '0'],
      ]);
      taken.exchange.end([]);
    }
  });
  for (const target of ['/', '/new', '/other', '/fails']) await get(target);
  const post = (target: string) =>
    connect()
      .send(`POST ${target} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n`)
      .response('POST');
  assert.equal(statusOf(await post('/fails')), 'portico; fwd=method');
  assert.equal(stats().entries, 4);
  await post('/');
  assert.equal(stats().entries, 2);
  assert.equal((await get('/other')).body, 'answer 3');
});

test('a purge by URL, path or tag; tags are not shown; what is being fetched is not stored', async (t) => {
  const { edge, get, worker, stats } = await start(t, (taken, count) => {
    if (taken.exchange.request.target === '/slow') return;
    const tags = ['Cache-Tag', `all, n${count}`, 'Surrogate-Key', 'key other'];
    taken.reply(`answer ${count}`, ['Cache-Control', 'max-age=60', ...tags]);
  });
  const first = await get('/1');
  assert.equal(first.fields.has('cache-tag') || first.fields.has('surrogate-key'), false);
  for (const target of ['/2', '/3', '/4']) await get(target);
  assert.equal(edge.purge({ kind: 'url', url: 'http://test/1' }), 1);
  assert.equal(edge.purge({ kind: 'url', url: 'http://test/1' }), 0);
  assert.equal(edge.purge({ kind: 'url', url: '/2' }), 1);
  assert.equal(edge.purge({ kind: 'tag', tag: 'n3' }), 1);
  assert.equal(edge.purge({ kind: 'tag', tag: 'key' }), 1);
  for (const what of [
    { kind: 'url', url: '/slow' },
    { kind: 'tag', tag: 'x' },
  ] as const) {
    const slow = get('/slow');
    const count = worker.taken.length;
    await until('request', () => worker.taken.length === count + 1);
    edge.purge(what);
    worker.taken.at(-1)!.reply('before the purge', ['Cache-Control', 'max-age=60']);
    assert.equal((await slow).body, 'before the purge');
  }
  assert.equal(stats().entries, 0);
});

test('new settings keep what is stored, another size does not', async (t) => {
  const { get, configure, stats } = await start(t, replies('Cache-Control', 'max-age=60'));
  await get();
  configure({ cacheBytes: 1024 * 1024, queueSize: 7 });
  assert.equal(stats().entries, 1);
  configure({ cacheBytes: 2 * 1024 * 1024 });
  assert.equal(stats().entries, 0);
});

test('many URLs keep to the memory that is allowed', async (t) => {
  const { connect, stats } = await start(t, (taken) =>
    taken.reply('x'.repeat(20_000), ['Cache-Control', 'max-age=60']),
  );
  const client = connect();
  for (let at = 0; at < 300; at++) {
    await client.send(`GET /${at} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
    assert.ok(stats().bytes <= 1024 * 1024);
  }
  assert.ok(stats().entries > 20);
});
