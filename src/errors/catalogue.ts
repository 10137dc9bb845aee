// Every failure a client or an operator can see: one table, from which docs/errors.md is made.

import type { Blame } from './failure.ts';

interface CatalogueRow {
  readonly blame: Blame;
  /** Status of the answer; 0 = no answer can be sent. 499 is nginx's "client closed request": logged, never sent. */
  readonly status: number;
  readonly retry: boolean;
  /** What happened, for a person who reads the log. */
  readonly what: string;
  /** What to do about it. */
  readonly remedy: string;
}

const rows = {
  // The client's request (RFC 9112).
  BAD_REQUEST_LINE: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'The request line is malformed.',
    remedy: 'Send METHOD SP target SP HTTP/1.1.',
  },
  BAD_METHOD: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'The method is not a token.',
    remedy: 'Use letters, digits and token characters only.',
  },
  BAD_TARGET: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'The request target is malformed or does not fit the method.',
    remedy: 'Percent-encode what a URI may not hold.',
  },
  BAD_VERSION: {
    blame: 'client',
    status: 505,
    retry: false,
    what: 'The HTTP version is not spoken here.',
    remedy: 'Use HTTP/1.1 or HTTP/1.0.',
  },
  BAD_FIELD: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'A field line is malformed: name, colon, value or line ending.',
    remedy: 'Send "name: value" CRLF, with no space before the colon and no folding.',
  },
  BAD_HOST: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'Host is missing, repeated or malformed.',
    remedy: 'Send exactly one valid Host field.',
  },
  BAD_LENGTH: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'Content-Length is malformed or contradicts itself.',
    remedy: 'Send one Content-Length of decimal digits.',
  },
  BAD_TRANSFER_ENCODING: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'Transfer-Encoding is not plain "chunked", comes with Content-Length, or comes in HTTP/1.0.',
    remedy: 'Send Transfer-Encoding: chunked alone, in HTTP/1.1.',
  },
  UNKNOWN_TRANSFER_CODING: {
    blame: 'client',
    status: 501,
    retry: false,
    what: 'A transfer coding other than chunked was used.',
    remedy: 'Send the content with chunked only.',
  },
  BAD_CHUNK: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'A chunk of the request is malformed.',
    remedy: 'Send hexadecimal size, CRLF, data, CRLF.',
  },
  LINE_TOO_LONG: {
    blame: 'client',
    status: 414,
    retry: false,
    what: 'The request line is longer than limitRequestLine.',
    remedy: 'Shorten the URL, or raise limitRequestLine.',
  },
  FIELDS_TOO_MANY: {
    blame: 'client',
    status: 431,
    retry: false,
    what: 'There are more fields than limitRequestFields.',
    remedy: 'Send fewer fields, or raise limitRequestFields.',
  },
  FIELD_TOO_LARGE: {
    blame: 'client',
    status: 431,
    retry: false,
    what: 'A field is longer than limitRequestFieldSize.',
    remedy: 'Send smaller fields (cookies?), or raise limitRequestFieldSize.',
  },
  BODY_TOO_LARGE: {
    blame: 'client',
    status: 413,
    retry: false,
    what: 'The content is larger than limitRequestBody.',
    remedy: 'Send less, or raise limitRequestBody.',
  },
  EXPECTATION_UNKNOWN: {
    blame: 'client',
    status: 417,
    retry: false,
    what: 'Expect asks for something other than 100-continue.',
    remedy: 'Send Expect: 100-continue or none.',
  },
  HEAD_TIMEOUT: {
    blame: 'client',
    status: 408,
    retry: false,
    what: 'The request head did not arrive in headerTimeout.',
    remedy: 'Send the head faster, or raise headerTimeout.',
  },
  BODY_TIMEOUT: {
    blame: 'client',
    status: 408,
    retry: false,
    what: 'No content arrived for bodyTimeout.',
    remedy: 'Send the content faster, or raise bodyTimeout.',
  },
  SEND_TIMEOUT: {
    blame: 'client',
    status: 0,
    retry: false,
    what: 'The client took nothing of the response for sendTimeout.',
    remedy: 'Read the response faster, or raise sendTimeout.',
  },
  CLIENT_LEFT: {
    blame: 'client',
    status: 499,
    retry: false,
    what: 'The client closed the connection before the answer was sent.',
    remedy: 'Nothing: the client changed its mind, or gave up waiting.',
  },
  HTTP2_STREAM: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'An HTTP/2 stream was ended for a fault in its frames, such as content of another length than announced.',
    remedy: 'Correct the client: the detail names the HTTP/2 error code.',
  },
  HTTP2_CALM: {
    blame: 'client',
    status: 499,
    retry: false,
    what: 'The HTTP/2 connection was ended: the client made too much work of too little (resets, pings, settings, empty frames).',
    remedy: 'Nothing, if it was an attack; else correct the client.',
  },
  // TLS.
  TLS_EXPECTED: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'This port speaks HTTPS: the request came without TLS.',
    remedy: 'Use https:// in the URL, or another port.',
  },
  TLS_HANDSHAKE: {
    blame: 'client',
    status: 0,
    retry: false,
    what: 'A TLS handshake failed.',
    remedy:
      'The reason is in the log line: too slow, no TLS, a name without certificate, too many at a time, or what OpenSSL says. See docs/tls.md.',
  },
  CLIENT_CERTIFICATE_MISSING: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'A client certificate is needed here, and none was sent.',
    remedy: 'Send a certificate of one of the CAs in caCerts.',
  },
  CLIENT_CERTIFICATE_REFUSED: {
    blame: 'client',
    status: 400,
    retry: false,
    what: 'The client certificate is not valid here.',
    remedy: 'Send a certificate that is in date and comes from one of the CAs in caCerts.',
  },
  // The edge itself.
  NOT_FOUND: {
    blame: 'client',
    status: 404,
    retry: false,
    what: 'Nothing is here.',
    remedy: 'Check the path.',
  },
  PRECONDITION_FAILED: {
    blame: 'client',
    status: 412,
    retry: false,
    what: 'The file is not the one that If-Match or If-Unmodified-Since names.',
    remedy: 'Ask again without the condition.',
  },
  RANGE_UNSATISFIABLE: {
    blame: 'client',
    status: 416,
    retry: false,
    what: 'Range asks for bytes beyond the end of the file.',
    remedy: 'Ask for less: Content-Range of the answer says how long the file is.',
  },
  METHOD_NOT_ALLOWED: {
    blame: 'client',
    status: 405,
    retry: false,
    what: 'The resource does not take this method.',
    remedy: 'Use one that Allow names.',
  },
  NOT_CACHED: {
    blame: 'client',
    status: 504,
    retry: false,
    what: 'The request allows only a stored response, and none fits.',
    remedy: 'Send it without Cache-Control: only-if-cached.',
  },
  QUEUE_FULL: {
    blame: 'edge',
    status: 503,
    retry: true,
    what: 'All workers are at their limit and the queue is full.',
    remedy: 'Add workers, or raise queueSize.',
  },
  QUEUE_TIMEOUT: {
    blame: 'edge',
    status: 503,
    retry: true,
    what: 'No worker became free in queueTimeout.',
    remedy: 'Add workers, make the app faster, or raise queueTimeout.',
  },
  UPGRADES_FULL: {
    blame: 'edge',
    status: 503,
    retry: true,
    what: 'upgradeConnections connections were upgraded to another protocol and are open.',
    remedy: 'Raise upgradeConnections and the limit of open files, or add edges.',
  },
  UPGRADE_IDLE: {
    blame: 'client',
    status: 0,
    retry: false,
    what: 'An upgraded connection carried nothing for upgradeIdleTimeout.',
    remedy: 'Send pings (WebSocket libraries can), or raise upgradeIdleTimeout.',
  },
  SHUTTING_DOWN: {
    blame: 'edge',
    status: 503,
    retry: true,
    what: 'Portico is stopping.',
    remedy: 'Ask again.',
  },
  FILE_CHANGED: {
    blame: 'edge',
    status: 503,
    retry: true,
    what: 'A static file was changed, shortened or removed while it was being sent.',
    remedy: 'Replace files by renaming, not by writing into them.',
  },
  // Certificates by ACME: logged and shown by `portico status`, no answer to anybody.
  ACME_UNREACHABLE: {
    blame: 'edge',
    status: 0,
    retry: true,
    what: 'The CA cannot be reached, does not answer in time, or has a fault.',
    remedy: 'Let this machine out to the CA (DNS, firewall, proxy); it is tried again.',
  },
  ACME_NONSENSE: {
    blame: 'edge',
    status: 0,
    retry: true,
    what: 'The CA answered what ACME does not allow.',
    remedy: 'Check that acmeDirectory is the URL of an ACME directory (RFC 8555).',
  },
  ACME_REFUSED: {
    blame: 'edge',
    status: 0,
    retry: true,
    what: 'The CA refused to issue a certificate.',
    remedy: 'Follow what the CA says; reload to have it tried at once.',
  },
  ACME_RATE_LIMITED: {
    blame: 'edge',
    status: 0,
    retry: true,
    what: 'The CA has had too many requests for the name or from the account.',
    remedy: 'Wait until the next try, and test with acmeStaging.',
  },
  ACME_VALIDATION: {
    blame: 'edge',
    status: 0,
    retry: true,
    what: 'The CA could not check that the name is yours.',
    remedy: 'Let DNS lead here, and ports 80 and 443 through; reload to have it tried at once.',
  },
  ACME_STORAGE: {
    blame: 'edge',
    status: 0,
    retry: true,
    what: 'The directory of accounts, keys and certificates cannot be read or written.',
    remedy: 'Give the user that edges run as the directory acmeStorage, with mode 0700.',
  },
  EDGE_FAULT: {
    blame: 'edge',
    status: 500,
    retry: false,
    what: 'A fault in the edge.',
    remedy: 'Please report it with the log line.',
  },
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
    what: 'The app sent a response head that HTTP does not allow.',
    remedy: 'Correct the status or the fields that the log names.',
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

export type FailureCode = keyof typeof rows;
export const catalogue: Readonly<Record<FailureCode, CatalogueRow>> = rows;
