// Frames as plain values: what a decoder hears, written down, and an encoder fed from the same.

import type { Fields } from '../../src/http/exchange.ts';
import { Decoder, type FrameSink } from '../../src/link/decoder.ts';
import type { Encoder } from '../../src/link/encoder.ts';
import type { LinkRequest } from '../../src/link/link.ts';
import { PING, PONG } from '../../src/link/protocol.ts';

export type Frame =
  | { type: 'request'; id: number; open: LinkRequest; end: boolean }
  | { type: 'response'; id: number; status: number; reason: string; fields: Fields; end: boolean }
  | { type: 'inform'; id: number; status: number; fields: Fields }
  | { type: 'data'; id: number; content: string; end: boolean }
  | { type: 'end'; id: number; trailers: Fields }
  | { type: 'reset'; id: number; code: string; detail: string; refused: boolean }
  | { type: 'credit'; id: number; bytes: number }
  | { type: 'ping' | 'pong'; value: string }
  | { type: 'drain' }
  | { type: 'broken'; detail: string };

export class Recorder implements FrameSink {
  readonly frames: Frame[] = [];
  readonly decoder: Decoder = new Decoder(this);
  thrown: unknown[] = [];

  onRequest(id: number, open: LinkRequest, end: boolean): void {
    this.frames.push({ type: 'request', id, open, end });
  }
  onResponse(id: number, status: number, reason: string, fields: Fields, end: boolean): void {
    this.frames.push({ type: 'response', id, status, reason, fields, end });
  }
  onInform(id: number, status: number, fields: Fields): void {
    this.frames.push({ type: 'inform', id, status, fields });
  }
  /** Pieces of one frame are put together again: where they are cut depends on the splits. */
  onData(id: number, chunk: Uint8Array, end: boolean): void {
    const content = Buffer.from(chunk).toString('latin1');
    const last = this.frames.at(-1);
    if (last?.type === 'data' && last.id === id && !last.end) {
      last.content += content;
      last.end = end;
    } else this.frames.push({ type: 'data', id, content, end });
  }
  onEnd(id: number, trailers: Fields): void {
    this.frames.push({ type: 'end', id, trailers });
  }
  onReset(id: number, code: string, detail: string, refused: boolean): void {
    this.frames.push({ type: 'reset', id, code, detail, refused });
  }
  onCredit(id: number, bytes: number): void {
    this.frames.push({ type: 'credit', id, bytes });
  }
  onPing(value: Uint8Array): void {
    this.frames.push({ type: 'ping', value: Buffer.from(value).toString('latin1') });
  }
  onPong(value: Uint8Array): void {
    this.frames.push({ type: 'pong', value: Buffer.from(value).toString('latin1') });
  }
  onDrain(): void {
    this.frames.push({ type: 'drain' });
  }
  onBroken(detail: string): void {
    this.frames.push({ type: 'broken', detail });
  }
  onThrown(error: unknown): void {
    this.thrown.push(error);
  }
}

/** Puts the frame into the batch; an `end` flag is set as the ends of the link do it. */
export function encodeFrame(encoder: Encoder, frame: Frame): void {
  switch (frame.type) {
    case 'request':
      encoder.request(frame.id, frame.open, frame.end);
      break;
    case 'response':
      encoder.response(frame.id, frame.status, frame.reason, frame.fields);
      if (frame.end) encoder.end(frame.id, []);
      break;
    case 'inform':
      encoder.inform(frame.id, frame.status, frame.fields);
      break;
    case 'data': {
      const content = Buffer.from(frame.content, 'latin1');
      encoder.data(frame.id, content, 0, content.length);
      if (frame.end) encoder.end(frame.id, []);
      break;
    }
    case 'end':
      encoder.end(frame.id, frame.trailers);
      break;
    case 'reset':
      encoder.reset(frame.id, frame.code, frame.detail, frame.refused);
      break;
    case 'credit':
      encoder.credit(frame.id, frame.bytes);
      break;
    case 'ping':
    case 'pong':
      encoder.ping(frame.type === 'ping' ? PING : PONG, Buffer.from(frame.value, 'latin1'));
      break;
    case 'drain':
      encoder.drain();
      break;
    case 'broken':
      break;
  }
}

/** What has been encoded, as a buffer of its own. */
export function batchOf(encoder: Encoder): Buffer {
  encoder.seal();
  return Buffer.concat(encoder.parts);
}
