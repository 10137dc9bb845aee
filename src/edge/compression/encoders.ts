// The content codings that this Node has, each for whole content and for content in pieces.

import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

export interface Encoder {
  readonly name: string;
  /** Compresses content that is at hand, at once. */
  whole(content: Uint8Array): Buffer;
  /** Compresses pieces on zlib's threads; each write() can be read by the client when it is done. */
  stream(): Transform;
}

const { constants } = zlib;

/** Added in Node 22.15; the types are those of Node 20. */
interface Zstd {
  readonly zstdCompressSync?: (content: Uint8Array, options: object) => Buffer;
  readonly createZstdCompress?: (options: object) => Transform;
  readonly constants: Readonly<Record<string, number>>;
}
const zstd = zlib as unknown as Zstd;

// Levels, measured with Node 24 on 11 KB of JSON, 10 KB of HTML and 19 KB of Markdown (µs / bytes):
//   zstd 3    33 / 1703    49 / 3845    68 / 6294
//   gzip 1    36 / 2079    44 / 3944    65 / 6460
//   gzip 5    53 / 1767    64 / 3725   115 / 5942
//   gzip 6    67 / 1770   110 / 3726   154 / 5926
//   br 4      70 / 1609   123 / 3813   177 / 6125
//   br 5      99 / 1470   166 / 3551   275 / 5720

/** 6, the usual level, takes a quarter more time for less than half a percent. */
const gzipLevel = 5;
/** 11, the usual level, takes about 80 times as long. */
const brotliQuality = 4;
const zstdLevel = 3;

const gzip: Encoder = {
  name: 'gzip',
  whole: (content) => zlib.gzipSync(content, { level: gzipLevel }),
  stream: () => zlib.createGzip({ level: gzipLevel, flush: constants.Z_SYNC_FLUSH }),
};

const brotli: Encoder = {
  name: 'br',
  whole: (content) =>
    zlib.brotliCompressSync(content, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: brotliQuality,
        [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      },
    }),
  stream: () =>
    zlib.createBrotliCompress({
      flush: constants.BROTLI_OPERATION_FLUSH,
      params: {
        [constants.BROTLI_PARAM_QUALITY]: brotliQuality,
        // 256 KB, not 4 MB: half the memory (0.4 MB) for 1 % more bytes.
        [constants.BROTLI_PARAM_LGWIN]: 18,
      },
    }),
};

/** The encoders by name; without zstd where Node has none (20, and 22 before 22.15). */
export const encoders: ReadonlyMap<string, Encoder> = new Map(
  [...zstdEncoders(zstd), gzip, brotli].map((encoder) => [encoder.name, encoder]),
);

function zstdEncoders({ zstdCompressSync, createZstdCompress, constants: names }: Zstd): Encoder[] {
  if (zstdCompressSync === undefined || createZstdCompress === undefined) return [];
  const level = { [names.ZSTD_c_compressionLevel!]: zstdLevel };
  // A window of 128 KB and tables to match: 0.35 MB a stream, not 1.2, and less time, for 4 % more bytes.
  const small = {
    [names.ZSTD_c_windowLog!]: 17,
    [names.ZSTD_c_hashLog!]: 15,
    [names.ZSTD_c_chainLog!]: 15,
  };
  return [
    {
      name: 'zstd',
      whole: (content) => zstdCompressSync(content, { params: level }),
      stream: () =>
        createZstdCompress({ flush: names.ZSTD_e_flush, params: { ...level, ...small } }),
    },
  ];
}
