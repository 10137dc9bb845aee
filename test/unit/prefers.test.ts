// Which form of an error a client would rather read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preferredText } from '../../src/http/prefers.ts';

const cases: readonly (readonly [string | undefined, string])[] = [
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  // Chromium, Firefox and Safari that open a page.
  ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 'html'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'html'],
  // An image and a style sheet of a page.
  ['image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8', 'text'],
  ['text/css,*/*;q=0.1', 'text'],
  // axios, and others that name JSON.
  ['application/json, text/plain, */*', 'json'],
  ['application/json', 'json'],
  ['application/vnd.api+json', 'json'],
  ['application/problem+json;q=0.5, text/html;q=0.4', 'json'],
  ['text/html;q=0.5, application/json', 'json'],
  ['text/html;q=0.5, */*', 'text'],
  ['text/html;q=0', 'text'],
  ['TEXT/HTML ; Q=0.9', 'html'],
  ['text/html;q=nonsense', 'html'],
  ['text/*', 'text'],
  [`${',;'.repeat(5_000)}text/html`, 'text'],
];

for (const [accept, form] of cases)
  test(`Accept ${JSON.stringify(accept)?.slice(0, 60)} is answered in ${form}`, () => {
    assert.equal(preferredText(accept), form);
  });
