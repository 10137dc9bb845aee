// How much work a client may make without asking for anything: resets, pings, settings, bytes for nothing.

import type { Socket } from 'node:net';
import { TokenBucket } from './token-bucket.ts';

/** Streams a client may reset before they are answered: a page left while it loads resets all of
 *  its requests. Beyond it is the rapid reset attack (CVE-2023-44487). */
const RESETS_BURST = 256;
const RESETS_PER_SECOND = 50;
/** PING and SETTINGS: each makes us answer. gRPC sends pings with its data, a few a second. */
const CONTROLS_BURST = 256;
const CONTROLS_PER_SECOND = 32;
/** Bytes that carry neither fields nor content: window updates, priorities, frames of unknown types,
 *  the headers of tiny frames. */
const OVERHEAD_BYTES_BURST = 1024 * 1024;
const OVERHEAD_BYTES_PER_SECOND = 1024 * 1024;
/** With each byte of content received, or sent, this much overhead is usual: its frames' headers,
 *  window updates. */
const OVERHEAD_PER_CONTENT = 4;
const OVERHEAD_PER_SENT = 1 / 8;
const OVERHEAD_PER_STREAM_BYTES = 128;

/** Each method says whether that is still bearable. */
export class Guard {
  private readonly resets: TokenBucket;
  private readonly controls: TokenBucket;
  private readonly overhead: TokenBucket;
  private usefulBytes = 0;
  private seenBytes = 0;
  private seenSentBytes = 0;

  constructor(nowMs: number) {
    this.resets = new TokenBucket(RESETS_BURST, RESETS_PER_SECOND, nowMs);
    this.controls = new TokenBucket(CONTROLS_BURST, CONTROLS_PER_SECOND, nowMs);
    this.overhead = new TokenBucket(OVERHEAD_BYTES_BURST, OVERHEAD_BYTES_PER_SECOND, nowMs);
  }

  noteFields(bytes: number): void {
    this.usefulBytes += bytes + OVERHEAD_PER_STREAM_BYTES;
  }

  noteContent(bytes: number): void {
    this.usefulBytes += bytes;
  }

  mayReset(nowMs: number): boolean {
    return this.resets.take(1, nowMs);
  }

  mayControl(nowMs: number): boolean {
    return this.controls.take(1, nowMs);
  }

  /** Looks at what came since the last time. `waitingBytes`: content that no handler has seen yet. */
  maySend(socket: Socket, waitingBytes: number, nowMs: number): boolean {
    const read = socket.bytesRead - this.seenBytes;
    this.seenBytes = socket.bytesRead;
    const sentBytes = handleOf(socket)?.bytesWritten ?? 0;
    const sent = sentBytes - this.seenSentBytes;
    this.seenSentBytes = sentBytes;
    const allowed =
      this.usefulBytes * OVERHEAD_PER_CONTENT + waitingBytes + sent * OVERHEAD_PER_SENT;
    this.usefulBytes = 0;
    return this.overhead.take(Math.max(0, read - allowed), nowMs);
  }
}

/** What the socket itself does not count where node:http2 writes past it. */
interface StreamHandle {
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

export function handleOf(socket: Socket): StreamHandle | null {
  return (socket as unknown as { _handle: StreamHandle | null })._handle;
}
