// Sends clients that come without TLS to the same URL with https.

import type { Config } from '../config/config.ts';
import { failure } from '../errors/failure.ts';
import type { Exchange, ExchangeHandler } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';

/** A CA asks for it without TLS, before there is a certificate (RFC 8555 section 8.3). */
const ACME_CHALLENGES = '/.well-known/acme-challenge/';
/** Load balancers ask for it without TLS, and take a redirect for a failure. */
const HEALTH = '/-/healthz';

const HTTPS_PORT = 443;

/** Whether it has answered the exchange. */
export type RedirectHttps = (exchange: Exchange) => boolean;

/** `boundPort`: of the first https:// bind; null = TLS is somebody else's, in front of this. */
export function createRedirectHttps(
  { redirectHttps, redirectHttpsPort }: Config,
  boundPort: () => number | null,
): RedirectHttps | null {
  if (redirectHttps === 'off') return null;
  const status = Number(redirectHttps);
  return (exchange) => {
    const { client, request } = exchange;
    // Over a Unix socket comes a proxy, which has clients of its own to redirect.
    if (client.scheme === 'https' || client.localPort === 0) return false;
    const { target } = request;
    if (target.startsWith(ACME_CHALLENGES) || target === HEALTH) return false;
    const host = fieldValue(request.fields, 'host');
    if (host === undefined) {
      exchange.fail(failure('BAD_HOST', 'without Host there is nowhere to redirect to'));
      return true;
    }
    const port = redirectHttpsPort ?? boundPort() ?? HTTPS_PORT;
    const name = host.startsWith('[')
      ? host.slice(0, host.indexOf(']') + 1)
      : host.split(':', 1)[0];
    const place = `https://${name}${port === HTTPS_PORT ? '' : `:${port}`}`;
    exchange.attach(new Ignored(exchange));
    const location = place + (target.startsWith('/') ? target : '/');
    const fields = [
      'Location',
      location,
      'Content-Length',
      '0',
      'X-Request-Id',
      exchange.requestId,
    ];
    exchange.respond(status, '', fields);
    exchange.end([]);
    return true;
  };
}

/** The content of a request that is answered without it. */
class Ignored implements ExchangeHandler {
  private readonly exchange: Exchange;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  onRequestData(chunk: Uint8Array): void {
    this.exchange.consumed(chunk.length);
  }

  onRequestEnd(): void {}
  onDrain(): void {}
  onClose(): void {}
}
