// The rules of the house, as tests: who may import whom, no cycles, no dead files, sizes, banned calls.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'));
const source = new Map(files.map((file) => [file, readFileSync(join('src', file), 'utf8')]));

/** What the two that serve requests have in common; neither may import the other. */
const serving = [
  ...['native', 'executable', 'config', 'ipc', 'telemetry'],
  ...['errors', 'http', 'link', 'nodehttp'],
];

/** Folders each folder may import from, beside itself. main.ts and index.ts stand above all. */
const mayImport: Record<string, readonly string[]> = {
  errors: [],
  executable: [],
  native: ['executable', 'http'],
  http: ['errors'],
  config: ['executable', 'errors', 'http', 'certificates'],
  certificates: ['errors'],
  ipc: ['config', 'certificates'],
  telemetry: ['executable', 'config'],
  link: ['native', 'http', 'errors', 'telemetry'],
  nodehttp: ['http', 'errors'],
  routing: ['config', 'http', 'errors'],
  arbiter: ['native', 'executable', 'config', 'ipc', 'telemetry', 'errors', 'certificates'],
  cli: [
    'executable',
    'config',
    'errors',
    'routing',
    'arbiter',
    'telemetry',
    'http',
    'certificates',
  ],
  edge: [...serving, 'routing', 'certificates'],
  worker: serving,
};

/** Programs that are started, so nothing imports them; and what users import. */
const roots = [
  'main.ts',
  'index.ts',
  'edge/main.ts',
  'worker/main.ts',
  'worker/hang-thread.ts',
  'edge/routes/password-thread.ts',
  'cli/build/own-executable.ts',
  'worker/thread.ts',
];

test('each folder imports only from the folders below it', () => {
  const wrong = files
    .filter((file) => file.includes('/'))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => {
          const from = folder(file);
          const to = folder(target);
          assert.ok(mayImport[from], `src/${from}/ has no row in mayImport`);
          return to !== from && !mayImport[from].includes(to);
        })
        .map((target) => `${file} imports ${target}`),
    );
  assert.deepEqual(wrong, []);
});

test('no files import each other in a circle', () => {
  const done = new Set<string>();
  const path: string[] = [];
  const circles: string[] = [];
  const visit = (file: string) => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || path.includes(file)) return;
    path.push(file);
    for (const target of importsOf(file, { types: false })) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of files) visit(file);
  assert.deepEqual(circles, []);
});

test('every file is imported by another, or is a program', () => {
  const imported = new Set(files.flatMap((file) => importsOf(file)));
  const dead = files.filter((file) => !imported.has(file) && !roots.includes(file));
  assert.deepEqual(dead, []);
});

test('every export is used somewhere', () => {
  const all = [...source.values(), ...testSources()];
  const dead: string[] = [];
  for (const [file, text] of source) {
    if (roots.includes(file)) continue;
    for (const [, name] of text.matchAll(
      /^export (?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm,
    )) {
      const uses = all.reduce(
        (sum, other) => sum + (other.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0),
        0,
      );
      if (uses < 2) dead.push(`${file}: ${name}`);
    }
  }
  assert.deepEqual(dead, []);
});

test('files have at most 400 lines and begin with a sentence that says what they are for', () => {
  const wrong = [...source].flatMap(([file, text]) => {
    const first = text.split('\n').find((line) => !line.startsWith('#!')) ?? '';
    return [
      ...(text.split('\n').length > 401 ? [`${file} has ${text.split('\n').length} lines`] : []),
      ...(first.startsWith('// ') ? [] : [`${file} begins with ${first}`]),
    ];
  });
  assert.deepEqual(wrong, []);
});

test('what is pure has no clock, no I/O and no environment', () => {
  const pure = (file: string) =>
    file.startsWith('http/') ||
    file.startsWith('routing/') ||
    [
      'link/protocol.ts',
      'link/decoder.ts',
      'link/encoder.ts',
      'link/preface.ts',
      'edge/acme/jws.ts',
      'edge/acme/problem.ts',
      'edge/acme/schedule.ts',
      'edge/balancer/policy.ts',
      'edge/balancer/retry.ts',
      'edge/balancer/sticky.ts',
      'edge/balancer/weighted.ts',
      'edge/cache/entry.ts',
      'edge/cache/key.ts',
      'edge/cache/policy.ts',
      'edge/cache/status-field.ts',
      'edge/cache/store.ts',
      'edge/cache/wants.ts',
      'edge/compression/decide.ts',
      'edge/compression/media-types.ts',
      'edge/compression/remember.ts',
      'edge/upgrade/frames.ts',
      'edge/upstream/proxy-protocol.ts',
    ].includes(file) ||
    file.startsWith('arbiter/decide');
  const banned =
    /\b(Date\.now|new Date\(\)|performance\.now|Math\.random|process\.|setTimeout|setInterval|setImmediate)|from 'node:(fs|http|child_process|os)/;
  const wrong = files.filter(pure).flatMap((file) =>
    code(file)
      .split('\n')
      .flatMap((line, at) => (banned.test(line) ? [`${file}:${at + 1}: ${line.trim()}`] : [])),
  );
  assert.deepEqual(wrong, []);
});

test('banned calls have a named replacement', () => {
  const bans: readonly (readonly [RegExp, string])[] = [
    [/\bconsole\.(log|error|warn)\(/, 'telemetry/log.ts, or process.stdout.write in cli/'],
    [/\bexecSync\(|\bexec\(['"`]/, 'execFile, which starts no shell'],
    [/\beval\(|new Function\(/, 'nothing: text is never run'],
    [/\b(TODO|FIXME|XXX)\b/, 'doing it'],
  ];
  const wrong = files.flatMap((file) =>
    bans
      .filter(([pattern]) => pattern.test(code(file)))
      .map(([pattern, instead]) => `${file}: ${pattern} (use ${instead})`),
  );
  assert.deepEqual(wrong, []);
});

function folder(file: string): string {
  return file.split('/')[0] as string;
}

/** Files of src/ that `file` imports, statically or by import(). */
function importsOf(file: string, { types = true } = {}): string[] {
  const text = source.get(file) ?? '';
  const statics = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from\s+'(\.[^']+)'/gms)]
    .filter((match) => types || !match[1])
    .map((match) => match[2] as string);
  const dynamics = [...text.matchAll(/import\('(\.[^']+)'\)/g)].map((match) => match[1] as string);
  return [...statics, ...(types ? dynamics : [])].map((target) =>
    normalize(join(dirname(file), target)).replaceAll('\\', '/'),
  );
}

/** The file without its comments. */
function code(file: string): string {
  return (source.get(file) ?? '')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\s\/\/ .*$/gm, '');
}

function testSources(): string[] {
  return ['test', 'bench'].flatMap((dir) =>
    readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(dir, file), 'utf8')),
  );
}
