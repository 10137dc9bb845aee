// Asks one member of an upstream whether it is well: a GET on a connection of its own, so that neither a full pool nor
// a kept connection speaks for it.

import { type Failure, failure } from '../../errors/failure.ts';
import type { ClientFacts } from '../../http/exchange.ts';
import { encodeRequestHead } from '../../http/request-head.ts';
import type { LinkObserver } from '../../link/link.ts';
import { HttpConnection } from './connection.ts';
import type { HttpAddress } from './dial.ts';
import { HttpStream } from './stream.ts';

export interface HealthQuestion {
  readonly address: HttpAddress;
  readonly path: string;
  readonly host: string;
  readonly timeoutMs: number;
  readonly preamble: ((client: ClientFacts | null) => string) | null;
}

const nobody: ClientFacts = {
  ...{ address: '', port: 0, peerAddress: '', localAddress: '', localPort: 0 },
  ...{ scheme: 'http', tls: null },
};

/** `onAnswer`: null = it is well, else what is wrong; once, and not after the returned function was called. */
export function askHealth(
  { address, path, host, timeoutMs, preamble }: HealthQuestion,
  onAnswer: (wrong: string | null) => void,
): () => void {
  let isOver = false;
  const settle = (wrong: string | null): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    connection.close(null);
    onAnswer(wrong);
  };
  const observer: LinkObserver = {
    onInform: () => {},
    onResponse: (status) => settle(status < 400 ? null : `it answered ${status}`),
    onData: () => {},
    onEnd: () => {},
    onConsumed: () => {},
    onFailed: ({ code, detail }: Failure) => settle(detail === '' ? code : detail),
  };
  const connection = new HttpConnection(
    {
      address,
      onIdle: (it) => it.close(null),
      onRefused: () => {},
      onConnected: () => {},
      onClosed: () => {},
      onOddity: () => {},
    },
    timeoutMs,
    preamble?.(null) ?? '',
  );
  const timer = setTimeout(() => settle(`no answer in ${timeoutMs} ms`), timeoutMs);
  const fields = ['Host', host, 'User-Agent', 'portico-health-check', 'Accept', '*/*'];
  const request = {
    request: { method: 'GET', target: path, version: '1.1', fields },
    ...{ client: nobody, requestId: 'health-check', bodyLength: 0, expectsContinue: false },
  } as const;
  const head = encodeRequestHead(request, { host: null, fallbackHost: host, keepAlive: false });
  const stream = new HttpStream(request, observer, () => {});
  if (typeof head === 'string') stream.begin(connection, head);
  else stream.refuseLater(failure(head.code, head.detail));
  return () => {
    isOver = true;
    clearTimeout(timer);
    connection.close(null);
  };
}
