// The HTTP/1.1 response parser, for what upstreams answer: as strict as the one for requests, for a response that
// two parsers end in two places puts the next one into the wrong hands (RFC 9112 sections 4, 6 and 11.1).

import { type Failure, failure } from '../errors/failure.ts';
import type { BodyLength, Fields } from './exchange.ts';
import { fieldValue } from './fields.ts';
import { HeadDraft, type ParserLimits } from './head-draft.ts';
import { settleCodings } from './head-facts.ts';
import { MessageParser } from './message-parser.ts';
import type { ContentEvents } from './parser-events.ts';
import { CR, excerpt, isValueByte, LF, SP } from './tokens.ts';

/** Called from within push(); they must call neither push() nor next(). */
export interface ResponseEvents extends ContentEvents {
  /** 100 to 199, but 101; the final response is still to come. */
  onInform(status: number, fields: Fields): void;
  onHead(head: ReceivedHead): void;
}

export interface ReceivedHead {
  readonly status: number;
  /** As received; '' is possible. */
  readonly reason: string;
  readonly fields: Fields;
  /** Whether another request may follow on the connection, as far as the head says. */
  readonly keepAlive: boolean;
  /** How long the upstream says it keeps an idle connection (Keep-Alive: timeout=5); null = it does not say. */
  readonly keepAliveSeconds: number | null;
}

/** A head of an app that sends a dozen cookies fits; nginx takes 8 KB unless told otherwise. */
export const responseLimits: ParserLimits = {
  requestLineBytes: 4_096,
  fields: 256,
  fieldSizeBytes: 32_768,
  bodyBytes: 0,
  permitBareLf: false,
};
/** Informational responses before the final one, as on the link. */
const INFORMS_MAX = 64;

const LETTER_H = 72;

export class ResponseParser extends MessageParser {
  private readonly events: ResponseEvents;
  /** The request was HEAD: whatever the fields say, no content follows. */
  private isHead = false;
  private status = 0;
  private reason = '';
  private informs = 0;
  /** The end of the connection is the end of the content. */
  private untilClose = false;

  constructor(events: ResponseEvents, limits: ParserLimits = responseLimits) {
    super(limits, events);
    this.events = events;
  }

  /** A request has been sent: its response is what comes next. */
  expect(method: string): void {
    this.isHead = method === 'HEAD';
    this.informs = 0;
    this.next();
  }

  /** The connection has ended. True: that was the end of the content, which has been told now. */
  endOfInput(): boolean {
    if (!this.untilClose || this.current !== 'body') return false;
    this.finish([]);
    return true;
  }

  protected readStart(bytes: Buffer, text: string, start: number): number {
    this.current = 'head';
    this.draft = new HeadDraft(this.limits, 'response');
    const at = this.readStatusLine(this.draft, bytes, text, start);
    return at === -1 ? this.failDraft() : at;
  }

  /** "HTTP/1.1 200 OK". Some servers leave out the space where there is no phrase; nothing else is forgiven. */
  private readStatusLine(draft: HeadDraft, bytes: Buffer, text: string, start: number): number {
    const minor = bytes[start + 7];
    if (!text.startsWith('HTTP/1.') || (minor !== 48 && minor !== 49) || bytes[start + 8] !== SP)
      return failStart(draft, text);
    draft.version = minor === 49 ? '1.1' : '1.0';
    let at = start + 9;
    let status = 0;
    for (; at < start + 12; at++) {
      const digit = bytes[at]! - 48;
      if (!(digit >= 0 && digit <= 9)) return failStart(draft, text);
      status = status * 10 + digit;
    }
    if (bytes[at] === SP) at++;
    else if (bytes[at] !== CR) return failStart(draft, text);
    const phraseAt = at;
    while (isValueByte[bytes[at]!] === 1) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF || at - start > draft.limits.requestLineBytes)
      return failStart(draft, text);
    this.status = status;
    this.reason = text.substring(phraseAt - start, at - start);
    return at + 2;
  }

  protected finishHead(draft: HeadDraft): boolean {
    const { status, reason } = this;
    if (status < 200) return this.finishInformational(draft);
    const length = this.lengthOf(draft);
    if (length === -1) {
      this.failDraft();
      return false;
    }
    this.untilClose = length === Number.POSITIVE_INFINITY;
    const { fields } = draft;
    // A 204 that speaks of content may send some, which would be taken for the next response.
    const isOdd = status === 204 && (draft.contentLength > 0 || draft.transferEncoding !== null);
    const keepAlive =
      !(this.untilClose || isOdd || draft.asksClose) &&
      (draft.version === '1.1' || draft.asksKeepAlive);
    const hint = keepAlive ? fieldValue(fields, 'keep-alive') : undefined;
    const keepAliveSeconds = hint === undefined ? null : secondsIn(hint);
    this.beginContent(length);
    this.events.onHead({ status, reason, fields, keepAlive, keepAliveSeconds });
    if (length === 0) this.finish([]);
    return true;
  }

  /** Infinity: until the connection ends; -1 with `draft.failure` set (RFC 9112 section 6.3). */
  private lengthOf(draft: HeadDraft): BodyLength {
    const hasNone = this.isHead || this.status === 204 || this.status === 304;
    if (draft.transferEncoding !== null) {
      if (!settleCodings(draft, draft.transferEncoding)) return -1;
      return hasNone ? 0 : 'unknown';
    }
    if (hasNone) return 0;
    return draft.contentLength === -1 ? Number.POSITIVE_INFINITY : draft.contentLength;
  }

  private finishInformational(draft: HeadDraft): boolean {
    const { status } = this;
    let fault: string | null = null;
    if (status < 100) fault = `${status} is not a status`;
    else if (status === 101) fault = 'a switch of protocols (101) that nobody asked for';
    else if (draft.transferEncoding !== null || draft.contentLength !== -1)
      fault = `a ${status} response that announces content`;
    else if (++this.informs > INFORMS_MAX)
      fault = `more than ${INFORMS_MAX} informational responses`;
    if (fault !== null) {
      this.fail('RESPONSE_INVALID', fault);
      return false;
    }
    this.beginAnew();
    this.events.onInform(status, draft.fields);
    return true;
  }

  protected beginStart(first: number): boolean {
    this.current = 'head';
    if (first === LETTER_H) return true;
    this.fail('RESPONSE_INVALID', NOT_HTTP);
    return false;
  }

  protected failStartTooLong(): -1 {
    return this.fail('RESPONSE_INVALID', tooLong(this.limits));
  }

  /** Readers that are shared with requests say what is wrong; whose fault it is, only the two ends know. */
  protected override failureFor(fault: Failure): Failure {
    return failure('RESPONSE_INVALID', fault.detail);
  }
}

const NOT_HTTP = 'what it sent does not begin as an HTTP/1.1 response';

function tooLong({ requestLineBytes }: ParserLimits): string {
  return `the status line is longer than ${requestLineBytes} bytes`;
}

function failStart(draft: HeadDraft, text: string): -1 {
  const line = text.slice(0, text.indexOf('\n'));
  if (!line.startsWith('H')) return draft.fail('RESPONSE_INVALID', NOT_HTTP);
  if (line.replace(/\r$/, '').length > draft.limits.requestLineBytes)
    return draft.fail('RESPONSE_INVALID', tooLong(draft.limits));
  return draft.fail('RESPONSE_INVALID', `not a status line: ${excerpt(line)}`);
}

/** Of "timeout=5, max=100". */
function secondsIn(keepAlive: string): number | null {
  const found = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s;])/i.exec(keepAlive);
  return found === null ? null : Number(found[1]);
}
