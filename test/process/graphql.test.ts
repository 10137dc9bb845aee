// GraphQL subscriptions through the whole program: graphql-ws at both ends, queries by POST beside them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { startPortico } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

test('a subscription gets its events, and goes on at the new worker after a reload', async (t) => {
  const { origin, port, signal } = await startPortico(t, [
    ...['test/fixtures/apps/upgrade/graphql.mjs', '-w', '1', '--upgrade-grace', '0'],
  ]);
  const ask = async (query: string, variables = {}): Promise<Record<string, unknown>> => {
    const body = JSON.stringify({ query, variables });
    const answer = await fetch(`${origin}/graphql`, { method: 'POST', body });
    const { data, errors } = (await answer.json()) as { data: object; errors?: unknown };
    assert.equal(errors, undefined);
    return { ...data };
  };
  const closes: number[] = [];
  const client = createClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    retryWait: async () => {},
    on: { closed: (event) => closes.push((event as { code: number }).code) },
  });
  t.after(() => client.dispose());
  const events = client.iterate<{ said: string }>({ query: 'subscription { said }' });
  /** Once the worker that answers is the one that has the subscription. */
  const subscribed = async (former: unknown): Promise<unknown> =>
    until('subscription', async () => {
      const { pid, listeners } = await ask('{ pid listeners }');
      return pid !== former && listeners === 1 ? pid : null;
    });
  let former: unknown = null;
  const say = 'mutation Say($text: String!) { say(text: $text) }';
  for (const text of ['hello', 'hello again']) {
    const next = events.next();
    const pid = await subscribed(former);
    assert.deepEqual(await ask(say, { text }), { say: true });
    assert.deepEqual((await next).value, { data: { said: `${pid} ${text}` } });
    former = pid;
    if (text === 'hello') signal('SIGHUP');
  }
  assert.deepEqual(closes, [1001]);
});
