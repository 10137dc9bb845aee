// Settings of compression on the fly.

import { boolean, choice, integer, type Kind, list, size, Unfit } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

const mediaType: Kind<string> = {
  expected: 'a media type such as application/vnd.acme',
  placeholder: 'TYPE',
  inputType: 'string',
  flag: 'value',
  read(raw) {
    if (typeof raw !== 'string') return new Unfit();
    const type = raw.trim().toLowerCase();
    return /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/.test(type)
      ? type
      : new Unfit();
  },
  show: (value) => value,
};

export const compressionSettings: readonly Setting[] = [
  setting('compress', {
    group: 'Compression',
    kind: boolean,
    default: true,
    help: "Compress the app's responses for clients that accept it",
    doc: 'What is compressed, and what is left alone, is in [compression.md](compression.md).',
    known: 'nginx `gzip`',
  }),
  setting('compressMinBytes', {
    key: 'compressMin',
    group: 'Compression',
    kind: size({ minBytes: 1, maxBytes: 1024 ** 3 }),
    default: 1024,
    help: 'Smallest content that is compressed, where its length is known',
    known: 'nginx `gzip_min_length`',
  }),
  setting('compressEncodings', {
    group: 'Compression',
    kind: list(choice(['zstd', 'gzip', 'br'], { placeholder: 'NAME' }), { repeat: false, min: 1 }),
    default: ['zstd', 'gzip', 'br'],
    help: 'Encodings in use; of those a client likes equally, the first',
    doc: 'zstd needs Node 22.15 or newer and is passed over elsewhere.',
  }),
  setting('compressTypes', {
    group: 'Compression',
    kind: list(mediaType, { repeat: false, min: 0 }),
    default: [],
    help: 'Media types to compress beside text, JSON, XML, SVG, wasm and the like',
    known: 'nginx `gzip_types`',
  }),
  setting('compressStreams', {
    group: 'Compression',
    kind: integer({ min: 0, max: 100_000 }),
    default: 128,
    help: 'Most responses compressed in pieces at a time; others pass as they are',
    doc: 'At each edge; each takes up to 0.4 MB. Content of up to 32 KB that is whole at hand does not count.',
  }),
  setting('compressPaddingBytes', {
    key: 'compressPadding',
    group: 'Compression',
    kind: size({ minBytes: 1, maxBytes: 1024, zero: 'none' }),
    default: 0,
    help: 'Most bytes of random padding against BREACH; 0: none',
    doc: 'gzip alone is used then. What this is worth is in [compression.md](compression.md#breach).',
  }),
];
