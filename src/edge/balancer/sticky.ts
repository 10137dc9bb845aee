// Which requests belong to a worker, and which worker that is: for apps that keep a session in memory, as
// Socket.IO does while it polls. Pure.

import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValues } from '../../http/fields.ts';
import { type Candidate, choose } from './policy.ts';

export type Sticky = 'off' | 'auto' | 'ip' | 'cookie';

/** Where a request would like to go. */
export interface Stick {
  /** The same key goes to the same worker. */
  readonly key: string | null;
  /** The `place` of the worker that had the last request. */
  readonly place: string | null;
  /** Name of the cookie by which the client is told its place; null = it is not. */
  readonly cookie: string | null;
  /** Without key and place: to where the fewest upgraded connections are. */
  readonly byUpgraded: boolean;
}

interface Place extends Candidate {
  /** Slot of the worker, and number of its thread: stays when the worker is replaced. */
  readonly place: string;
  readonly upgraded: number;
}

export type StickTo = (exchange: Exchange) => Stick | null;

/** For upgrades that may go to any worker. They stay for long, so it is those that count. */
export const fewestUpgraded: Stick = {
  ...{ key: null, place: null, cookie: null, byUpgraded: true },
};

/** Null: requests go to any worker. `cookie`: a token that is the pool's own, for clients send all they have to all
 *  pools of a host. */
export function createSticky(sticky: Sticky, cookie: string): StickTo | null {
  switch (sticky) {
    case 'off':
      return null;
    case 'auto':
      // Engine.IO's requests name its protocol's version: /socket.io/?EIO=4&transport=polling&sid=…
      return (exchange) => (exchange.request.target.includes('EIO=') ? byAddress(exchange) : null);
    case 'ip':
      return byAddress;
    case 'cookie':
      return byCookie(cookie);
  }
}

function byAddress({ client }: Exchange): Stick | null {
  if (client.address === '') return null;
  return { key: client.address, place: null, cookie: null, byUpgraded: false };
}

function byCookie(cookie: string): StickTo {
  const pattern = new RegExp(`(?:^|[;,]\\s*)${cookie}=([\\d-]{1,20})(?:\\s*[;,]|$)`);
  return ({ request }) => {
    const cookies = fieldValues(request.fields, 'cookie') ?? '';
    const place = pattern.exec(cookies)?.[1] ?? null;
    return { key: null, place, cookie, byUpgraded: false };
  };
}

/** The answer's fields with a cookie that leads back to where it came from, if the client has none. */
export function withCookie(fields: Fields, stick: Stick, place: string, secure: boolean): Fields {
  if (stick.cookie === null || stick.place === place) return fields;
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  return [...fields, 'Set-Cookie', `${stick.cookie}=${place}; ${attributes}`];
}

/** Index of the backend to use, or -1. A worker that is full or gone is not waited for: its session is
 *  lost, and a new one begins elsewhere. */
export function chooseFor(
  stick: Stick,
  candidates: readonly Place[],
  start: number,
  avoidWorkerId: number,
): number {
  const fits = ({ takesRequests, inFlight, capacity, workerId }: Place): boolean =>
    takesRequests && inFlight < capacity && workerId !== avoidWorkerId;
  if (stick.place !== null) {
    const at = candidates.findIndex((it) => it.place === stick.place && fits(it));
    if (at !== -1) return at;
  }
  // Highest random weight: when one worker goes, the keys of the others stay where they are.
  const rank =
    stick.key !== null
      ? ({ place }: Place) => weight(`${stick.key}/${place}`)
      : stick.byUpgraded
        ? ({ upgraded, inFlight }: Place) => -upgraded - inFlight
        : null;
  if (rank === null) return choose(candidates, start, avoidWorkerId);
  let best = -1;
  let bestRank = Number.NEGATIVE_INFINITY;
  for (let step = 0; step < candidates.length; step++) {
    const index = (start + step) % candidates.length;
    const candidate = candidates[index]!;
    if (!fits(candidate) || rank(candidate) <= bestRank) continue;
    best = index;
    bestRank = rank(candidate);
  }
  return best === -1 ? choose(candidates, start, avoidWorkerId) : best;
}

/** FNV-1a, and the last steps of MurmurHash3, so that places that differ in one digit differ in all bits. */
function weight(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
