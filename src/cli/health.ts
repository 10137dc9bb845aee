// `portico health`: whether the running instance would answer a request now, for HEALTHCHECK lines
// in images that have no curl.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Status } from '../arbiter/control/protocol.ts';

export interface Health {
  readonly isWell: boolean;
  /** One line, without its end. */
  readonly text: string;
}

/** Docker and Kubernetes give up after a few seconds by themselves. */
const answerMs = 4_000;
const answerBytesMax = 1_024;

/** Asks the edge for /-/readyz as an orchestrator would. Where that is not to be had (it is switched
 *  off, or only clients with a certificate may ask), by what the arbiter says. */
export async function healthOf({ arbiter, binds, edges, workers }: Status): Promise<Health> {
  const serving = workers.filter(({ phase }) => phase === 'serving').length;
  const count = `${serving} of ${arbiter.workersWanted} workers`;
  if (arbiter.phase === 'stopping') return { isWell: false, text: 'not ready: stopping' };
  if (!edges.some(({ phase }) => phase === 'serving'))
    return { isWell: false, text: 'not ready: no edge serves' };
  const bind = binds.find(({ url }) => !url.startsWith('https:')) ?? binds[0];
  if (bind === undefined) return { isWell: false, text: 'not ready: it listens nowhere' };
  const answer = await ask(bind.url);
  if (answer.kind === 'ready') return { isWell: true, text: `ready: ${bind.url}, ${count}` };
  if (answer.kind === 'not-ready') return { isWell: false, text: answer.text };
  if (answer.kind === 'silent')
    return { isWell: false, text: `not ready: no answer from ${bind.url}: ${answer.why}` };
  const judged = `by its workers alone, for ${bind.url}/-/readyz ${answer.why}: ${count}`;
  return serving > 0
    ? { isWell: true, text: `ready, ${judged}` }
    : { isWell: false, text: `not ready, ${judged}` };
}

type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'not-ready'; readonly text: string }
  | { readonly kind: 'silent'; readonly why: string }
  /** Somebody answers, but not the endpoint. */
  | { readonly kind: 'other'; readonly why: string };

function ask(url: string): Promise<Answer> {
  const isTls = url.startsWith('https:');
  return new Promise((resolve) => {
    const request = (isTls ? httpsRequest : httpRequest)({
      ...placeOf(url),
      path: '/-/readyz',
      headers: { Host: 'localhost' },
      agent: false,
      // The question is whether it answers; for whom its certificate is is another.
      ...(isTls ? { rejectUnauthorized: false, servername: 'localhost' } : {}),
    });
    const silent = (why: string) => resolve({ kind: 'silent', why });
    const timer = setTimeout(() => {
      silent(`none in ${answerMs / 1000} s`);
      request.destroy();
    }, answerMs);
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      // It listens and speaks TLS: only not with us.
      if (isTls && error.code?.startsWith('ERR_SSL'))
        resolve({ kind: 'other', why: 'wants another client' });
      else silent(error.code ?? error.message);
    });
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (piece: string) => {
        text += piece;
        if (text.length > answerBytesMax) response.destroy();
      });
      response.on('close', () => {
        clearTimeout(timer);
        const isReady = response.statusCode === 200 && text === 'ready\n';
        const isNot = response.statusCode === 503 && /^not ready: [ -~]+\n$/.test(text);
        if (isReady) resolve({ kind: 'ready' });
        else if (isNot) resolve({ kind: 'not-ready', text: text.trimEnd() });
        else resolve({ kind: 'other', why: 'is answered by the app' });
      });
    });
    request.end();
  });
}

function placeOf(url: string): { socketPath: string } | { host: string; port: number } {
  if (url.startsWith('unix:')) return { socketPath: url.slice('unix:'.length) };
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  // Bound to all addresses: it can be asked at the machine's own.
  const own = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return { host: own, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}
