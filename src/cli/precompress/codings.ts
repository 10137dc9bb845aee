// The content codings of precompressed siblings: app.js.br, app.js.zst, app.js.gz, each at its best.

import { promisify } from 'node:util';
import * as zlib from 'node:zlib';

export interface Coding {
  /** Suffix of the sibling, without the dot. */
  readonly suffix: 'br' | 'zst' | 'gz';
  /** Runs in one of zlib's threads. */
  compress(content: Buffer): Promise<Buffer>;
}

/** Node 22.15 and 23.8 have zstd; the types of Node 20 do not know it. */
const withZstd = zlib as typeof zlib & {
  readonly zstdCompress?: (
    content: Buffer,
    options: object,
    done: (error: Error | null, result: Buffer) => void,
  ) => void;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
};

const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip) as (
  content: Buffer,
  options: zlib.ZlibOptions,
) => Promise<Buffer>;

/** The best that each has to give: a file is compressed once and sent many times. */
export const codings: readonly Coding[] = [
  {
    suffix: 'br',
    compress: (content) =>
      brotli(content, {
        params: {
          [zlib.constants.BROTLI_PARAM_QUALITY]: 11,
          [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length,
        },
      }),
  },
  ...zstd(),
  { suffix: 'gz', compress: (content) => gzip(content, { level: 9 }) },
];

function zstd(): Coding[] {
  const { zstdCompress, constants } = withZstd;
  if (zstdCompress === undefined || constants.ZSTD_c_compressionLevel === undefined) return [];
  // 19 of 22: the levels beyond want a window that browsers refuse (RFC 9659: 8 MB).
  const params = { [constants.ZSTD_c_compressionLevel]: 19 };
  const compress = promisify(zstdCompress);
  return [{ suffix: 'zst', compress: (content) => compress(content, { params }) }];
}
