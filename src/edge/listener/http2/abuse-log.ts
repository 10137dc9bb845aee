// Tells of HTTP/2 connections that were ended for what the client did, now and then and by number.

import type { Log } from '../../../telemetry/log.ts';
import type { Http2Abuse } from './connection.ts';

/** An attack comes with thousands of connections; one line in so long is enough of it. */
const TELL_EVERY_MS = 10_000;

export class AbuseLog {
  private readonly log: Log;
  private readonly counts: Record<Http2Abuse, number> = { flood: 0, protocol: 0 };
  private toldMs = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.log = log;
  }

  note(kind: Http2Abuse, detail: string, address: string, nowMs: number): void {
    this.counts[kind]++;
    if (nowMs - this.toldMs < TELL_EVERY_MS) return;
    this.toldMs = nowMs;
    const { flood, protocol } = this.counts;
    this.log.warning('ended HTTP/2 connections for what their clients sent', {
      flood,
      protocol,
      lastDetail: detail,
      lastAddress: address,
    });
    this.counts.flood = 0;
    this.counts.protocol = 0;
  }
}
