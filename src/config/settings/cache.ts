// Settings of the response cache.

import { boolean, duration, type Kind, size } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

const mega = 1024 ** 2;
const giga = 1024 ** 3;

const sizeOrOff = size({ minBytes: mega, maxBytes: 64 * giga, zero: 'off' });

/** A size; `true` and "on" are one that suits most, "off" is 0. */
const cacheSize: Kind<number> = {
  ...sizeOrOff,
  inputType: 'number | string | boolean',
  read(raw) {
    const word = typeof raw === 'string' ? raw.trim().toLowerCase() : raw;
    if (word === true || word === 'on' || word === 'true') return 64 * mega;
    if (word === false || word === 'off' || word === 'false') return 0;
    return sizeOrOff.read(raw);
  },
};

export const cacheSettings: readonly Setting[] = [
  setting('cacheBytes', {
    key: 'cache',
    group: 'Cache',
    kind: cacheSize,
    default: 0,
    defaultText: 'off',
    help: "Keep the app's responses in so much memory",
    doc: 'Those that their `Cache-Control` or `Expires` allows a shared cache to keep, at each edge; `on` is 64m. See [cache](cache.md).',
    known: 'nginx `proxy_cache_path`',
  }),
  setting('cacheEntryBytes', {
    key: 'cacheEntry',
    group: 'Cache',
    kind: size({ minBytes: 1024, maxBytes: giga }),
    default: mega,
    help: 'Largest response content that is kept',
    doc: 'At most half of `cache`. Larger responses pass through.',
  }),
  setting('cacheDefaultTtlMs', {
    key: 'cacheDefaultTtl',
    group: 'Cache',
    kind: duration({ minMs: 0 }),
    default: 0,
    help: 'Keep responses so long that do not say how long; 0: not',
    doc: 'Only for requests without Cookie and Authorization. `1s` is a micro-cache.',
    known: 'nginx `proxy_cache_valid`',
  }),
  setting('cacheWaitMs', {
    key: 'cacheWait',
    group: 'Cache',
    kind: duration({ minMs: 0 }),
    default: 5000,
    help: "Longest wait for another request's response",
    doc: 'Requests for what is being fetched wait for it, at most `queueSize` of them at each edge. Then they ask the app themselves.',
    known: 'nginx `proxy_cache_lock_timeout`',
  }),
  setting('cacheSetCookie', {
    group: 'Cache',
    kind: boolean,
    default: false,
    help: 'Keep responses with Set-Cookie too, without the cookies',
    doc: 'Only the client whose request reached the app gets them. For apps that set cookies on pages that are for all.',
    known: 'nginx `proxy_ignore_headers Set-Cookie`',
  }),
];
