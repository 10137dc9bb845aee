// Settings of the logs.

import { resolve } from 'node:path';
import { choice, optional, text } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

const file = text('the path of a file, or -', 'FILE|-');

export const logSettings: readonly Setting[] = [
  setting('logLevel', {
    group: 'Logs',
    kind: choice(['trace', 'debug', 'info', 'warning', 'error', 'critical'], {
      placeholder: 'LEVEL',
      aliases: { warn: 'warning', fatal: 'critical' },
    }),
    default: 'info',
    help: 'trace, debug, info, warning, error or critical',
    known: 'Gunicorn `loglevel`, nginx `error_log`',
  }),
  setting('logFormat', {
    group: 'Logs',
    kind: choice(['text', 'json'], { placeholder: 'FORMAT' }),
    default: 'text',
    help: 'Event log as text or json',
    doc: '`text` is as Gunicorn writes it; `json` has one object a line.',
  }),
  setting('errorLogfile', {
    flags: ['--log-file'],
    group: 'Logs',
    kind: file,
    default: '-',
    help: 'File of the event log; -: stderr',
    doc: 'Opened anew at USR1, for log rotation.',
    known: 'Gunicorn `errorlog`, nginx `error_log`',
    finish: (value, { chdir }) => (value === '-' ? '-' : resolve(chdir, value)),
  }),
  setting('accessLogfile', {
    group: 'Logs',
    kind: optional(file, 'off'),
    default: null,
    help: 'File of the access log; -: stdout; off',
    doc: 'Opened anew at USR1, for log rotation.',
    known: 'Gunicorn `accesslog`, nginx `access_log`',
    finish: (value, { chdir }) => (value === null || value === '-' ? value : resolve(chdir, value)),
  }),
  setting('accessLogformat', {
    group: 'Logs',
    kind: text("combined, json, or a format of Gunicorn's atoms", 'FORMAT'),
    default: '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',
    help: "combined, json, or Gunicorn's atoms such as %(h)s",
    known: 'Gunicorn `access_log_format`, nginx `log_format`',
  }),
];
