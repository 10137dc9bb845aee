// What readers of config files give back, and how they say where a file is wrong.

export interface FileValue {
  readonly key: string;
  readonly raw: unknown;
  /** From 1; null where it isn't known. */
  readonly line: number | null;
}

export class FileFault extends Error {
  readonly line: number | null;
  constructor(message: string, line: number | null) {
    super(message);
    this.line = line;
  }
}
