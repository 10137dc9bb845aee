// Pipelined requests, cut at random places on their way through a real socket, get the same answers.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { startEdge } from '../helpers/edge-listener.ts';

const ROUNDS = 60;

/** Numbers from 0 up to below 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Asked {
  readonly method: string;
  readonly wire: string;
  readonly answer: string;
}

/** A request as it may come, and what the handler below answers to it. */
function request(random: () => number, index: number): Asked {
  const pick = (below: number): number => Math.floor(random() * below);
  const body = 'b'.repeat(pick(4) === 0 ? pick(100_000) : pick(40));
  const target = `/${index}/${'t'.repeat(pick(30))}`;
  const fields = `Host: a\r\nX-Pad: ${'x'.repeat(pick(200))}\r\n`;
  switch (pick(4)) {
    case 0:
      return {
        method: 'GET',
        wire: `GET ${target} HTTP/1.1\r\n${fields}\r\n`,
        answer: `${target} `,
      };
    case 1:
      return { method: 'HEAD', wire: `HEAD ${target} HTTP/1.1\r\n${fields}\r\n`, answer: '' };
    case 2: {
      const wire = `POST ${target} HTTP/1.1\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
      return { method: 'POST', wire, answer: `${target} ${body}` };
    }
    default: {
      const half = pick(body.length + 1);
      const chunks = [body.slice(0, half), body.slice(half)]
        .filter((chunk) => chunk !== '')
        .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
        .join('');
      const wire = `PUT ${target} HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
      return { method: 'PUT', wire, answer: `${target} ${body}` };
    }
  }
}

test('random requests, split at random, answered at random times', async (t) => {
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = generator(seed);
  const edge = await startEdge(t, (heard) => {
    const answer = (): void => {
      const text = `${heard.exchange.request.target} ${heard.body}`;
      if (random() < 0.5) {
        heard.reply(200, text);
        return;
      }
      heard.exchange.respond(200, '', []);
      const half = Math.floor(random() * text.length);
      heard.exchange.write(Buffer.from(text.slice(0, half)));
      later(random, () => {
        heard.exchange.write(Buffer.from(text.slice(half)));
        heard.exchange.end([]);
      });
    };
    heard.onEnd = () => later(random, answer);
  });
  for (let round = 0; round < ROUNDS; round++) {
    const asked = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, n) =>
      request(random, n),
    );
    const wire = asked.map((one) => one.wire).join('');
    const client = edge.connect();
    for (let at = 0; at < wire.length; ) {
      const size =
        random() < 0.3 ? 1 + Math.floor(random() * 4) : 1 + Math.floor(random() * 30_000);
      client.send(wire.slice(at, at + size));
      at += size;
      if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
    }
    if (random() < 0.5) client.end();
    for (const one of asked) {
      const response = await client.response(one.method);
      assert.equal(response.status, 200, `seed ${seed} round ${round}`);
      assert.ok(response.body === one.answer, `seed ${seed} round ${round}: another answer`);
    }
    assert.equal(client.received, '');
    client.leave();
  }
});

/** At once, at the end of this turn, or in a later one. */
function later(random: () => number, then: () => void): void {
  const when = random();
  if (when < 0.4) then();
  else if (when < 0.7) process.nextTick(then);
  else setImmediate(then);
}
