// Where the files are that an executable carries along for its app.

const name = 'PORTICO_INTERNAL_CARRIED';

/** What says so to the processes that are started from here. */
export function setCarriedDir(dir: string): void {
  process.env[name] = dir;
}

/** Null where there are none. */
export function carriedDir(): string | null {
  return process.env[name] ?? null;
}
