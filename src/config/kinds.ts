// The kinds of value a setting may have: how each is read from text or from a config file, and shown.

/** A value that will not do. `hint` adds to what the kind expects: "did you mean …". Of a list, `parts`
 *  are the items that will not do; none where it is the whole. */
export class Unfit {
  readonly hint: string;
  readonly parts: readonly UnfitPart[];
  constructor(hint = '', parts: readonly UnfitPart[] = []) {
    this.hint = hint;
    this.parts = parts;
  }
}

interface UnfitPart {
  /** As given. */
  readonly raw: unknown;
  readonly hint: string;
}

export interface Kind<T> {
  /** Ends "expected …": "a duration such as 30, 30s or 500ms". */
  readonly expected: string;
  /** Stands for the value in help: "SECONDS". */
  readonly placeholder: string;
  /** Type of the value in a portico.config.ts. */
  readonly inputType: string;
  /** 'switch': the flag takes no value; 'repeat': each flag adds one; else the last flag counts. */
  readonly flag: 'value' | 'switch' | 'repeat';
  /** Reads text (flag, environment) or a value of a config file; never throws. */
  read(raw: unknown): T | Unfit;
  /** For --print-config and the docs. */
  show(value: T): string;
}

/** Of a list that is wrong throughout so many items are named. */
const unfitMax = 10;

/** Reads each item; all that will not do are named, so that one look at a list is enough. */
export function readParts<P, T>(
  parts: readonly P[],
  read: (part: P) => T | Unfit,
  shown: (part: P) => unknown = (part) => part,
): T[] | Unfit {
  const values: T[] = [];
  const unfit: UnfitPart[] = [];
  for (const part of parts) {
    const value = read(part);
    if (value instanceof Unfit) unfit.push({ raw: shown(part), hint: value.hint });
    else values.push(value);
  }
  return unfit.length > 0 ? new Unfit('', unfit.slice(0, unfitMax)) : values;
}

/** The same for the entries of a map. Shown is a map of one, as it stands in a config file. */
export function readEntries<T>(
  map: object,
  read: (name: string, value: unknown) => T | Unfit,
): T[] | Unfit {
  const entries: [string, unknown][] = Object.entries(map);
  return readParts(
    entries,
    ([name, value]) => read(name, value),
    (entry) => Object.fromEntries([entry]),
  );
}

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Where no other limit is given: a Node timer holds at most 2^31 - 1 ms, which is 24.8 days. */
const durationMsMax = 24 * 86_400_000;

/** 30, "30", "30s", "500ms", "1m30s" → milliseconds. A bare number is seconds. */
export function duration(options: { minMs: number; maxMs?: number }): Kind<number> {
  const maxMs = options.maxMs ?? durationMsMax;
  const atLeast = options.minMs > 0 ? ` of at least ${showDuration(options.minMs)}` : '';
  return {
    expected: `a duration${atLeast} such as 30, 30s or 500ms`,
    placeholder: 'SECONDS',
    inputType: 'number | string',
    flag: 'value',
    read(raw) {
      const ms = durationMs(raw);
      if (ms === null) return new Unfit();
      if (ms > maxMs) return new Unfit(`at most ${showDuration(maxMs)}`);
      return ms < options.minMs ? new Unfit() : ms;
    },
    show: showDuration,
  };
}

function durationMs(raw: unknown): number | null {
  if (typeof raw === 'number') return raw >= 0 ? Math.round(raw * 1000) : null;
  if (typeof raw !== 'string') return null;
  const text = raw.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return null;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g))
    ms += Number(amount) * unitMs[unit!]!;
  return Math.round(ms);
}

export function showDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = unitMs[unit]!;
    // "90s" reads better than "1.5m"; a whole number of the largest unit that fits.
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

const unitBytes: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** 4094, "8k", "1m", "1g" → bytes, in steps of 1024 as nginx counts. */
export function size(options: { minBytes: number; maxBytes: number; zero?: string }): Kind<number> {
  const range = `from ${showSize(options.minBytes)} to ${showSize(options.maxBytes)}`;
  const zero = options.zero === undefined ? '' : `, or 0 for ${options.zero}`;
  return {
    expected: `a size ${range} such as 4094, 8k or 1m${zero}`,
    placeholder: 'SIZE',
    inputType: 'number | string',
    flag: 'value',
    read(raw) {
      const bytes = sizeBytes(raw);
      if (bytes === 0 && options.zero !== undefined) return 0;
      if (bytes === null || bytes < options.minBytes || bytes > options.maxBytes)
        return new Unfit();
      return bytes;
    },
    show: showSize,
  };
}

function sizeBytes(raw: unknown): number | null {
  if (typeof raw === 'number') return Number.isInteger(raw) && raw >= 0 ? raw : null;
  if (typeof raw !== 'string') return null;
  const match = /^(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?$/.exec(raw.trim().toLowerCase());
  return match === null ? null : Math.floor(Number(match[1]) * unitBytes[match[2]!]!);
}

export function showSize(bytes: number): string {
  if (bytes === 0) return '0';
  for (const unit of ['g', 'm', 'k'])
    if (bytes % unitBytes[unit]! === 0) return `${bytes / unitBytes[unit]!}${unit}`;
  return String(bytes);
}

export function integer(options: { min: number; max: number; placeholder?: string }): Kind<number> {
  return {
    expected: `a whole number from ${options.min} to ${options.max}`,
    placeholder: options.placeholder ?? 'N',
    inputType: 'number',
    flag: 'value',
    read(raw) {
      const text = typeof raw === 'number' ? String(raw) : raw;
      if (typeof text !== 'string' || !/^\d{1,15}$/.test(text.trim())) return new Unfit();
      const value = Number(text);
      return value < options.min || value > options.max ? new Unfit() : value;
    },
    show: String,
  };
}

/** A mode of file creation. Text is octal, as everywhere; a number is taken as it is (0o022). */
export const octal: Kind<number> = {
  expected: 'an octal number from 0 to 777 such as 022 or "022"',
  placeholder: 'MASK',
  inputType: 'number | string',
  flag: 'value',
  read(raw) {
    if (typeof raw === 'number')
      return Number.isInteger(raw) && raw >= 0 && raw <= 0o777 ? raw : new Unfit();
    if (typeof raw !== 'string' || !/^(0o)?[0-7]{1,4}$/.test(raw.trim())) return new Unfit();
    const value = Number.parseInt(raw.trim().replace(/^0o/, ''), 8);
    return value > 0o777 ? new Unfit() : value;
  },
  show: (value) => (value === 0 ? '0' : `0${value.toString(8)}`),
};

const words: Record<string, boolean> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
};

export const boolean: Kind<boolean> = {
  expected: 'true or false',
  placeholder: '',
  inputType: 'boolean',
  flag: 'switch',
  read(raw) {
    if (typeof raw === 'boolean') return raw;
    const word = typeof raw === 'string' ? raw.trim().toLowerCase() : '';
    return Object.hasOwn(words, word) ? words[word]! : new Unfit();
  },
  show: (value) => (value ? 'on' : 'off'),
};

/** One of some words. `aliases` are other spellings, such as Gunicorn's. */
export function choice<const T extends string>(
  values: readonly T[],
  options: { placeholder: string; aliases?: Readonly<Record<string, T>> },
): Kind<T> {
  const spellings = new Map<string, T>(values.map((value) => [value, value]));
  for (const [alias, value] of Object.entries(options.aliases ?? {})) spellings.set(alias, value);
  return {
    expected: `one of ${values.join(', ')}`,
    placeholder: options.placeholder,
    inputType: values.map((value) => `'${value}'`).join(' | '),
    flag: 'value',
    read: (raw) =>
      (typeof raw === 'string' && spellings.get(raw.trim().toLowerCase())) || new Unfit(),
    show: (value) => value,
  };
}

/** Any text but none; NUL never is of use and ends C strings. */
export function text(expected: string, placeholder: string): Kind<string> {
  return {
    expected,
    placeholder,
    inputType: 'string',
    flag: 'value',
    read: (raw) =>
      typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? raw : new Unfit(),
    show: (value) => value,
  };
}

/** Adds null, which is spelled "none" or "off" where only text can be. */
export function optional<T>(kind: Kind<T>, shown: string): Kind<T | null> {
  return {
    ...kind,
    inputType: `${kind.inputType} | null`,
    read: (raw) => {
      if (raw === null || raw === false || raw === 'none' || raw === 'off') return null;
      return kind.read(raw);
    },
    show: (value) => (value === null ? shown : kind.show(value)),
  };
}

/** Several of a kind: an array, or text with commas between (or, of a repeated flag, one each). */
export function list<T>(item: Kind<T>, options: { repeat: boolean; min: number }): Kind<T[]> {
  return {
    expected: options.repeat
      ? item.expected
      : `${item.expected}; several with commas between, or as an array`,
    placeholder: item.placeholder,
    inputType: `${item.inputType} | readonly ${item.inputType.includes('|') ? `(${item.inputType})` : item.inputType}[]`,
    flag: options.repeat ? 'repeat' : 'value',
    read(raw) {
      const parts = Array.isArray(raw)
        ? raw
        : typeof raw === 'string'
          ? raw.split(',').map((part) => part.trim())
          : [raw];
      const given = parts.filter((part) => part !== '');
      const values = readParts(given, (part) => item.read(part));
      return !(values instanceof Unfit) && values.length < options.min ? new Unfit() : values;
    },
    show: (values) => values.map((value) => item.show(value)).join(',') || 'none',
  };
}
