// The static lane: answers requests for files from memory, through serve-static, or in large reads,
// and says which requests are the app's.

import { builtApp } from '../../config/built-app.ts';
import type { StaticMount } from '../../config/config.ts';
import { failure } from '../../errors/failure.ts';
import { type Asked, askedBy } from '../../http/conditions.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { Log } from '../../telemetry/log.ts';
import { respondWithError } from '../error-pages/error-answer.ts';
import type { ErrorPages } from '../error-pages/error-pages.ts';
import { isHashed } from '../kept-builds/assets.ts';
import { keptMount } from '../kept-builds/store.ts';
import { answerWith } from '../own-answer.ts';
import { type Answered, answerHot, chooseCoding } from './answer.ts';
import { serveCold } from './cold.ts';
import { type Found, find, findFallback } from './find.ts';
import type { HotFile } from './hot-cache.ts';
import { HotFiles } from './hot-files.ts';
import { isInsideDir } from './inside.ts';
import { serveListing } from './listing.ts';
import { createMatch, directoryUrl, type MatchMount, type NamedPath } from './mounts.ts';
import { openChecked } from './open-checked.ts';
import { type Described, describe, type LocatedFile } from './representation.ts';
import { Seen } from './seen.ts';

export interface StaticParts {
  readonly cacheBytes: number;
  /** Where the hashed files of earlier builds are. */
  readonly store: string;
  readonly log: Log;
  readonly errorPages: ErrorPages;
}

/** Largest file that is kept in memory, and that serve-static is given. */
const SMALL_BYTES_MAX = 1024 * 1024;
/** A file that changes under the reader more often than this is not to be had as a whole. */
const TRIES_MAX = 3;
/** How long a path of a tryFiles mount counts as the app's without another look. */
const MISSING_MS = 1000;
const MISSING_MAX = 4096;

export class StaticLane {
  private readonly parts: StaticParts;
  private readonly match: MatchMount;
  private readonly hot: HotFiles;
  /** What earlier builds of a mount are served by, where they are kept. */
  private readonly kept: ReadonlyMap<StaticMount, StaticMount>;
  /** What is inside the executable under the prefix of a directory that was laid over it. */
  private readonly below: ReadonlyMap<StaticMount, StaticMount>;
  private readonly seen = new Seen();
  /** Paths that are no files, and until when that is believed. */
  private readonly missing = new Map<string, number>();

  constructor(mounts: readonly StaticMount[], parts: StaticParts) {
    this.parts = parts;
    this.match = createMatch(mounts);
    this.kept = new Map(
      mounts
        .filter((mount) => mount.keepBuilds > 0)
        .map((mount) => [mount, keptMount(parts.store, mount)]),
    );
    this.below = insideBelow(mounts);
    this.hot = new HotFiles([...mounts, ...this.kept.values()], {
      cacheBytes: parts.cacheBytes,
      onChange: () => this.missing.clear(),
    });
  }

  /** Takes the exchange, or says at once that it is the app's (false). What turns out to be the
   *  app's only after a look at the disk is given to `next`. */
  serve(exchange: Exchange, next: () => void): boolean {
    const { method, target } = exchange.request;
    const path = pathOf(target);
    const isRead = method === 'GET' || method === 'HEAD';
    const file = this.hot.current(path, exchange.record.startedMs);
    if (file !== null && isRead) {
      exchange.record.upstream = 'static';
      const asked = askedBy(exchange.request);
      const answered = answerHot(exchange, file, asked, this.parts.errorPages);
      if (answered !== 'answered')
        void this.orAgain(answered, exchange, { named: this.match(target)!, path, next });
      return true;
    }
    const named = this.match(target);
    if (named === null) return false;
    const { tryFiles, internal } = named.mount;
    if (tryFiles && (!isRead || (this.missing.get(path) ?? 0) > exchange.record.startedMs))
      return false;
    exchange.record.upstream = 'static';
    if (internal) respondWithError(exchange, 'NOT_FOUND', this.parts.errorPages);
    else if (!isRead) this.refuseMethod(exchange);
    else void this.look(exchange, { named, path, next });
    return true;
  }

  /** Sends what `named` names, whatever its mount is for: where the app has said so. */
  serveNamed(exchange: Exchange, named: NamedPath): void {
    exchange.record.upstream = 'static';
    void this.look(exchange, { named, path: null, next: null });
  }

  /** Nothing is kept from here on; what is under way ends as it would. */
  close(): void {
    this.hot.close();
  }

  private async orAgain(answered: Promise<Answered>, exchange: Exchange, way: Way): Promise<void> {
    try {
      if ((await answered) === 'answered') return;
    } catch (error) {
      this.fail(exchange, error);
      return;
    }
    if (way.path !== null) this.hot.forget(way.path);
    await this.look(exchange, way);
  }

  /** The long way: a look at the disk. */
  private async look(exchange: Exchange, way: Way): Promise<void> {
    try {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const root = await this.hot.rootOf(way.named.mount);
        const found = await find(way.named, root);
        if ((await this.deal(exchange, found, way)) === 'answered') return;
      }
      exchange.fail(failure('FILE_CHANGED', `it changed ${TRIES_MAX} times while it was opened`));
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  private async deal(exchange: Exchange, found: Found, way: Way): Promise<Answered> {
    const { named, path, next } = way;
    const { mount } = named;
    if (found.kind === 'file') return this.serveFile(exchange, { mount, ...found, path });
    if (path !== null) this.hot.forget(path);
    const below = found.kind === 'refused' ? undefined : this.below.get(mount);
    if (below !== undefined) {
      const inside = await find({ ...named, mount: below }, below.dir);
      if (inside.kind === 'file') return this.serveFile(exchange, { mount, ...inside, path });
    }
    if (found.kind === 'redirect') {
      redirect(exchange, named);
      return 'answered';
    }
    if (found.kind === 'refused') this.logRefused(exchange, found);
    if (found.kind === 'directory' && mount.listing) {
      await serveListing(exchange, named);
      return 'answered';
    }
    if (found.kind === 'missing') {
      const earlier = await this.findKept(named);
      if (earlier !== null) return this.serveFile(exchange, { ...earlier, path: null });
    }
    if (mount.tryFiles && next !== null) {
      if (found.kind === 'missing' && path !== null) this.remember(path, exchange);
      exchange.record.upstream = '';
      next();
      return 'answered';
    }
    const fallback =
      (await findFallback(named, exchange.request)) ??
      (below && (await findFallback({ ...named, mount: below }, exchange.request)));
    if (fallback) return this.serveFile(exchange, { mount, ...fallback, path: null });
    respondWithError(exchange, 'NOT_FOUND', this.parts.errorPages);
    return 'answered';
  }

  /** A hashed file of an earlier build, for a tab that was opened before the deploy. */
  private async findKept(named: NamedPath): Promise<Omit<Wanted, 'path'> | null> {
    const mount = this.kept.get(named.mount);
    if (mount === undefined || !isHashed(named.segments?.at(-1) ?? '')) return null;
    const found = await find({ ...named, mount }, await this.hot.rootOf(mount));
    return found.kind === 'file' ? { mount, ...found } : null;
  }

  private async serveFile(exchange: Exchange, wanted: Wanted): Promise<Answered> {
    const { mount, segments, located, path } = wanted;
    const asked = askedBy(exchange.request);
    const key = this.hot.keyOf(mount, segments);
    const described = await describe(mount, segments, located);
    let file = this.hot.confirmed(key, described);
    if (file === null && this.isCold(key, described, asked)) {
      const chosen = chooseCoding(described, asked);
      const representation = chosen === -1 ? described.plain : described.coded[chosen]!;
      const fd = await openChecked(representation.file);
      if (fd === null) return 'changed';
      serveCold(exchange, representation, fd, (why) => this.logUnreadable(exchange, why));
      return 'answered';
    }
    file ??= await this.load(key, { mount, segments, described });
    if (file === null) return 'changed';
    if (path !== null) this.hot.link(path, file);
    return answerHot(exchange, file, asked, this.parts.errorPages);
  }

  private load(
    key: string,
    of: { mount: StaticMount; segments: readonly string[]; described: Described },
  ): Promise<HotFile | null> {
    return this.hot.load(key, { ...of, smallBytesMax: SMALL_BYTES_MAX });
  }

  /** What is asked for once (by a crawler, say) is not read into memory: it would push out what is
   *  asked for again and again. serve-static knows no part of a file but one, and compares If-Range
   *  weakly. */
  private isCold(key: string, described: Described, asked: Asked): boolean {
    const { range, ifMatch, ifUnmodifiedSince } = asked;
    if (range !== undefined || ifMatch !== undefined || ifUnmodifiedSince !== undefined)
      return false;
    const chosen = chooseCoding(described, asked);
    const { file } = chosen === -1 ? described.plain : described.coded[chosen]!;
    if (file.stats.size > SMALL_BYTES_MAX || file.inside !== undefined) return false;
    return this.parts.cacheBytes === 0 || !this.seen.before(key);
  }

  private remember(path: string, exchange: Exchange): void {
    if (this.missing.size >= MISSING_MAX) this.missing.clear();
    this.missing.set(path, exchange.record.startedMs + MISSING_MS);
  }

  private refuseMethod(exchange: Exchange): void {
    respondWithError(exchange, 'METHOD_NOT_ALLOWED', this.parts.errorPages, ['Allow', 'GET, HEAD']);
  }

  private logRefused(exchange: Exchange, { why }: { readonly why: string }): void {
    this.parts.log.debug('a static path was refused', { requestId: exchange.requestId, why });
  }

  /** To the client the same as not there, to the operator not. */
  private logUnreadable(exchange: Exchange, why: string): void {
    this.parts.log.warning('a static file cannot be read', { requestId: exchange.requestId, why });
  }

  private fail(exchange: Exchange, error: unknown): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EIO') {
      this.logUnreadable(exchange, code);
      respondWithError(exchange, 'NOT_FOUND', this.parts.errorPages);
    } else exchange.fail(failure('EDGE_FAULT', `static files: ${error}`, error));
  }
}

/** The mounts of the executable that a mount with a directory on the disk has taken the place of. */
function insideBelow(mounts: readonly StaticMount[]): Map<StaticMount, StaticMount> {
  const below = new Map<StaticMount, StaticMount>();
  for (const mount of mounts) {
    const inside = builtApp?.static.find(({ prefix }) => prefix === mount.prefix);
    if (inside !== undefined && !isInsideDir(mount.dir)) below.set(mount, inside);
  }
  return below;
}

/** What a request asks for, and who is next when that is no file. */
interface Way {
  readonly named: NamedPath;
  /** As in the target, without the query; null where no such path may be remembered. */
  readonly path: string | null;
  readonly next: (() => void) | null;
}

interface Wanted {
  readonly mount: StaticMount;
  readonly segments: readonly string[];
  readonly located: LocatedFile;
  readonly path: string | null;
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

function redirect(exchange: Exchange, named: NamedPath): void {
  const query = exchange.request.target.indexOf('?');
  const search = query === -1 ? '' : exchange.request.target.slice(query);
  const location = ['Location', directoryUrl(named) + search];
  const type = ['Content-Type', 'text/plain; charset=utf-8'];
  answerWith(exchange, 301, [...location, ...type], Buffer.from('Moved\n'));
}
