// Serves the files of --static through serve-static, by way of the Node adapter. Locating and
// refusing are ours; conditions, ranges and types are serve-static's.

import { sep } from 'node:path';
import serveStatic from 'serve-static';
import { failure } from '../../errors/failure.ts';
import type { Exchange, ExchangeHandler, Fields } from '../../http/exchange.ts';
import { toNodeHttp } from '../../nodehttp/adapter.ts';
import type { Log } from '../../telemetry/log.ts';
import { respondWithError } from '../error-pages/error-answer.ts';
import type { ErrorPages } from '../error-pages/error-pages.ts';
import { type Located, locate } from './locate.ts';
import { directoryUrl, type NamedPath } from './mounts.ts';

/** Answers the exchange with what `named` names. A path under a mount is never the app's, also when
 *  no file is there: as with nginx's alias, one look at the settings tells who answers. */
export async function serveNamed(
  exchange: Exchange,
  named: NamedPath,
  { log, errorPages }: { readonly log: Log; readonly errorPages: ErrorPages },
): Promise<void> {
  exchange.record.upstream = 'static';
  const { method } = exchange.request;
  if (method !== 'GET' && method !== 'HEAD') {
    respondWithError(exchange, 'METHOD_NOT_ALLOWED', errorPages, ['Allow', 'GET, HEAD']);
    return;
  }
  try {
    const located = await find(named);
    if (located.kind === 'file') serveFile(exchange, located);
    else if (located.kind === 'directory') redirect(exchange, named);
    else {
      if (located.kind === 'refused')
        log.debug('a static path was refused', { requestId: exchange.requestId, why: located.why });
      respondWithError(exchange, 'NOT_FOUND', errorPages);
    }
  } catch (error) {
    exchange.fail(failure('EDGE_FAULT', `static files: ${error}`, error));
  }
}

/** A directory stands for its index.html, and is itself only where the slash is missing. */
async function find(named: NamedPath): Promise<Located> {
  if (named.segments === null) return { kind: 'missing' };
  const located = await locate(named.mount.dir, named.segments);
  if (located.kind === 'directory')
    return named.trailingSlash
      ? asFile(await locate(named.mount.dir, [...named.segments, 'index.html']))
      : located;
  return named.trailingSlash ? { kind: 'missing' } : located;
}

function asFile(located: Located): Located {
  return located.kind === 'directory' ? { kind: 'missing' } : located;
}

type LocatedFile = Extract<Located, { kind: 'file' }>;

/** serve-static opens by name what was checked by name: if another file is there by then, the
 *  answer is cut before its first byte. */
function serveFile(exchange: Exchange, file: LocatedFile): void {
  const serve = serveStatic(file.root, {
    index: false,
    redirect: false,
    // Names that a client may not say were refused; what a link inside the root leads to is fine.
    dotfiles: 'allow',
    setHeaders: (response, _path, stats: { dev: number; ino: number }) => {
      if (stats.dev !== file.stats.dev || stats.ino !== file.stats.ino) response.destroy();
      else response.setHeader('X-Request-Id', exchange.requestId);
    },
  });
  const { request, response } = toNodeHttp(exchange);
  request.url = `/${file.path.split(sep).map(encodeURIComponent).join('/')}`;
  serve(request, response, (error) => {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    // Gone since it was located, or what serve-static refuses: 412, 416.
    const status = error?.status ?? 404;
    response.statusCode = status >= 400 && status < 500 ? status : 500;
    for (const [name, value] of Object.entries(error?.headers ?? {}))
      response.setHeader(name, value);
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.end(`${response.statusCode}\n`);
  });
}

function redirect(exchange: Exchange, named: NamedPath): void {
  const query = exchange.request.target.indexOf('?');
  const search = query === -1 ? '' : exchange.request.target.slice(query);
  reply(exchange, 301, ['Location', directoryUrl(named) + search], 'Moved\n');
}

/** Not by exchange.fail(): the connection stays open. A page that misses three images would cost
 *  three connections. */
function reply(exchange: Exchange, status: number, fields: Fields, text: string): void {
  exchange.attach(ignoreContent);
  const content = Buffer.from(text);
  exchange.respond(status, '', [
    ...fields,
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(content.length),
    'X-Request-Id',
    exchange.requestId,
  ]);
  exchange.write(content);
  exchange.end([]);
}

const ignoreContent: ExchangeHandler = {
  onRequestData() {},
  onRequestEnd() {},
  onDrain() {},
  onClose() {},
};
