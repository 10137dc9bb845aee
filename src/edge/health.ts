// The health endpoints: whether this edge lives, and whether requests to the app will be answered.
// Answered by the edge itself, at once, however busy the workers are.

import type { Exchange, Handle } from '../http/exchange.ts';
import { answerWith } from './own-answer.ts';

/** Names that orchestrators' examples use and no app is likely to; "/health" stays the app's own. */
export const LIVE = '/-/healthz';
export const READY = '/-/readyz';

export interface HealthFacts {
  /** Workers that take requests. */
  readonly workersReady: number;
  /** A drain has begun. */
  readonly isStopping: boolean;
}

/** The step before `handle` that answers both. Ready is who has `workersWanted` workers. */
export function answerHealth(
  workersWanted: number,
  facts: () => HealthFacts,
  handle: Handle,
): Handle {
  return (exchange) => {
    const { target } = exchange.request;
    // Most targets differ at the second character.
    if (target.charCodeAt(1) !== DASH) handle(exchange);
    else {
      const path = target.split('?', 1)[0];
      if (path === LIVE) answer(exchange, 200, 'alive\n');
      else if (path === READY) answerReady(exchange, workersWanted, facts());
      else handle(exchange);
    }
  };
}

const DASH = 45;

function answerReady(exchange: Exchange, wanted: number, facts: HealthFacts): void {
  const { workersReady, isStopping } = facts;
  if (isStopping) answer(exchange, 503, 'not ready: stopping\n');
  else if (workersReady >= wanted) answer(exchange, 200, 'ready\n');
  else answer(exchange, 503, `not ready: ${workersReady} of ${wanted} workers\n`);
}

function answer(exchange: Exchange, status: number, text: string): void {
  const { method } = exchange.request;
  const isRead = method === 'GET' || method === 'HEAD';
  const content = Buffer.from(isRead ? text : 'only GET and HEAD\n');
  exchange.record.upstream = 'health';
  const fields = ['Content-Type', 'text/plain; charset=utf-8', 'Cache-Control', 'no-store'];
  if (!isRead) fields.push('Allow', 'GET, HEAD');
  answerWith(exchange, isRead ? status : 405, fields, content);
}
