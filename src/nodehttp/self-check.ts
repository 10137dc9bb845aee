// Sends one response through the adapter when it is loaded, and says what did not come out of it.

import type { Exchange, ExchangeHandler, Fields } from '../http/exchange.ts';
import { newRecord } from '../http/exchange-record.ts';
import { NodeExchange } from './node-exchange.ts';
import type { NodeHttpOptions } from './pair.ts';

/** What this Node does otherwise than the adapter expects; empty when all is well. */
export function faultsOfNode(options: NodeHttpOptions): string[] {
  const calls: string[] = [];
  const node = new NodeExchange(recordingExchange(calls), options);
  node.open();
  const { request, response } = node;
  const faults: string[] = [];
  const expect = (isSo: boolean, fault: string): void => {
    if (!isSo) faults.push(fault);
  };
  expect(request.headers.cookie === 'a=1; b=2', '_addHeaderLines() does not fill headers');
  response.setHeader('X-Check', ['1', '2']);
  response.writeEarlyHints({ link: '</a>; rel=preload' });
  expect(calls.join() === 'inform 103 Link,</a>; rel=preload', 'writeEarlyHints() is not caught');
  response.write('a');
  response.end('b');
  const sent = calls.slice(1).join('; ');
  expect(
    sent === 'respond 200 X-Check,1,X-Check,2; write a; write b; end',
    `write() and end() came out as "${sent}"`,
  );
  return faults;
}

function recordingExchange(calls: string[]): Exchange {
  return {
    request: { method: 'GET', target: '/', version: '1.1', fields: [...cookies] },
    client: {
      address: '',
      port: 0,
      peerAddress: '',
      localAddress: '',
      localPort: 0,
      scheme: 'http',
      tls: null,
    },
    bodyLength: 0,
    expectsContinue: false,
    requestId: '',
    record: newRecord(0),
    attach: (handler: ExchangeHandler) => handler.onRequestEnd([]),
    consumed: () => {},
    inform: (status: number, fields: Fields) => void calls.push(`inform ${status} ${fields}`),
    respond: (status: number, _reason: string, fields: Fields) =>
      void calls.push(`respond ${status} ${fields}`),
    write: (chunk: Uint8Array) => calls.push(`write ${Buffer.from(chunk)}`) > 0,
    end: () => void calls.push('end'),
    fail: (failure) => void calls.push(`fail ${failure.code}`),
  };
}

const cookies = ['Cookie', 'a=1', 'Cookie', 'b=2'];
