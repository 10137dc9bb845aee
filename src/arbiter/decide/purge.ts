// The answer to `portico purge`: every edge forgets, and says how many responses that were.

import type { Purge } from '../../ipc/messages.ts';
import { statusMs } from './limits.ts';
import type { PurgeAsk } from './state.ts';
import { knowsWorkers, reply, set, type Turn, tellEdge, tellEdges } from './turn.ts';

export function askPurge(turn: Turn, askId: number, purges: readonly Purge[]): void {
  const { edgeConfig, edges } = turn.state;
  if (edgeConfig.config.cacheBytes === 0) {
    const problems = ['There is no cache: start with --cache 64m to have one'];
    reply(turn, [askId], { ok: false, problems });
    return;
  }
  const waiting: number[] = [];
  // One that is not configured yet has nothing stored.
  for (const { id } of edges.filter(knowsWorkers))
    for (const what of purges) {
      tellEdge(turn, id, { type: 'purge', askId, what });
      waiting.push(id);
    }
  put(turn, { askId, waiting, responses: 0, deadlineMs: turn.now + statusMs });
}

export function edgePurged(turn: Turn, edgeId: number, askId: number, responses: number): void {
  const ask = turn.state.purgeAsks.find((other) => other.askId === askId);
  const at = ask?.waiting.indexOf(edgeId) ?? -1;
  if (ask === undefined || at === -1) return;
  const waiting = ask.waiting.filter((_, index) => index !== at);
  put(turn, { ...ask, waiting, responses: ask.responses + responses });
}

/** The edge ended, and with it all it had stored. */
export function edgeLeftPurge(turn: Turn, edgeId: number): void {
  for (const ask of turn.state.purgeAsks)
    put(turn, { ...ask, waiting: ask.waiting.filter((id) => id !== edgeId) });
}

export function checkPurgeAsks(turn: Turn): void {
  for (const ask of turn.state.purgeAsks) {
    if (turn.now < ask.deadlineMs) continue;
    drop(turn, ask);
    const problems = ['Not every edge has said in time that it is done; ask again'];
    reply(turn, [ask.askId], { ok: false, problems });
  }
}

/** After a deploy the former pages are wrong: what the generation before it answered is forgotten.
 *  Number 0 is no one's request, so that the answers go nowhere. */
export function forgetAll(turn: Turn): void {
  if (turn.state.edgeConfig.config.cacheBytes === 0) return;
  tellEdges(turn, { type: 'purge', askId: 0, what: { kind: 'all' } });
}

/** Keeps the request, or answers it when nothing is awaited any more. */
function put(turn: Turn, ask: PurgeAsk): void {
  drop(turn, ask);
  if (ask.waiting.length > 0) set(turn, { purgeAsks: [...turn.state.purgeAsks, ask] });
  else reply(turn, [ask.askId], { ok: true, command: 'purge', responses: ask.responses });
}

function drop(turn: Turn, { askId }: PurgeAsk): void {
  set(turn, { purgeAsks: turn.state.purgeAsks.filter((other) => other.askId !== askId) });
}
