// Settings of the answers to requests that failed.

import { resolve } from 'node:path';
import { boolean } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';
import { statusPages } from '../status-pages.ts';

export const errorSettings: readonly Setting[] = [
  setting('errorPages', {
    group: 'Error pages',
    kind: statusPages,
    default: {},
    help: 'HTML page for an error status; repeatable',
    doc: "In a config file a map: `{ 404: '404.html', '5xx': 'sorry.html' }`. `{{status}}` and `{{requestId}}` in a page are replaced. Pages are read at start and at reload. See [error pages](error-pages.md).",
    known: 'nginx `error_page`',
    finish: (pages, { chdir }) =>
      Object.fromEntries(
        Object.entries(pages).map(([status, path]) => [status, resolve(chdir, path)]),
      ),
  }),
  setting('interceptErrors', {
    group: 'Error pages',
    kind: boolean,
    default: false,
    help: "Put errorPages in place of the app's own errors too",
    doc: 'Only for statuses that `errorPages` names. What the app sent as content is thrown away.',
    known: 'nginx `proxy_intercept_errors`',
  }),
];
