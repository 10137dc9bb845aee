// Deadlines of connections: one timer looks at all of them now and then, in place of one timer each.

import { failure } from '../../errors/failure.ts';
import type { Http1Connection } from './http1-connection.ts';
import type { ConnectionOptions } from './hub.ts';

/** After the client's FIN it is asked whether it still listens: who waits for a long poll and has left is to
 *  be known within 100 ms, and most answers are quicker than the first. The second finds the reset that the
 *  first has brought; the others are for clients that are farther away. */
const PROBES_MS = [30, 80, 500, 1_000];
/** Between two pairs of probes after these. */
const PROBE_EVERY_MS = 10_000;
/** A half-closed client that has been sent nothing for so long in the midst of an answer is taken
 *  to have left: nothing can be sent to find out. */
const QUIET_MS = 2_000;

const PROBE = 'HTTP/1.1 102 Processing\r\n\r\n';

/** What one sweep remembers of a connection for the next; made only where something is amiss. */
export class Watch {
  /** Bytes that wait for the client, and since when it has taken none. */
  waitingBytes = 0;
  waitingSinceMs = 0;
  /** Content given to send by then: of a file as much waits each time. */
  givenBytes = 0;
  /** When the client's FIN was first seen, and when to ask next. */
  endedMs = 0;
  probeAtMs = 0;
  probes = 0;
  /** Content sent, and since when no more. */
  sentBytes = -1;
  quietSinceMs = 0;
}

/** Ends or answers what has lasted too long. */
export function sweep(
  connection: Http1Connection,
  nowMs: number,
  options: ConnectionOptions,
): void {
  const { phase, socket } = connection;
  if (phase === 'busy') sweepBusy(connection, nowMs, options);
  else if (phase === 'closed' || nowMs < connection.deadlineMs) return;
  // The end of an answer is still on its way: then it is the client's reading that has a limit.
  else if (connection.output.unsent > 0) sweepSending(connection, nowMs, options);
  else if (phase === 'head') connection.refuse(failure('HEAD_TIMEOUT'));
  else socket.destroy();
}

function sweepBusy(connection: Http1Connection, nowMs: number, options: ConnectionOptions): void {
  const { exchange } = connection;
  if (exchange === null) return;
  exchange.countFile();
  if (connection.output.unsent > 0) sweepSending(connection, nowMs, options);
  else if (connection.watch !== null) connection.watch.waitingBytes = 0;
  const awaitsContent =
    connection.messageOpen &&
    !connection.readingPaused &&
    !exchange.continueWanted &&
    !exchange.ended;
  if (awaitsContent && nowMs - connection.lastReadMs >= options.bodyTimeoutMs) {
    connection.closeAfter = true;
    exchange.fail(failure('BODY_TIMEOUT'));
  }
  if (connection.clientEnded && connection.phase === 'busy') sweepHalfClosed(connection, nowMs);
}

/** Has the client taken any of what waits for it? */
function sweepSending(
  connection: Http1Connection,
  nowMs: number,
  options: ConnectionOptions,
): void {
  connection.watch ??= new Watch();
  const { watch, socket } = connection;
  const waiting = connection.output.unsent + kernelQueue(socket);
  const given = connection.exchange?.record.responseBytes ?? 0;
  if (waiting !== watch.waitingBytes || given !== watch.givenBytes) {
    watch.waitingBytes = waiting;
    watch.givenBytes = given;
    watch.waitingSinceMs = nowMs;
  } else if (nowMs - watch.waitingSinceMs >= options.sendTimeoutMs)
    connection.cut(failure('SEND_TIMEOUT'), false);
}

/** What libuv still has of the write in progress: writableLength alone moves only when a write is
 *  complete, and one write may be megabytes. net.Socket reads the same for its own timeout. */
function kernelQueue(socket: object): number {
  const { _handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return _handle?.writeQueueSize ?? 0;
}

/** The first probes come before the next sweep. */
export function probeSoon(connection: Http1Connection): void {
  const look = (): void => {
    if (connection.phase === 'busy') sweepHalfClosed(connection, performance.now());
  };
  look();
  for (const afterMs of PROBES_MS) setTimeout(look, afterMs + 1).unref();
}

/** A client that closed and one that only has no more to send look the same: a FIN. The first
 *  answers whatever it is sent with a reset, which the write after it reports. Any client must be
 *  able to read an informational response it did not ask for (RFC 9110 section 15.2). */
function sweepHalfClosed(connection: Http1Connection, nowMs: number): void {
  connection.watch ??= new Watch();
  const { watch, exchange, output } = connection;
  if (exchange === null || exchange.ended) return;
  if (watch.endedMs === 0) {
    watch.endedMs = nowMs;
    watch.probeAtMs = nowMs + PROBES_MS[0]!;
  }
  if (exchange.responded) {
    // Its head came after the FIN.
    if (exchange.isEventStream) exchange.fail(failure('CLIENT_LEFT'));
    else if (exchange.record.responseBytes !== watch.sentBytes) {
      watch.sentBytes = exchange.record.responseBytes;
      watch.quietSinceMs = nowMs;
    } else if (nowMs - watch.quietSinceMs >= QUIET_MS) exchange.fail(failure('CLIENT_LEFT'));
  } else if (exchange.request.version === '1.1' && nowMs >= watch.probeAtMs) {
    output.addText(PROBE);
    output.flush();
    watch.probes++;
    const early = PROBES_MS[watch.probes];
    // Two at a time: the first brings the reset, the second finds it.
    if (early === undefined)
      watch.probeAtMs = nowMs + (watch.probes % 2 === 0 ? PROBE_EVERY_MS : 0);
    else watch.probeAtMs = watch.endedMs + early;
  }
}
