// X-Accel-Redirect and X-Sendfile: the app names a file, the edge sends it, and the worker is free.

import type { StaticMount } from '../../config/config.ts';
import { failure } from '../../errors/failure.ts';
import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import { excerpt, sameName } from '../../http/tokens.ts';
import type { ResponseSink, ResponseStep } from '../response-step.ts';
import type { NamedPath } from '../static/mounts.ts';
import { HandedOver } from './handed-over.ts';
import { type NamedFile, namedByPath, namedByUri } from './named-file.ts';

export interface AccelLane {
  /** Sends the file, as to any client. */
  serve(exchange: Exchange, named: NamedPath): unknown;
  /** Answers 404. */
  missing(exchange: Exchange): void;
}

/** What nginx keeps of the response that named a file (ngx_http_upstream_headers_in). */
const kept = new Set([
  'content-type',
  'set-cookie',
  'content-disposition',
  'cache-control',
  'expires',
  'accept-ranges',
]);

/** A step for responses of the app; null where no mount is internal, so that it costs nothing. */
export function createAccel(mounts: readonly StaticMount[], lane: AccelLane): ResponseStep | null {
  const internal = mounts.filter((mount) => mount.internal);
  if (internal.length === 0) return null;
  return (exchange, _status, fields, source) => {
    const uri = appField(fields, 'x-accel-redirect');
    const path = uri === null ? appField(fields, 'x-sendfile') : null;
    if (uri === null && path === null) return null;
    source.dismiss();
    return new AccelSink(exchange, lane, (sink) => {
      if (uri !== null) sink.send(uri, namedByUri(uri, internal), fields);
      else if (path !== null)
        void namedByPath(path, internal).then((file) => sink.send(path, file, fields));
    });
  };
}

/** Like fieldValue(), for every response of the app: most names differ in length. */
function appField(fields: Fields, lowerName: string): string | null {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (name.length === lowerName.length && sameName(name, lowerName)) return fields[index + 1]!;
  }
  return null;
}

/** Takes the app's response, and gives the client the file. */
class AccelSink implements ResponseSink {
  private readonly exchange: Exchange;
  private readonly lane: AccelLane;
  private readonly begin: (sink: AccelSink) => void;
  private view: HandedOver | null = null;
  private isClosed = false;

  constructor(exchange: Exchange, lane: AccelLane, begin: (sink: AccelSink) => void) {
    this.exchange = exchange;
    this.lane = lane;
    this.begin = begin;
  }

  /** `value` is what the app said, `file` what that names. */
  send(value: string, file: NamedFile | null, fields: Fields): void {
    if (this.isClosed) return;
    const { exchange } = this;
    if (file === null) {
      exchange.fail(failure('ACCEL_PATH', `${excerpt(value, 200)} is not in an internal mount`));
      return;
    }
    const own = keptOf(fields);
    const { method, version } = exchange.request;
    const noRanges = fieldValue(own, 'accept-ranges')?.trim().toLowerCase() === 'none';
    const request = {
      // As nginx does: a POST that made a file is answered with the file.
      method: method === 'HEAD' ? 'HEAD' : 'GET',
      target: file.target,
      version,
      fields: noRanges ? withoutRange(exchange.request.fields) : exchange.request.fields,
    };
    this.view = new HandedOver(exchange, request, own, this.lane.missing);
    this.lane.serve(this.view, file.named);
  }

  /** The app's head; only now will this sink hear what becomes of the exchange. */
  respond(): void {
    this.begin(this);
  }

  write(): boolean {
    return true;
  }

  end(): void {}

  onDrain(): void {
    this.view?.drained();
  }

  close(): void {
    this.isClosed = true;
    this.view?.closed();
  }
}

function keptOf(fields: Fields): Fields {
  const own: Fields = [];
  for (let index = 0; index < fields.length; index += 2)
    if (kept.has(fields[index]!.toLowerCase())) own.push(fields[index]!, fields[index + 1]!);
  return own;
}

function withoutRange(fields: Fields): Fields {
  const rest: Fields = [];
  for (let index = 0; index < fields.length; index += 2)
    if (!sameName(fields[index]!, 'range')) rest.push(fields[index]!, fields[index + 1]!);
  return rest;
}
