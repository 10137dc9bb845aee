// How much of what arrived is worth reading as lines of a head.

import { CR, LF } from './tokens.ts';

/** Bytes so few that end with a line are taken for a head without a search for the head's end. */
const SMALL_BYTES = 2_048;
const headEndMark = Buffer.from('\r\n\r\n');

/**
 * Index after the last LF to turn into text, or `start`, where a line begins. It need not be exact:
 * reading stops at the empty line. But text that is not head would be copied in vain.
 */
export function linesEnd(
  chunk: Buffer,
  start: number,
  isFirstLine: boolean,
  permitBareLf: boolean,
): number {
  // The empty line by itself: what follows it can be content.
  if (!isFirstLine) {
    if (chunk[start] === LF) return start + 1;
    if (chunk[start] === CR && chunk[start + 1] === LF) return start + 2;
  }
  const length = chunk.length;
  if (chunk[length - 1] === LF && length - start <= SMALL_BYTES) return length;
  if (permitBareLf) return bareHeadEnd(chunk, start);
  const mark = chunk.indexOf(headEndMark, start);
  return mark === -1 ? Math.max(start, chunk.lastIndexOf(LF) + 1) : mark + headEndMark.length;
}

/** Index after the empty line that ends a head where LF alone ends lines too, else after the last
 *  LF. Line by line: a search for each form of the end would run on through all that follows. */
function bareHeadEnd(chunk: Buffer, start: number): number {
  let end = start;
  for (let lf = chunk.indexOf(LF, start); lf !== -1; lf = chunk.indexOf(LF, end)) {
    end = lf + 1;
    if (chunk[end] === LF) return end + 1;
    if (chunk[end] === CR && chunk[end + 1] === LF) return end + 2;
  }
  return end;
}
