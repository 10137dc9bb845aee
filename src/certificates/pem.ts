// Takes the blocks of a PEM file apart (RFC 7468); text between them is allowed, as openssl writes it.

export interface PemBlock {
  /** "CERTIFICATE", "EC PRIVATE KEY". */
  readonly label: string;
  /** The block with its first and last line. */
  readonly text: string;
}

const begin = '-----BEGIN ';
/** Each is looked for to the end of the file. */
const brokenMax = 100;

export function readPemBlocks(bytes: Buffer): PemBlock[] {
  const all = bytes.toString('latin1');
  const blocks: PemBlock[] = [];
  let broken = 0;
  for (let at = all.indexOf(begin); at !== -1; at = all.indexOf(begin, at)) {
    const labelEnd = all.indexOf('-----', at + begin.length);
    if (labelEnd === -1) break;
    const label = all.slice(at + begin.length, labelEnd);
    const end = `-----END ${label}-----`;
    const textEnd = all.indexOf(end, labelEnd);
    // A block that is cut off: what follows may be whole.
    if (textEnd === -1) {
      broken += 1;
      if (broken > brokenMax) break;
      at = labelEnd;
    } else {
      blocks.push({ label, text: `${all.slice(at, textEnd + end.length)}\n` });
      at = textEnd + end.length;
    }
  }
  return blocks;
}
