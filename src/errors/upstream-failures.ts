// The part of the failure catalogue that is about workers, the apps in them, and upstreams.

import type { Blame } from './failure.ts';

export interface CatalogueRow {
  readonly blame: Blame;
  /** Status of the answer; 0 = no answer can be sent. 499 is nginx's "client closed request": logged, never sent. */
  readonly status: number;
  readonly retry: boolean;
  /** What happened, for a person who reads the log. */
  readonly what: string;
  /** What to do about it. */
  readonly remedy: string;
}

export const upstreamFailures = {
  // The worker and the app in it.
  WORKER_DIED: {
    blame: 'upstream',
    status: 502,
    retry: true,
    what: 'The worker ended before it answered.',
    remedy: 'See why the worker ended, a few log lines earlier.',
  },
  WORKER_RESET: {
    blame: 'upstream',
    status: 502,
    retry: false,
    what: 'The app destroyed the response before it was complete.',
    remedy: "See the app's own log.",
  },
  RESPONSE_TIMEOUT: {
    blame: 'upstream',
    status: 504,
    retry: false,
    what: 'The app did not begin to answer in responseTimeout.',
    remedy: 'Make the app faster, or raise responseTimeout.',
  },
  RESPONSE_LENGTH: {
    blame: 'upstream',
    status: 502,
    retry: false,
    what: 'The app sent more or less content than its Content-Length said.',
    remedy: "Correct the app's Content-Length.",
  },
  RESPONSE_INVALID: {
    blame: 'upstream',
    status: 502,
    retry: false,
    what: 'The app sent a response that HTTP does not allow.',
    remedy: 'Correct the status or the fields that the log names.',
  },
  // Upstreams and workers that are reached by HTTP/1.1.
  UPSTREAM_UNREACHABLE: {
    blame: 'upstream',
    status: 502,
    retry: true,
    what: 'No connection to the upstream could be made.',
    remedy: 'Check that it runs and listens at the address that the log names.',
  },
  UPSTREAM_NONE: {
    blame: 'upstream',
    status: 503,
    retry: true,
    what: 'No member of the upstream is reachable and well.',
    remedy: 'See `portico status`, and why each was left, a few log lines earlier.',
  },
  UPSTREAM_TIMEOUT: {
    blame: 'upstream',
    status: 504,
    retry: true,
    what: 'A connection to the upstream was not made in connectTimeout.',
    remedy: 'Look for a firewall that drops packets, or an upstream that accepts nothing.',
  },
  UPSTREAM_CERTIFICATE: {
    blame: 'upstream',
    status: 502,
    retry: true,
    what: 'The certificate of an https upstream is not valid for it.',
    remedy: 'Correct the certificate, or name its CA by tls.caFile and its host by tls.serverName.',
  },
  UPSTREAM_CLOSED: {
    blame: 'upstream',
    status: 502,
    retry: true,
    what: 'The upstream closed the connection before its response was whole.',
    remedy: "See the upstream's own log.",
  },
  UPSTREAM_SILENT: {
    blame: 'upstream',
    status: 504,
    retry: false,
    what: 'The upstream sent nothing for idleTimeout in the midst of a response.',
    remedy: 'Let it send something now and then (event streams: a comment), or raise idleTimeout.',
  },
  ACCEL_PATH: {
    blame: 'upstream',
    status: 500,
    retry: false,
    what: 'The app named a file by X-Accel-Redirect or X-Sendfile that is under no internal mount.',
    remedy: 'Mark the mount `internal: true`, or correct the path that the log names.',
  },
  LINK_PROTOCOL: {
    blame: 'upstream',
    status: 502,
    retry: true,
    what: 'A frame broke the link protocol.',
    remedy: 'Check that edge and worker are of one version; else report it.',
  },
} as const satisfies Record<string, CatalogueRow>;
