// What the programs print, line by line behind the name of their slot, so that lines of several never mix.

import type { Readable, Writable } from 'node:stream';
import type { Config } from '../../config/config.ts';

/** A line that is longer comes in pieces. */
const lineBytesMax = 16 * 1024;
/** Lines kept to say why a program did not start. */
const lastLinesMax = 20;
const newline = 10;

export interface OutputOptions {
  readonly from: Readable;
  readonly to: Writable;
  readonly format: Config['logFormat'];
  /** "worker 2". */
  readonly role: string;
  readonly pid: number;
  /** Gets each line. */
  readonly onLine: (line: string) => void;
}

/** Reads until the program ends. Who reads ours slowly makes the program wait, as on a pipe of its own. */
export function mergeOutput({ from, to, format, role, pid, onLine }: OutputOptions): void {
  let held: Buffer = Buffer.alloc(0);
  const say = (bytes: Buffer): string => {
    const line = bytes.toString('utf8').replace(/\r$/, '');
    onLine(line);
    if (format === 'text') return `${role}: ${line}\n`;
    const time = new Date().toISOString();
    return `${JSON.stringify({ level: 'INFO', time, pid, role, msg: line })}\n`;
  };
  const write = (text: string): void => {
    if (text === '' || to.write(text)) return;
    from.pause();
    to.once('drain', () => from.resume());
  };
  from.on('data', (chunk: Buffer) => {
    let rest = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let text = '';
    for (;;) {
      const end = rest.indexOf(newline);
      const isWhole = end !== -1 && end <= lineBytesMax;
      if (!isWhole && rest.length <= lineBytesMax) break;
      text += say(rest.subarray(0, isWhole ? end : lineBytesMax));
      rest = rest.subarray(isWhole ? end + 1 : lineBytesMax);
    }
    // A copy: the rest of a line must not keep a whole read buffer alive.
    held = Buffer.from(rest);
    write(text);
  });
  from.on('end', () => {
    if (held.length > 0) write(say(held));
    held = Buffer.alloc(0);
  });
  from.on('error', () => {});
}

/** The last lines of a program that are worth a look. */
export function createLastLines(): { add(line: string): void; text(): string } {
  let lines: string[] = [];
  return {
    add(line) {
      if (line.trim() === '') return;
      lines.push(line);
      if (lines.length > lastLinesMax) lines = lines.slice(-lastLinesMax);
    },
    text: () => lines.join('\n'),
  };
}
