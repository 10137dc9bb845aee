// Answers an exchange with a file that is ready: chooses the coding, heeds conditions and ranges, sends.

import { randomBytes } from 'node:crypto';
import { type Asked, askedNothing, evaluate, rangeApplies } from '../../http/conditions.ts';
import type { Exchange, ExchangeHandler } from '../../http/exchange.ts';
import { negotiateEncoding } from '../../http/negotiation.ts';
import { type PreparedHead, prepareHead } from '../../http/prepared-head.ts';
import { type ByteRange, contentRange, multipart, parseRanges } from '../../http/ranges.ts';
import { respondWithError } from '../error-pages/error-answer.ts';
import type { ErrorPages } from '../error-pages/error-pages.ts';
import { ignoreContent } from '../own-answer.ts';
import type { HotFile, Loaded } from './hot-cache.ts';
import type { HotContent } from './hot-content.ts';
import { NO_FILE } from './open-checked.ts';
import type { Described, Representation } from './representation.ts';
import { streamFile } from './stream.ts';

/** Done, or: the file is another by now, and nothing was sent. */
export type Answered = 'answered' | 'changed';

/** What of a representation is sent: one part of it, or several and text between them. */
interface Plan {
  readonly head: PreparedHead;
  /** null: no content. */
  readonly pieces: readonly (string | ByteRange)[] | null;
}

type StreamPlan = Plan & { readonly pieces: NonNullable<Plan['pieces']> };

/** The coding the client gets: index into described.coded, -1 for the file as it is. */
export function chooseCoding(described: Described, asked: Asked): number {
  if (described.codings.length === 0 || asked.acceptEncoding === undefined) return -1;
  const coding = negotiateEncoding(asked.acceptEncoding, described.codings);
  return coding === null ? -1 : described.codings.indexOf(coding);
}

/** Sends at once what is in memory; a promise only where the file has to be opened. GET and HEAD. */
export function answerHot(
  exchange: Exchange,
  file: HotFile,
  asked: Asked,
  pages: ErrorPages,
): 'answered' | Promise<Answered> {
  const chosen = chooseCoding(file.described, asked);
  const loaded = chosen === -1 ? file.plain : file.coded[chosen]!;
  const { representation, content } = loaded;
  if (asked === askedNothing && content !== null) {
    sendHead(exchange, representation.ok, ignoreContent);
    writeWhole(exchange, content);
    exchange.end([]);
    return 'answered';
  }
  return answerWith(exchange, loaded, asked, pages);
}

function answerWith(
  exchange: Exchange,
  loaded: Loaded,
  asked: Asked,
  pages: ErrorPages,
): 'answered' | Promise<Answered> {
  const { representation, content } = loaded;
  const verdict = evaluate(asked, representation.validators);
  if (verdict === 'failed') {
    respondWithError(exchange, 'PRECONDITION_FAILED', pages);
    return 'answered';
  }
  if (verdict === 'not-modified') {
    sendHead(exchange, representation.notModified, ignoreContent);
    exchange.end([]);
    return 'answered';
  }
  const plan = planOf(exchange, representation, asked);
  if (plan === null) {
    const { size } = representation.file.stats;
    respondWithError(exchange, 'RANGE_UNSATISFIABLE', pages, ['Content-Range', `bytes */${size}`]);
    return 'answered';
  }
  if (plan.pieces === null || content !== null) {
    sendHead(exchange, plan.head, ignoreContent);
    if (plan.head === representation.ok && plan.pieces !== null) writeWhole(exchange, content!);
    else for (const piece of plan.pieces ?? []) exchange.write(bytesOf(piece, content!.bytes));
    exchange.end([]);
    return 'answered';
  }
  return stream(exchange, loaded, { head: plan.head, pieces: plan.pieces });
}

/** At once where the file is open. */
function stream(
  exchange: Exchange,
  loaded: Loaded,
  plan: StreamPlan,
): 'answered' | Promise<Answered> {
  const fd = loaded.kept === null ? NO_FILE : loaded.kept.take(exchange.record.startedMs);
  if (fd === NO_FILE && loaded.kept !== null) return openAndStream(exchange, loaded, plan);
  return streamFrom(exchange, loaded, plan, fd);
}

async function openAndStream(
  exchange: Exchange,
  loaded: Loaded,
  plan: StreamPlan,
): Promise<Answered> {
  const fd = await loaded.kept!.open();
  return fd === null ? 'changed' : streamFrom(exchange, loaded, plan, fd);
}

function streamFrom(
  exchange: Exchange,
  { representation: { file }, blocks, kept }: Loaded,
  { head, pieces }: StreamPlan,
  fd: number,
): 'answered' {
  respond(exchange, head);
  streamFile(exchange, { fd, file, blocks, kept }, pieces);
  return 'answered';
}

/** What of it the socket is not lent at once is written. */
function writeWhole(exchange: Exchange, content: HotContent): void {
  const isLent = content.mayBeLent && exchange.sendsFiles === true;
  const lendable = isLent ? content.lendable : null;
  const sent = lendable === null ? 0 : exchange.lend!(lendable);
  const { bytes } = content;
  if (sent < bytes.length) exchange.write(sent === 0 ? bytes : bytes.subarray(sent));
}

function bytesOf(piece: string | ByteRange, content: Buffer): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece, 'latin1');
  return content.subarray(piece.start, piece.end + 1);
}

/** Null: 416. */
function planOf(exchange: Exchange, representation: Representation, asked: Asked): Plan | null {
  const { ok, validators, file, fields, type } = representation;
  const { size } = file.stats;
  // To HEAD no Range applies (RFC 9110 section 14.2).
  if (exchange.request.method === 'HEAD') return { head: ok, pieces: null };
  const whole: Plan = { head: ok, pieces: size === 0 ? null : [{ start: 0, end: size - 1 }] };
  if (!rangeApplies(asked, validators)) return whole;
  const ranges = parseRanges(asked.range!, size);
  if (ranges === 'whole') return whole;
  if (ranges === 'none') return null;
  if (ranges.length === 1) {
    const range = ranges[0]!;
    const partial = [...fields, 'Content-Range', contentRange(range, size)];
    return { head: prepareHead(206, partial, range.end - range.start + 1), pieces: ranges };
  }
  const parts = multipart(ranges, {
    size,
    contentType: type,
    boundary: randomBytes(16).toString('hex'),
  });
  // Many small parts of a small file can be dearer than all of it.
  if (parts.contentLength >= size) return whole;
  const partial = fields.map((value, at) =>
    at % 2 === 1 && fields[at - 1] === 'Content-Type' ? parts.contentType : value,
  );
  return { head: prepareHead(206, partial, parts.contentLength), pieces: parts.pieces };
}

function sendHead(exchange: Exchange, head: PreparedHead, handler: ExchangeHandler): void {
  exchange.attach(handler);
  respond(exchange, head);
}

function respond(exchange: Exchange, head: PreparedHead): void {
  if (exchange.respondPrepared !== undefined) exchange.respondPrepared(head);
  else exchange.respond(head.status, '', [...head.fields, 'X-Request-Id', exchange.requestId]);
}
