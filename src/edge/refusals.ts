// Which of the requests that were refused for what their client did are told one by one in the
// event log, and how the rest is summed up: anyone can cause any number of them.

import type { FailureCode } from '../errors/catalogue.ts';
import type { Log } from '../telemetry/log.ts';

export interface RefusalLimits {
  /** Within it a client is named once for each code. */
  readonly windowMs: number;
  /** Lines of a window, however many there are. */
  readonly linesMax: number;
  /** Clients told apart in a window, for each code; what others do is counted all the same. */
  readonly clientsMax: number;
}

const usual: RefusalLimits = { windowMs: 60_000, linesMax: 100, clientsMax: 1000 };

/** Refusals of one code in this window. */
interface Tally {
  /** Refusals by client. */
  readonly clients: Map<string, number>;
  /** Of those that found no room there. */
  others: number;
  untold: number;
}

export class Refusals {
  private readonly log: Log;
  private readonly limits: RefusalLimits;
  private readonly tallies = new Map<FailureCode, Tally>();
  private lines = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(log: Log, limits: RefusalLimits = usual) {
    this.log = log;
    this.limits = limits;
  }

  /** Whether this one is to be told. `client` is an IP address; '' for a Unix socket. */
  isTold(code: FailureCode, client: string): boolean {
    this.timer ??= setTimeout(() => this.close(), this.limits.windowMs).unref();
    let tally = this.tallies.get(code);
    if (tally === undefined) {
      tally = { clients: new Map(), others: 0, untold: 0 };
      this.tallies.set(code, tally);
    }
    const { clients } = tally;
    const before = clients.get(client);
    if (before !== undefined || clients.size < this.limits.clientsMax)
      clients.set(client, (before ?? 0) + 1);
    else tally.others++;
    if (before === undefined && this.lines < this.limits.linesMax) {
      this.lines++;
      return true;
    }
    tally.untold++;
    return false;
  }

  /** Sums up what was not told, and begins anew. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    for (const [code, { clients, others, untold }] of this.tallies) {
      if (untold === 0) continue;
      const [mostBy, most] = [...clients].reduce((a, b) => (b[1] > a[1] ? b : a));
      this.log.info('More requests were refused than are told one by one.', {
        code,
        requests: untold,
        withinMs: this.limits.windowMs,
        // With others there are more: how many is not known.
        clients: others === 0 ? clients.size : `more than ${clients.size}`,
        mostBy: mostBy === '' ? 'unix' : mostBy,
        ofThose: most,
      });
    }
    this.tallies.clear();
    this.lines = 0;
  }
}
