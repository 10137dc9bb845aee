// Asks an OCSP responder, whose answers are hostile: limited in time and size, redirects not followed.

import { request } from 'node:http';

/** An answer with a delegate's certificate takes 2 KB. */
const answerBytesMax = 64 * 1024;
const answerMs = 10_000;

export interface FetchOptions {
  /** http:// alone: the answer is signed, and who would vouch for the responder's own certificate? */
  readonly url: string;
  /** DER. */
  readonly body: Buffer;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** For all of it. */
  readonly timeoutMs?: number;
}

/** The DER that came, or what is wrong, to be put behind the host. */
export function fetchOcsp(options: FetchOptions): Promise<Buffer | string> {
  const { url, body, signal, timeoutMs = answerMs } = options;
  return new Promise((done) => {
    const sent = request(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: {
        'Content-Type': 'application/ocsp-request',
        'Content-Length': body.length,
        Accept: 'application/ocsp-response',
      },
    });
    const finish = (result: Buffer | string): void => {
      clearTimeout(timer);
      done(result);
      sent.destroy();
    };
    const timer = setTimeout(() => finish(`has not answered in ${timeoutMs / 1000} s`), timeoutMs);
    timer.unref();
    const onError = (error: NodeJS.ErrnoException): void =>
      finish(`cannot be asked (${error.code ?? error.message})`);
    sent.on('error', onError);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', onError);
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) finish(`sends more than ${answerBytesMax} bytes`);
        else chunks.push(chunk);
      });
      response.on('end', () => {
        if (response.statusCode === 200) finish(Buffer.concat(chunks));
        else finish(`answers with status ${response.statusCode}`);
      });
    });
    sent.end(body);
  });
}
