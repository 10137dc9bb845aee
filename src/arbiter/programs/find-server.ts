// Finds what a Python app is served by: the Python, and a server that is installed there.

import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Config, PythonServer } from '../../config/config.ts';
import type { Identity } from '../identity.ts';

export interface Server {
  readonly name: Exclude<PythonServer, 'auto'>;
  /** Of the server; '' where it does not say. */
  readonly version: string;
  /** Absolute path, or a name in PATH. */
  readonly python: string;
  /** Absolute path of uwsgi, which is no module of Python. */
  readonly program: string | null;
}

export type Found =
  | { readonly ok: true; readonly server: Server }
  | { readonly ok: false; readonly problem: string };

/** What is tried, the favourite first: those that reviewers of Python deployments meet most. */
const serversOf = {
  wsgi: ['gunicorn', 'waitress', 'uwsgi'],
  asgi: ['uvicorn', 'hypercorn', 'granian'],
} as const;

/** Python on a slow disk, with its bytecode not yet compiled. */
const probeTimeoutMs = 20_000;

/** Looks without importing: what an installed package does when it is imported is no business of a look. */
const probe = `
import importlib.util, json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        if importlib.util.find_spec(name) is not None:
            try: found[name] = metadata.version(name)
            except Exception: found[name] = ''
    except Exception: pass
print(json.dumps(found))
`;

type Surroundings = Pick<Config, 'workerClass' | 'python' | 'pythonServer' | 'chdir' | 'env'>;

/** Never rejects. Python runs as the workers do: that of a virtual environment may be anybody's file. */
export async function findServer(
  config: Surroundings,
  identity: Identity | null,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Found> {
  const { workerClass, pythonServer } = config;
  if (workerClass !== 'wsgi' && workerClass !== 'asgi') throw new Error('no Python app');
  const known: readonly Server['name'][] = serversOf[workerClass];
  if (pythonServer !== 'auto' && !known.includes(pythonServer))
    return no(
      `Cannot use pythonServer ${pythonServer} with workerClass ${workerClass}: it is served by ${known.join(', ')}`,
    );
  const wanted = pythonServer === 'auto' ? known : [pythonServer];
  const env = { ...environment, ...config.env };
  const python = pythonOf(config, env);
  const looked = await look(python, wanted, { config, identity, env });
  if ('problem' in looked) return no(looked.problem);
  for (const name of wanted) {
    const version = looked.installed[name];
    if (name === 'uwsgi') {
      const program = findUwsgi(python, env);
      if (program !== null)
        return { ok: true, server: { name, version: version ?? '', python, program } };
    } else if (version !== undefined) {
      return { ok: true, server: { name, version, python, program: null } };
    }
  }
  const what = pythonServer === 'auto' ? `${workerClass.toUpperCase()} server` : pythonServer;
  return no(
    `There is no ${what} for ${python}: install one with "${python} -m pip install ${wanted[0]}", or name another Python with --python`,
  );
}

function no(problem: string): Found {
  return { ok: false, problem };
}

function pythonOf({ python, chdir }: Surroundings, env: NodeJS.ProcessEnv): string {
  if (python !== null) return isDirectory(python) ? join(python, 'bin/python') : python;
  const environments = [env.VIRTUAL_ENV ?? '', join(chdir, '.venv'), join(chdir, 'venv')];
  const candidates = environments.filter((dir) => dir !== '').map((dir) => join(dir, 'bin/python'));
  return candidates.find(isExecutable) ?? 'python3';
}

type Looked =
  | { readonly installed: Readonly<Record<string, string>> }
  | { readonly problem: string };

function look(
  python: string,
  names: readonly string[],
  {
    config,
    identity,
    env,
  }: { config: Surroundings; identity: Identity | null; env: NodeJS.ProcessEnv },
): Promise<Looked> {
  return new Promise((done) => {
    const options = { cwd: config.chdir, env, timeout: probeTimeoutMs, ...(identity ?? {}) };
    execFile(python, ['-c', probe, ...names], options, (error, stdout, stderr) => {
      if (error === null) return done(readProbe(stdout, python));
      const { code } = error as { code?: string | number };
      if (code === 'ENOENT') return done({ problem: noPython(python) });
      const why = stderr.trim().split('\n').at(-1) || error.message;
      done({ problem: `Cannot use the Python ${python}: ${why}` });
    });
  });
}

function noPython(python: string): string {
  return python === 'python3'
    ? 'There is no python3 in PATH, no virtual environment .venv or venv, and VIRTUAL_ENV is not set: install Python, or name one with --python'
    : `There is no Python ${python}`;
}

function readProbe(stdout: string, python: string): Looked {
  try {
    // The last line: site-packages may print.
    const installed = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as unknown;
    if (typeof installed === 'object' && installed !== null)
      return { installed: installed as Record<string, string> };
  } catch {
    // Told below.
  }
  return { problem: `Cannot use the Python ${python}: it does not answer as Python does` };
}

/** Beside the Python, where pip puts it, else in PATH. */
function findUwsgi(python: string, env: NodeJS.ProcessEnv): string | null {
  const dirs = (env.PATH ?? '').split(delimiter).filter((dir) => dir !== '');
  const beside = python.includes('/') ? [dirname(python)] : [];
  const paths = [...beside, ...dirs].map((dir) => join(dir, 'uwsgi'));
  return paths.find(isExecutable) ?? null;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
