// Serves a file through serve-static, by way of the Node adapter: what is asked for the first time,
// and all small files where nothing is kept in memory.

import { sep } from 'node:path';
import serveStatic from 'serve-static';
import type { Exchange } from '../../http/exchange.ts';
import { toNodeHttp } from '../../nodehttp/adapter.ts';
import type { Representation } from './representation.ts';

/** Locating and refusing came before; the fields are ours, so that it answers as the other lanes
 *  do. serve-static opens by name what was checked by name: if another file is there by then, the
 *  answer is cut before its first byte. */
export function serveCold(
  exchange: Exchange,
  { file, fields }: Representation,
  onUnreadable: (code: string) => void,
): void {
  const serve = serveStatic(file.root, {
    index: false,
    redirect: false,
    cacheControl: false,
    // Names that a client may not say were refused; what a link inside the root leads to is fine.
    dotfiles: 'allow',
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
  });
  const { request, response } = toNodeHttp(exchange);
  request.url = `/${file.path.split(sep).map(encodeURIComponent).join('/')}`;
  serve(request, response, (error) => {
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
