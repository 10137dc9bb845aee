// Serves a file through serve-static, by way of the Node adapter: what is asked for the first time,
// and all small files where nothing is kept in memory.

import { close, read } from 'node:fs';
import { sep } from 'node:path';
import serveStatic from 'serve-static';
import type { Exchange } from '../../http/exchange.ts';
import { toNodeHttp } from '../../nodehttp/adapter.ts';
import { closeFile } from './open-checked.ts';
import type { Representation } from './representation.ts';

/** Takes over the descriptor, which is the file's that was checked: of the name serve-static only knows
 *  size and times. Locating and refusing came before; the fields are ours, so that it answers as the
 *  other lanes do. */
export function serveCold(
  exchange: Exchange,
  { file, fields }: Representation,
  fd: number,
  onUnreadable: (code: string) => void,
): void {
  const descriptor = lend(fd);
  const options: serveStatic.ServeStaticOptions & { readonly fs: object } = {
    index: false,
    redirect: false,
    cacheControl: false,
    // Names that a client may not say were refused; what a link inside the root leads to is fine.
    dotfiles: 'allow',
    // Goes to fs.createReadStream as it is, which opens by it in place of by name.
    fs: descriptor.fs,
    setHeaders: (response, _path, stats: { dev: number; ino: number; size: number }) => {
      const { dev, ino, size } = file.stats;
      if (stats.dev !== dev || stats.ino !== ino || stats.size !== size) {
        response.destroy();
        return;
      }
      for (let index = 0; index < fields.length; index += 2)
        response.appendHeader(fields[index]!, fields[index + 1]!);
      response.setHeader('X-Request-Id', exchange.requestId);
    },
  };
  const { request, response } = toNodeHttp(exchange);
  response.once('close', descriptor.release);
  request.url = `/${file.path.split(sep).map(encodeURIComponent).join('/')}`;
  serveStatic(file.root, options)(request, response, (error) => {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    // Gone since it was located, or there and not to be read.
    if (error !== undefined && error.status !== 404) onUnreadable(error.code ?? String(error));
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    response.statusCode = 404;
    response.setHeader('X-Request-Id', exchange.requestId);
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.setHeader('Cache-Control', 'no-store');
    response.end('404\n');
  });
}

type Opened = (error: Error | null, fd?: number) => void;

/** Gives the descriptor to the first that opens, who closes it; else it is closed by release(). */
function lend(fd: number) {
  let isHere = true;
  return {
    fs: {
      open(_path: string, _flags: unknown, _mode: unknown, done: Opened): void {
        const error = isHere ? null : new Error('the answer is over');
        isHere = false;
        if (error === null) done(null, fd);
        else done(error);
      },
      read,
      close,
    },
    /** After an answer without content (304, HEAD), or when the client has left. */
    release(): void {
      if (isHere) closeFile(fd);
      isHere = false;
    },
  };
}
