// gRPC needs HTTP/2 and trailers all the way: a call for an HTTP/1.1 upstream is refused in its own terms.

import type { Exchange, RequestHead } from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import { answerWith } from '../own-answer.ts';

/** Not application/grpc-web, which was made for HTTP/1.1. */
export function isGrpc({ method, fields }: RequestHead): boolean {
  if (method !== 'POST') return false;
  return /^application\/grpc(\+|;|\s|$)/i.test(fieldValue(fields, 'content-type') ?? '');
}

/** A call that failed is a 200 to HTTP: UNIMPLEMENTED in its status, and nothing else ("Trailers-Only" of
 *  gRPC's PROTOCOL-HTTP2). A 4xx or 5xx clients would have to guess a meaning of. */
export function refuseGrpc(exchange: Exchange): null {
  exchange.record.upstream = 'route';
  answerWith(exchange, 200, [
    ...['Content-Type', 'application/grpc', 'grpc-status', '12'],
    ...['grpc-message', 'Portico speaks HTTP/1.1 to upstreams%2C and gRPC needs HTTP/2'],
  ]);
  return null;
}
