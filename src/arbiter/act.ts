// Carries out what decide decided: the only place where the arbiter touches processes, sockets and logs.

import type { SendHandle } from 'node:child_process';
import { withoutPassphrases } from '../config/certificate-files.ts';
import type { BindAddress, Config } from '../config/config.ts';
import type { Log } from '../telemetry/log.ts';
import type { CertificateKeeper } from './certificates.ts';
import type { Children } from './children.ts';
import type { ControlServer } from './control/server.ts';
import type { Action, BindResult, EdgeOrder, Event, LoadResult } from './decide/events.ts';
import { socketBaseOf } from './decide/moves.ts';
import type { BoundSocket } from './sockets.ts';
import { bindSocket } from './sockets.ts';
import type { TicketKeys } from './ticket-keys.ts';

export interface World {
  readonly runtimeDir: string;
  readonly children: Children;
  /** Bound public sockets by key. */
  readonly sockets: Map<string, BoundSocket>;
  readonly ticketKeys: TicketKeys;
  readonly control: () => ControlServer | null;
  readonly log: () => Log;
  readonly certificates: CertificateKeeper;
  readonly adopt: (config: Config) => void;
  /** Makes the log files anew, for the children too, which are told after this. */
  readonly reopenLogs: () => void;
  readonly loadConfig: () => Promise<LoadResult>;
  readonly random: () => number;
  readonly onEvent: (event: Event) => void;
  readonly onExit: (code: number) => void;
}

export function act(world: World, action: Action): void {
  const { children } = world;
  switch (action.kind) {
    case 'spawn-edge':
      children.spawnEdge(action.id, action.slot);
      return;
    case 'spawn-worker': {
      const { id, app, slot, config } = action;
      const { maxRequests, maxRequestsJitter } = config;
      const jitter = Math.floor(world.random() * (maxRequestsJitter + 1));
      children.spawnWorker(config, {
        id,
        app,
        slot,
        socketBase: socketBaseOf(world.runtimeDir, id),
        maxRequests: maxRequests === 0 ? 0 : maxRequests + jitter,
      });
      return;
    }
    case 'tell-edge':
      tellEdge(world, action.id, action.message);
      return;
    case 'tell-worker':
      children.tellWorker(action.id, action.message);
      return;
    case 'kill':
      children.kill(action.role, action.id, action.signal);
      return;
    case 'load-config':
      void load(world, action.reloadId);
      return;
    case 'bind':
      void bind(world, action);
      return;
    case 'close-sockets':
      for (const key of action.keys) {
        world.sockets.get(key)?.close();
        world.sockets.delete(key);
      }
      return;
    case 'adopt':
      world.adopt(action.config);
      return;
    case 'reopen-logs':
      world.reopenLogs();
      return;
    case 'reply':
      world.control()?.reply(action.askId, action.reply);
      return;
    case 'log':
      world.log()[action.level](action.text, action.facts ?? undefined);
      return;
    case 'exit':
      world.onExit(action.code);
      return;
    default:
      throw new Error(`unknown action ${JSON.stringify(action satisfies never)}`);
  }
}

function tellEdge(world: World, id: number, order: EdgeOrder): void {
  const { children, certificates, sockets, ticketKeys } = world;
  switch (order.type) {
    case 'configure': {
      const config = withoutPassphrases(order.config);
      children.tellEdge(id, { type: 'configure', config, tls: certificates.files() });
      // Before the sockets, on which a client may come with a ticket at once.
      if (config.bind.some(({ tls }) => tls))
        children.tellEdge(id, { type: 'ticket-keys', keys: ticketKeys.keys });
      return;
    }
    case 'certificates':
      children.tellEdge(id, { type: 'certificates', tls: certificates.files() });
      return;
    case 'listen': {
      const socket = sockets.get(order.key);
      // The handle is libuv's own, which Node sends as it is ("net.Native").
      if (socket) children.tellEdge(id, order, socket.handle as unknown as SendHandle);
      return;
    }
    default:
      children.tellEdge(id, order);
  }
}

async function load(world: World, reloadId: number): Promise<void> {
  let result: LoadResult;
  try {
    result = await world.loadConfig();
  } catch (cause) {
    result = { ok: false, problems: [cause instanceof Error ? cause.message : String(cause)] };
  }
  world.onEvent({ kind: 'loaded', reloadId, result });
}

async function bind(world: World, action: Extract<Action, { kind: 'bind' }>): Promise<void> {
  const result = await bindAll(world.sockets, action.addresses, action.config);
  world.onEvent({ kind: 'bound', reloadId: action.reloadId, result });
}

/** Binds all of the addresses or none, and keeps them in `sockets`. */
export async function bindAll(
  sockets: Map<string, BoundSocket>,
  addresses: readonly { readonly key: string; readonly address: BindAddress }[],
  config: Config,
): Promise<BindResult> {
  const bound: BoundSocket[] = [];
  const problems: string[] = [];
  for (const { key, address } of addresses) {
    const { umask, bind: others } = config;
    const result = await bindSocket(key, address, { umask, others });
    if (!result.ok) problems.push(result.problem);
    else bound.push(result.socket);
  }
  // A reload that was given up may have bound it after all, a moment ago.
  for (const { key } of bound) if (sockets.has(key)) problems.push(`${key} is bound already`);
  if (problems.length > 0) {
    for (const socket of bound) socket.close();
    return { ok: false, problems };
  }
  for (const socket of bound) sockets.set(socket.key, socket);
  return {
    ok: true,
    sockets: bound.map(({ key, address, url }) => ({ key, address, url })),
  };
}
