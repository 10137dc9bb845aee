// Settings of workers that are no Node apps: Python apps, and any program that serves HTTP.

import { resolve } from 'node:path';
import type { PythonServer } from '../config.ts';
import { choice, type Kind, optional, text, Unfit } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';
import { shellWords } from '../shell-words.ts';

/** A program and its arguments: an array, or text with a shell's quotes. Nothing is expanded. */
const commandLine: Kind<readonly string[]> = {
  expected: 'a program and its arguments such as "puma -b unix://{socket}"',
  placeholder: 'COMMAND',
  inputType: 'string | readonly string[]',
  flag: 'value',
  read(raw) {
    const split = typeof raw === 'string' ? shellWords(raw) : { words: raw, unclosedAt: null };
    const { words } = split;
    if (split.unclosedAt !== null || !Array.isArray(words)) return new Unfit();
    const isText = (word: unknown) => typeof word === 'string' && !word.includes('\0');
    return words.length > 0 && words[0] !== '' && words.every(isText) ? words : new Unfit();
  },
  show: (words) => words.map(quoted).join(' '),
};

function quoted(word: string): string {
  return /^[\w./:@%+={},$-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

const servers = [
  'auto',
  'gunicorn',
  'waitress',
  'uwsgi',
  'uvicorn',
  'hypercorn',
  'granian',
] as const satisfies readonly PythonServer[];

export const programSettings: readonly Setting[] = [
  setting('command', {
    group: 'Processes',
    kind: optional(commandLine, 'none'),
    default: null,
    help: 'The program of worker class command',
    doc: 'On the command line it stands at the end: `portico -k command -- CMD … {socket}`. `{socket}` is the path of the Unix socket it is to listen on. A command without it is given a port of 127.0.0.1 instead, in the variable `PORT` and wherever it says `$PORT` or `{port}`. No shell is involved.',
  }),
  setting('python', {
    group: 'Processes',
    kind: optional(text('the path of a Python or of a virtual environment', 'PATH'), 'found'),
    default: null,
    help: 'Python of worker classes wsgi and asgi, or its virtual environment',
    doc: 'Without it: that of `VIRTUAL_ENV`, of `.venv` and of `venv` in `chdir`, and `python3` in `PATH`, in this order.',
    // A name without a slash is looked up in PATH.
    finish: (value, { chdir }) => (value?.includes('/') ? resolve(chdir, value) : value),
  }),
  setting('pythonServer', {
    group: 'Processes',
    kind: choice(servers, { placeholder: 'NAME' }),
    default: 'auto',
    help: 'Python server of worker classes wsgi and asgi',
    doc: '`auto` takes the first that this Python has: gunicorn, waitress, uwsgi for `wsgi`; uvicorn, hypercorn, granian for `asgi`.',
  }),
];
