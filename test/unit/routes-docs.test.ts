// The examples of docs/routes.md do what is said beside them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { requestOf } from '../../src/cli/routes/request.ts';
import { tryRequest } from '../../src/cli/routes/try-request.ts';
import { testConfig } from '../helpers/config.ts';
import { routes } from '../helpers/routes.ts';

const rows = [
  ...readFileSync('docs/routes.md', 'utf8').matchAll(/^\| `(\{.*\})` \| `(.*?)` \| `(.*)` \|$/gm),
];

test('there are examples', () => assert.ok(rows.length >= 12, String(rows.length)));

for (const [, route, request, outcome] of rows)
  test(`${route}: ${request}`, () => {
    const given = runInNewContext(`(${route!.replaceAll('\\|', '|')})`) as object;
    const [words, ...headers] = request!.split(' -H ');
    const asked = requestOf(
      words!.split(' '),
      headers.map((text) => text.replaceAll("'", '')),
    );
    assert.ok(typeof asked === 'object', String(asked));
    const config = testConfig({ routes: routes(JSON.parse(JSON.stringify(given))) });
    const told = JSON.parse(tryRequest(config, asked, true));
    assert.equal(told.code ?? (told.route === null ? 'not taken' : told.to), outcome);
  });
