// Gathers what is wrong with a table of settings, each fault with the key it stands under.

import { nearest } from '../did-you-mean.ts';
import { Unfit } from '../kinds.ts';

/** Of a table that is wrong throughout so many faults are named. */
const FAULTS_MAX = 20;

export class Complaints {
  private readonly faults: { readonly raw: unknown; readonly hint: string }[] = [];

  /** `key`: "routes[2].path". */
  add(key: string, raw: unknown, why: string): void {
    if (this.faults.length < FAULTS_MAX) this.faults.push({ raw, hint: `${key}: ${why}` });
  }

  get isEmpty(): boolean {
    return this.faults.length === 0;
  }

  toUnfit(): Unfit {
    return new Unfit('', this.faults);
  }

  /** The entries of an object, or none and a fault where it is no object. Keys that are not in
   *  `keys` are faults. */
  object(at: string, raw: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> {
    if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
      this.add(at, raw, `it has ${keys.join(', ')}`);
      return {};
    }
    const known: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(raw)) {
      // In a config file of code, left out.
      if (value === undefined) continue;
      if (keys.includes(key)) known[key] = value;
      else {
        const near = nearest(key, keys);
        const hint = near === null ? `there are ${keys.join(', ')}` : `did you mean ${near}?`;
        this.add(`${at}.${key.slice(0, 40)}`, value, `there is no such key: ${hint}`);
      }
    }
    return known;
  }

  /** One value or a list of them, each read; `read` returns null for what will not do. */
  list<T>(at: string, raw: unknown, read: (value: string) => T | null, expected: string): T[] {
    if (raw === undefined || raw === null) return [];
    const given: unknown[] = Array.isArray(raw) ? raw : [raw];
    if (given.length === 0) this.add(at, raw, `an empty list would take nothing: leave it out`);
    if (given.length > LIST_MAX) {
      this.add(at, `${given.length} values`, `at most ${LIST_MAX}`);
      return [];
    }
    const values: T[] = [];
    for (const [index, value] of given.entries()) {
      const one = typeof value === 'string' ? read(value) : null;
      if (one !== null) values.push(one);
      else this.add(Array.isArray(raw) ? `${at}[${index}]` : at, value, expected);
    }
    return values;
  }
}

const LIST_MAX = 1000;
