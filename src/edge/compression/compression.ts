// The step that compresses: looks at each response and takes those that are to be compressed.

import type { Config } from '../../config/config.ts';
import { negotiateEncoding } from '../../http/negotiation.ts';
import type { ResponseStep } from '../response-step.ts';
import { CompressedResponse } from './compressed-response.ts';
import { addVary, type CompressionRules, compressedFields, decide, weaken } from './decide.ts';
import { encoders } from './encoders.ts';
import { isCompressible } from './media-types.ts';
import { remembering } from './remember.ts';
import type { Slots } from './slots.ts';

export function createCompression(config: Config, slots: Slots): ResponseStep {
  const { compressMinBytes: minBytes, compressTypes: types } = config;
  const { compressPaddingBytes: paddingBytes, compressStreams: streamsMax } = config;
  // Only gzip has a place for padding that every reader is known to skip.
  const wanted = paddingBytes > 0 ? ['gzip'] : config.compressEncodings;
  const encodings = wanted.filter((name) => encoders.has(name));
  const rules: CompressionRules = {
    minBytes,
    isCompressible: remembering((type) => isCompressible(type, types)),
    negotiate: remembering((accepted) => negotiateEncoding(accepted, encodings)),
  };

  return function compress(exchange, status, fields, source) {
    const verdict = decide(exchange.request, status, fields, rules);
    switch (verdict.kind) {
      case 'leave':
        return null;
      case 'vary':
        addVary(fields);
        return null;
      case 'confirm':
        weaken(fields);
        addVary(fields);
        return null;
      case 'head': {
        const { encoding } = verdict;
        if (encoding !== null) replace(fields, compressedFields(fields, encoding, null));
        else {
          weaken(fields);
          addVary(fields);
        }
        return null;
      }
      case 'compress': {
        const encoder = encoders.get(verdict.encoding)!;
        const { length } = verdict;
        return new CompressedResponse(exchange, source, {
          encoder,
          length,
          minBytes,
          paddingBytes,
          slots,
          streamsMax,
        });
      }
    }
  };
}

function replace<T>(list: T[], by: readonly T[]): void {
  list.splice(0, list.length, ...by);
}
