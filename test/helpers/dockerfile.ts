// Reads a Dockerfile, and carries it out in a directory where there is no Docker: enough of it for our own.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export interface Step {
  readonly op: string;
  /** As written, variables of ARG put in. */
  readonly text: string;
}

export interface Stage {
  readonly from: string;
  readonly name: string;
  readonly steps: readonly Step[];
}

export function readDockerfile(path: string, args: Readonly<Record<string, string>> = {}): Stage[] {
  const known: Record<string, string> = {};
  const stages: { from: string; name: string; steps: Step[] }[] = [];
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ');
  for (const line of lines.split('\n').filter((text) => text.trim() !== '')) {
    const [, op, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) as RegExpExecArray &
      [string, string, string];
    const text = rest.replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => known[name] ?? whole);
    if (op === 'ARG') {
      const [name = '', value = ''] = text.split('=');
      known[name] = args[name] ?? value;
    } else if (op === 'FROM') {
      const [, from, name = ''] = /^(\S+)(?: AS (\S+))?$/.exec(text) as RegExpExecArray &
        [string, string];
      stages.push({ from, name, steps: [] });
    } else stages.at(-1)?.steps.push({ op, text });
  }
  return stages;
}

export interface Copy {
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly to: string;
}

export function copyOf({ text }: Step): Copy {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? words.shift()!.slice('--from='.length) : null;
  const to = words.pop() as string;
  return { from, sources: words, to };
}

/** The last value of an instruction: exec form as a list, ENV as a map is `environmentOf`. */
export function commandOf(stage: Stage, op: string): string[] {
  const text = stage.steps.findLast((step) => step.op === op)?.text ?? '[]';
  return JSON.parse(text.slice(text.indexOf('['))) as string[];
}

export function environmentOf(stage: Stage): Record<string, string> {
  const words = stage.steps
    .filter(({ op }) => op === 'ENV')
    .flatMap(({ text }) => text.split(/\s+/));
  return Object.fromEntries(words.map((word) => word.split(/=(.*)/s).slice(0, 2)));
}

export interface BuildOptions {
  /** The build context. */
  readonly context: string;
  /** Each stage gets a directory in it; the last one's is the image. */
  readonly into: string;
  /** Files of base images and of packages that RUN would install, by their path in the image. */
  readonly foreign: Readonly<Record<string, string>>;
  /** A RUN that is not carried out. */
  readonly skips: RegExp;
}

/** Carries the stages out, and returns the last one's root. RUN sees this machine, in the stage's directory. */
export function build(stages: readonly Stage[], options: BuildOptions): string {
  const roots = new Map<string, string>();
  let root = '';
  for (const [index, stage] of stages.entries()) {
    root = join(options.into, stage.name || `stage-${index}`);
    mkdirSync(root, { recursive: true });
    roots.set(stage.name, root);
    let workdir = '/';
    for (const step of stage.steps) {
      if (step.op === 'WORKDIR') workdir = step.text;
      mkdirSync(join(root, workdir), { recursive: true });
      if (step.op === 'COPY') copy(step, { root, workdir, roots, options });
      if (step.op === 'RUN' && !options.skips.test(step.text)) {
        const env = {
          ...process.env,
          npm_config_prefer_offline: 'true',
          npm_config_audit: 'false',
        };
        const cwd = join(root, workdir);
        const { status, stderr } = spawnSync('sh', ['-ec', step.text], {
          cwd,
          env,
          encoding: 'utf8',
        });
        if (status !== 0) throw new Error(`RUN ${step.text} failed:\n${stderr}`);
      }
    }
  }
  return root;
}

interface Place {
  readonly root: string;
  readonly workdir: string;
  readonly roots: ReadonlyMap<string, string>;
  readonly options: BuildOptions;
}

function copy(step: Step, { root, workdir, roots, options }: Place): void {
  const { from, sources, to } = copyOf(step);
  for (const source of sources) {
    const inStage = from === null ? options.context : roots.get(from);
    if (inStage === undefined) throw new Error(`COPY ${step.text}: no such stage`);
    const path = options.foreign[source] ?? join(inStage, source);
    const target = resolve('/', workdir, to);
    const isDirectory = statSync(path).isDirectory();
    const into = to.endsWith('/') && !isDirectory ? join(target, basename(source)) : target;
    mkdirSync(dirname(join(root, into)), { recursive: true });
    // Links stay as they are, as with COPY.
    cpSync(path, join(root, into), { recursive: true, verbatimSymlinks: true });
  }
}

/** Puts the shared libraries of a program into a root, where it is to run in a chroot. */
export function putLibraries(program: string, root: string): void {
  const said = execFileSync('ldd', [program], { encoding: 'utf8' });
  for (const [path] of said.matchAll(/\/\S+\.so[.\d]*/g)) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    if (!existsSync(target)) cpSync(path, target, { dereference: true });
  }
}
