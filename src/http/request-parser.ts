// The HTTP/1.1 request parser: bytes in, one message's head, content and trailers out. The only
// parser in the path of a request, so it is strict: what it lets through has one meaning (RFC 9110, RFC 9112).
//
//   idle ──▶ head ──▶ body ──▶ done ──next()──▶ idle        any of the first three ──▶ failed

import { HeadDraft, type ParserLimits } from './head-draft.ts';
import { settleFacts } from './head-facts.ts';
import { readLatin1 } from './latin1.ts';
import { MessageParser, START_LINE } from './message-parser.ts';
import type { ParserEvents, StartedRequest } from './parser-events.ts';
import { type FieldMemory, isUsual } from './repeated-fields.ts';
import {
  failFirstByte,
  failTooLong,
  isGet,
  methodEndOf,
  readRequestLine,
  USUAL_LINE_END,
  usualTargetEnd,
} from './request-line.ts';
import { CR, isTokenByte, LF } from './tokens.ts';

export type { ParserLimits } from './head-draft.ts';
export type { RequestFraming } from './head-facts.ts';

/** Empty lines ignored before a request line: RFC 9112 section 2.2 asks for one at least; old
 *  clients send one after a POST. Without a limit they would be a way to send for ever. */
const EMPTY_LINES_MAX = 4;

export class RequestParser extends MessageParser {
  private readonly events: ParserEvents;
  private emptyLines = 0;

  constructor(limits: ParserLimits, events: ParserEvents) {
    super(limits, events);
    this.events = events;
  }

  /** Method and target as far as the head has been read; null before and after. */
  get started(): StartedRequest | null {
    return this.draft === null || this.draft.isTrailers ? null : this.draft;
  }

  override next(): void {
    if (this.current === 'done') this.emptyLines = 0;
    super.next();
  }

  protected override takeLines(chunk: Buffer, start: number): number {
    if (this.phase === START_LINE && this.events.memory?.isEmpty === false) {
      const next = this.takeRepeated(chunk, start, this.events.memory);
      if (next !== start) return next;
    }
    return super.takeLines(chunk, start);
  }

  /** Takes a head whose field lines are those of the one before; `start`: it is none. */
  private takeRepeated(chunk: Buffer, start: number, memory: FieldMemory): number {
    const methodEnd = methodEndOf(chunk, start);
    // What is odd about the line is said where all lines are read.
    const targetEnd = usualTargetEnd(chunk, methodEnd);
    const fieldsAt = targetEnd + USUAL_LINE_END;
    if (targetEnd === -1 || fieldsAt - 2 - start > this.limits.requestLineBytes) return start;
    const known = memory.find(chunk, fieldsAt, this.limits);
    if (known === null) return start;
    const method = isGet(chunk, start) ? 'GET' : readLatin1(chunk, start, methodEnd);
    if (method === '' || method === 'CONNECT') return start;
    const target = memory.targetAt(chunk, methodEnd + 1, targetEnd);
    const { fields } = known;
    this.current = 'body';
    const head = { method, target, version: '1.1', fields, repeats: known, shared: null } as const;
    this.events.onHead(head, known.framing);
    this.finish([]);
    return fieldsAt + known.length;
  }

  protected readStart(bytes: Buffer, text: string, start: number, end: number): number {
    let at = this.skipEmptyLines(bytes, start, end);
    if (at === -1 || at === end) return at;
    this.current = 'head';
    this.draft = new HeadDraft(this.limits, 'request');
    at = readRequestLine(this.draft, bytes, text, start, at);
    return at === -1 ? this.failDraft() : at;
  }

  private skipEmptyLines(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
      else if (bytes[at] === LF && this.limits.permitBareLf) at++;
      else return at;
      if (++this.emptyLines > EMPTY_LINES_MAX) {
        return this.fail('BAD_REQUEST_LINE', 'too many empty lines before the request line');
      }
    }
    return at;
  }

  protected finishHead(draft: HeadDraft, lines: Uint8Array | null): boolean {
    const framing = settleFacts(draft);
    if (framing === null) {
      this.failDraft();
      return false;
    }
    const { method, target, version, fields } = draft;
    const { bodyLength } = framing;
    this.beginContent(bodyLength);
    if (lines !== null && bodyLength === 0 && framing.upgrade === null && isUsual(draft))
      this.events.memory?.note(lines, fields, framing, this.limits);
    this.events.onHead({ method, target, version, fields, repeats: null, shared: null }, framing);
    if (bodyLength === 0) this.finish([]);
    return true;
  }

  protected beginStart(first: number): boolean {
    if (first === CR) return true;
    this.current = 'head';
    if (isTokenByte[first] === 1) return true;
    this.draft = new HeadDraft(this.limits, 'request');
    failFirstByte(this.draft, first);
    this.failDraft();
    return false;
  }

  protected failStartTooLong(): -1 {
    this.draft ??= new HeadDraft(this.limits, 'request');
    failTooLong(this.draft);
    return this.failDraft();
  }
}
