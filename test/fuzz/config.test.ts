// Whatever is given as a setting is either read or a problem in one line; nothing throws.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { problem } from '../../src/config/assignment.ts';
import { nearest } from '../../src/config/did-you-mean.ts';
import { parseFlags } from '../../src/config/flags.ts';
import { Unfit } from '../../src/config/kinds.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { settings } from '../../src/config/settings.ts';
import { shellWords } from '../../src/config/shell-words.ts';

const origin = { from: 'file', label: 'fuzz' } as const;
const surroundings = { cwd: '/srv', file: null, cpus: 2 };

/** Any value at all, text that looks like settings among it. */
const raw = fc.oneof(
  fc.anything({ withBigInt: true, withNullPrototype: true, withMap: true }),
  fc.string({ unit: fc.constantFrom(...'0159.:-/[]%=,*smhkgunix abA\0\n'), maxLength: 20 }),
  fc.array(fc.string({ unit: fc.constantFrom(...'019.:/[]=,*unixa'), maxLength: 12 })),
);

test('a value is read, or refused with one line', () => {
  fc.assert(
    fc.property(fc.constantFrom(...settings), raw, (setting, value) => {
      const read = setting.kind.read(value);
      if (read instanceof Unfit) {
        const line = problem(setting.key, value, origin, setting.kind.expected, read.hint);
        assert.match(line, /^Cannot use \w+ [^\n]* \(from fuzz\): expected /);
        return;
      }
      assert.equal(typeof setting.kind.show(read), 'string');
      const resolved = resolveConfig([{ key: setting.key, raw: value, origin }], surroundings);
      // What goes to the children goes as JSON, and comes out the same.
      assert.deepEqual(JSON.parse(JSON.stringify(resolved.config)), resolved.config);
    }),
    { numRuns: 3000 },
  );
});

test('any arguments are read', () => {
  const flag = fc.constantFrom(
    ...settings.flatMap(({ flags, short }) => [
      ...flags,
      ...flags.map((name) => `${name}=`),
      short,
    ]),
    ...['--', '-', '', '-zz', '--no-preload', '--nope', '-R', '--worker-tmp-dir'],
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(flag, fc.string()), { maxLength: 8 }), (argv) => {
      const { assignments, rest } = parseFlags(argv, { settings, actions: [] });
      assert.ok(assignments.length + rest.length <= argv.length);
    }),
    { numRuns: 2000 },
  );
});

test('any text is split into words, or has an open quote', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...`ab '"\\$\t\n`), maxLength: 30 }), (text) => {
      const { words } = shellWords(text);
      // Quoted once more, the words come out as they are.
      const again = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
      assert.deepEqual(shellWords(again), { words, unclosedAt: null });
    }),
    { numRuns: 2000 },
  );
});

test('a name with one letter missing is found again, unless that is a name too', () => {
  const keys = settings.map(({ key }) => key).filter((key) => key.length > 5);
  // Few enough to try them all: at random "preload" less its "p", which is "reload", came up only now and then.
  for (const key of keys)
    for (let index = 0; index < key.length; index++) {
      const given = key.slice(0, index) + key.slice(index + 1);
      assert.equal(nearest(given, keys), keys.includes(given) ? given : key);
    }
});
