// Padding of random length, so that the size of a response says less about what is in it (BREACH).

import { randomInt } from 'node:crypto';

/** Of the gzip header (RFC 1952 section 2.3): the flags, that a name follows, and its fixed part. */
const flagsAt = 3;
const hasName = 8;
const headerBytes = 10;

/** Gives gzip output a file name of 1 to `bytesMax` bytes, which every reader skips. `first` is what
 *  the compressor put out first; it holds the whole header. */
export function padGzip(first: Buffer, bytesMax: number): Buffer {
  const nameBytes = randomInt(1, bytesMax + 1);
  const padded = Buffer.allocUnsafe(first.length + nameBytes + 1);
  first.copy(padded, 0, 0, headerBytes);
  padded[flagsAt]! |= hasName;
  padded.fill('p', headerBytes, headerBytes + nameBytes);
  padded[headerBytes + nameBytes] = 0;
  first.copy(padded, headerBytes + nameBytes + 1, headerBytes);
  return padded;
}
