// The functions of native/portico.c, where they were compiled for this machine; all that uses them has another way.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { insideBytes, isInside } from '../executable/inside.ts';

type FileCall = [
  name: number,
  text: string,
  file: number,
  offset: number,
  length: number,
  believedMs: number,
];

/** Results below 0 are errors: -errno. */
interface Native {
  /** Bytes of all pieces that the kernel has taken at once. Text is Latin-1, and less than 16 KB in all. */
  send(socket: number, ...pieces: (string | Uint8Array)[]): number;
  /** Memory of its own pages, a multiple of 2 MiB. */
  pages(length: number): ArrayBuffer | number;
  /** As send(), of bytes from pages(): the kernel takes them without a copy, so they must never change. */
  lend(socket: number, text: string, bytes: Uint8Array): number;
  // As in native/poll.c; all of them give 0 when it is done.
  pollStart(onReady: (count: number) => void, told: Int32Array, bytes: Uint8Array): number;
  pollAdd(name: number, socket: number): number;
  pollRemove(name: number, isOpen: boolean): number;
  /** How many bytes were read. */
  pollRead(name: number): number;
  /** Bytes that the socket has taken: of the text, as above, then of the file, as far as that is in memory. Where all of the text
   *  was sent the file goes on by itself. */
  pollSendFile(...call: FileCall): number;
  /** How many bytes of the file were sent. */
  pollSent(name: number, isOpen: boolean): number;
  pollStopSending(name: number): number;
  /** A child that has ended is no zombie any more. 0: it lives. */
  waitFor(pid: number): number;
  /** sched(7): the main thread of the process, and what it starts from then on. 0: done. */
  scheduleAsBatch(pid: number): number;
}

const compiled = load();

/** Null: not on Linux, not compiled, or not wanted. */
export let native: Native | null = compiled;

/** False: from here on all goes through Node's own ways. Tells which way it is. */
export function useNative(wanted: boolean): boolean {
  native = wanted ? compiled : null;
  return native !== null;
}

function load(): Native | null {
  const name = `${process.platform}-${process.arch}.node`;
  try {
    if (!isInside) return open(fileURLToPath(new URL(name, import.meta.url)));
    const bytes = insideBytes(`native/${name}`);
    return bytes === null ? null : openBytes(bytes);
  } catch {
    // No such file, a system without a dynamic loader, a directory for nothing that is to be run.
    return null;
  }
}

/** What is in an executable has to be a file for a moment, in a directory that nobody else may enter. */
function openBytes(bytes: Uint8Array): Native {
  const dir = mkdtempSync(join(tmpdir(), 'portico-native-'));
  try {
    const file = join(dir, 'portico.node');
    writeFileSync(file, bytes, { mode: 0o500 });
    return open(file);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function open(file: string): Native {
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports as Native;
}
