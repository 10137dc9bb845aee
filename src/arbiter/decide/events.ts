// What happens to the arbiter, and what it does about it: two unions, everything between them is decide.

import type { BindAddress, Config, LogLevel } from '../../config/config.ts';
import type { FromEdge, FromWorker, TlsFiles, ToEdge, ToWorker } from '../../ipc/messages.ts';
import type { Reply, Request } from '../control/protocol.ts';
import type { PublicSocket } from './state.ts';

export type ArbiterSignal =
  | 'SIGHUP'
  | 'SIGTERM'
  | 'SIGINT'
  | 'SIGQUIT'
  | 'SIGTTIN'
  | 'SIGTTOU'
  | 'SIGUSR1'
  | 'SIGUSR2'
  | 'SIGWINCH';

export type Role = 'edge' | 'worker';

export type Event =
  /** First of all, once. */
  | { readonly kind: 'start' }
  /** Several times a second: deadlines are looked at. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'signal'; readonly signal: ArbiterSignal }
  | { readonly kind: 'spawned'; readonly role: Role; readonly id: number; readonly pid: number }
  | { readonly kind: 'worker-says'; readonly id: number; readonly message: FromWorker }
  | { readonly kind: 'edge-says'; readonly id: number; readonly message: FromEdge }
  /** The process ended, or could not be started (`failure`). */
  | {
      readonly kind: 'exit';
      readonly role: Role;
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
      readonly failure: string | null;
    }
  | { readonly kind: 'loaded'; readonly reloadId: number; readonly result: LoadResult }
  | { readonly kind: 'bound'; readonly reloadId: number; readonly result: BindResult }
  /** Answered by exactly one 'reply' with the same number. */
  | { readonly kind: 'ask'; readonly askId: number; readonly request: Request }
  /** Files of certificates have changed, and are good. */
  | { readonly kind: 'certificates-changed' }
  /** --reload: the app's files changed. */
  | { readonly kind: 'files-changed'; readonly path: string };

export type LoadResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly string[] };

export type BindResult =
  | { readonly ok: true; readonly sockets: readonly PublicSocket[] }
  | { readonly ok: false; readonly problems: readonly string[] };

export type Action =
  | { readonly kind: 'spawn-edge'; readonly id: number; readonly slot: number }
  | {
      readonly kind: 'spawn-worker';
      readonly id: number;
      readonly app: string;
      readonly slot: number;
      readonly config: Config;
    }
  | { readonly kind: 'tell-edge'; readonly id: number; readonly message: EdgeOrder }
  | { readonly kind: 'tell-worker'; readonly id: number; readonly message: WorkerOrder }
  | {
      readonly kind: 'kill';
      readonly role: Role;
      readonly id: number;
      readonly signal: 'SIGABRT' | 'SIGKILL';
    }
  /** Answered by 'loaded'. */
  | { readonly kind: 'load-config'; readonly reloadId: number }
  /** Answered by 'bound'. */
  | {
      readonly kind: 'bind';
      readonly reloadId: number;
      readonly addresses: readonly { readonly key: string; readonly address: BindAddress }[];
      readonly config: Config;
    }
  | { readonly kind: 'close-sockets'; readonly keys: readonly string[] }
  /** A reload came through: settings of the arbiter itself (its log) follow. */
  | { readonly kind: 'adopt'; readonly config: Config }
  | { readonly kind: 'reopen-logs' }
  | { readonly kind: 'reply'; readonly askId: number; readonly reply: Reply }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly text: string;
      readonly facts: object | null;
    }
  /** Everything is over. Last action of all. */
  | { readonly kind: 'exit'; readonly code: number };

/** What the files of certificates hold is added by the act of telling: keys never come into the state. */
export type EdgeOrder =
  | Exclude<ToEdge, { readonly tls: TlsFiles }>
  | { readonly type: 'configure'; readonly config: Config }
  | { readonly type: 'certificates' };

/** 'configure' is added by the act of spawning: only it knows the paths. */
export type WorkerOrder = Exclude<ToWorker, { type: 'configure' }>;
