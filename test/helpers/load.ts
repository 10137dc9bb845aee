// A steady stream of requests from several clients at once, and what became of each.

import { RawClient } from './raw-client.ts';
import { Watchers } from './watchers.ts';

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  /** A connection for each request, instead of one a client. */
  readonly reconnect?: boolean;
}

export interface Load {
  /** Answers with 200. */
  readonly good: number;
  /** All else, in words. */
  readonly bad: readonly string[];
  /** Processes that answered (X-Pid). */
  readonly pids: ReadonlySet<string>;
  /** Resolves when `probe` holds, looked at after each answer. */
  until(what: string, probe: () => boolean, deadlineMs?: number): Promise<unknown>;
  /** Resolves when the last answer has come. */
  stop(): Promise<void>;
}

/** GET requests, each client one after another, until stop(). */
export function startLoad({ port, clients, reconnect = false }: LoadOptions): Load {
  let good = 0;
  let stopping = false;
  const bad: string[] = [];
  const pids = new Set<string>();
  const watchers = new Watchers();
  const ask = async (client: RawClient): Promise<void> => {
    client.send('GET /load HTTP/1.1\r\nHost: test\r\n\r\n');
    const { status, fields, body } = await client.response();
    if (status === 200) good++;
    else bad.push(`${status} ${body.trim()}`);
    const pid = fields.get('x-pid');
    if (pid !== undefined) pids.add(pid);
    watchers.tell();
  };
  const run = async (): Promise<void> => {
    let client: RawClient | null = null;
    while (!stopping) {
      client ??= new RawClient(port);
      try {
        await ask(client);
        if (!reconnect) continue;
      } catch (error) {
        bad.push(String(error));
      }
      client.leave();
      client = null;
    }
    client?.leave();
  };
  const running = Promise.all(Array.from({ length: clients }, run));
  return {
    get good() {
      return good;
    },
    bad,
    pids,
    until: (what, probe, deadlineMs = 30_000) =>
      watchers.until(() => (probe() ? true : null), {
        deadlineMs,
        report: () => `no ${what}; ${good} good, bad: ${bad.join('; ')}`,
      }),
    stop: async () => {
      stopping = true;
      await running;
    },
  };
}
