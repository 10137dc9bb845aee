// Sends clients that come without TLS to the same URL with https.

import type { Config } from '../config/config.ts';
import { failure } from '../errors/failure.ts';
import type { Exchange } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { challengePath } from './acme/lane.ts';
import { LIVE, READY } from './health.ts';
import { answerWith } from './own-answer.ts';

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
    // Asked without TLS: by a CA, before there is a certificate; by load balancers, to whom a redirect is a failure.
    if (target.startsWith(challengePath) || target === LIVE || target === READY) return false;
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
    answerWith(exchange, status, ['Location', place + (target.startsWith('/') ? target : '/')]);
    return true;
  };
}
