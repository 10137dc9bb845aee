// A settled exchange made by hand, for tests of what reads them.

import type { SettledExchange } from '../../src/edge/settled-exchange.ts';
import type { Fields } from '../../src/http/exchange.ts';

export interface SettledFacts {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: Fields;
  readonly responseFields?: Fields;
  readonly record?: Partial<SettledExchange['record']>;
  readonly address?: string;
}

export function settled(facts: SettledFacts = {}): SettledExchange {
  const received = {
    method: facts.method ?? 'GET',
    target: facts.target ?? '/a?b=c',
    version: '1.1' as const,
    fields: facts.fields ?? [],
  };
  const nothing = (): void => {};
  return {
    request: received,
    received,
    responseFields: facts.responseFields ?? [],
    client: {
      address: facts.address ?? '192.0.2.7',
      port: 1,
      peerAddress: '10.0.0.1',
      localAddress: '10.0.0.2',
      localPort: 80,
      scheme: 'http',
      tls: null,
    },
    bodyLength: 0,
    expectsContinue: false,
    requestId: '0123456789abcdef0123456789abcdef',
    record: {
      startedMs: 1000,
      claimedMs: 1002,
      respondedMs: 1012.5,
      status: 200,
      responseBytes: 5,
      requestBytes: 3,
      route: '',
      upstream: 'worker 2',
      retries: 1,
      failure: null,
      ...facts.record,
    },
    attach: nothing,
    consumed: nothing,
    inform: nothing,
    respond: nothing,
    write: () => true,
    end: nothing,
    fail: nothing,
  };
}
