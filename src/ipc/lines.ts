// Cuts a stream of bytes into JSON values, one a line, and never holds more than one line's limit.

/** What a reader of lines hears. */
export interface LineObserver {
  onValue(value: unknown): void;
  /** A line that is not JSON, or longer than the limit: skipped. */
  onJunk(): void;
}

export interface LineReader {
  push(chunk: Uint8Array): void;
}

const newline = 10;

/** Reads newline-delimited JSON whose lines are at most `lineBytesMax` long. */
export function createLineReader(lineBytesMax: number, observer: LineObserver): LineReader {
  let parts: Uint8Array[] = [];
  let held = 0;
  // The rest of a line that is too long is thrown away as it comes.
  let skipping = false;

  function take(piece: Uint8Array): void {
    if (skipping) return;
    if (held + piece.length > lineBytesMax) {
      skipping = true;
      parts = [];
      held = 0;
      return;
    }
    parts.push(piece);
    held += piece.length;
  }

  function endLine(): void {
    const line = skipping ? null : Buffer.concat(parts, held).toString('utf8');
    skipping = false;
    parts = [];
    held = 0;
    if (line === '') return;
    const value = line === null ? undefined : parse(line);
    if (value === undefined) observer.onJunk();
    else observer.onValue(value);
  }

  return {
    push(chunk) {
      let from = 0;
      for (let to = chunk.indexOf(newline); to >= 0; to = chunk.indexOf(newline, from)) {
        take(chunk.subarray(from, to));
        endLine();
        from = to + 1;
      }
      // A copy: the rest of a small line must not keep a whole read buffer alive.
      if (from < chunk.length) take(Uint8Array.prototype.slice.call(chunk, from));
    },
  };
}

/** undefined when the text is not JSON; JSON has no undefined of its own. */
function parse(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
