// Writes lines to a file or stdout off the hot path: gathered here, written by pino's destination.

import { mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import type { Log } from '../../telemetry/log.ts';

/** Lines are handed on in blocks of about this: one write in 40 lines. */
const BLOCK_CHARACTERS = 4_096;
/** Lines show after this at the latest. */
const FLUSH_EVERY_MS = 1_000;
/** Most of one write to a file. One write ends in each turn of a busy loop: at 2,000 turns a second
 *  these are 128 MB/s, where pino's 16 KiB would drop lines of JSON at 64,000 requests a second. */
const WRITE_BYTES_MAX = 64 * 1024;
/** While the disk does not keep up, or is full, so much waits; what comes then is dropped. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;

export interface LogWriter {
  /** ASCII, with its line end. */
  write(line: string): void;
  /** Opens the file anew; what was written before goes to the old one. */
  reopen(): void;
  /** Writes all, now: before the process ends. */
  flush(): void;
  close(): void;
}

type Destination = ReturnType<typeof pino.destination>;

/** `file` "-" is stdout. Throws if the file can't be opened. */
export function openLogWriter(file: string, log: Log): LogWriter {
  let waiting = '';
  let isFailing = false;
  let dropped = 0;
  let isClosed = false;

  const open = (): Destination => {
    if (file !== '-') mkdirSync(dirname(file), { recursive: true });
    // Opened here and at once: a destination that opens its own file can't flush until that is done.
    const dest = file === '-' ? 1 : openSync(file, 'a', 0o644);
    const made = pino.destination({
      dest,
      sync: false,
      maxLength: WAITING_BYTES_MAX,
      // Docker takes 16 KiB of a container's stdout at a time, and breaks what is longer in two.
      ...(file === '-' ? {} : { maxWrite: WRITE_BYTES_MAX }),
    });
    // A full disk, or nobody reads stdout any more: never the end of the program. Told once. And
    // never a program without end: flushSync, which pino calls at exit, would try again for ever.
    const { flushSync } = made;
    made.on('error', (error: Error) => {
      if (!isFailing) log.error('cannot write the access log', { file, error: error.message });
      isFailing = true;
      made.flushSync = () => {};
    });
    made.on('write', () => {
      isFailing = false;
      made.flushSync = flushSync;
    });
    made.on('drop', () => {
      dropped++;
    });
    return made;
  };
  let destination = open();

  const handOn = (): void => {
    const block = waiting;
    waiting = '';
    if (block !== '') destination.write(block);
  };
  const timer = setInterval(() => {
    handOn();
    if (dropped === 0) return;
    log.error('access log lines were dropped', { file, blocks: dropped });
    dropped = 0;
  }, FLUSH_EVERY_MS);
  timer.unref();

  const flush = (): void => {
    if (isClosed) return;
    handOn();
    destination.flushSync();
  };
  process.on('exit', flush);

  return {
    write(line) {
      waiting += line;
      if (waiting.length >= BLOCK_CHARACTERS) handOn();
    },
    reopen() {
      if (file === '-' || isClosed) return;
      handOn();
      const former = destination;
      try {
        destination = open();
      } catch (error) {
        log.error('cannot open the access log anew', { file, error: String(error) });
        return;
      }
      former.end();
    },
    flush,
    close() {
      if (isClosed) return;
      handOn();
      isClosed = true;
      clearInterval(timer);
      process.off('exit', flush);
      destination.end();
    },
  };
}
