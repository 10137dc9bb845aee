// Where an app can tell the adapter from node:http, and why that is so. docs/app-environment.md
// carries each sentence; a test compares.

export const differences = {
  CORK: 'Content written while corked is never lost: Node 22 and 24 drop what was written between cork() and end() when uncork() is not called.',
  LENGTH_1_0:
    'To an HTTP/1.0 client too, end(content) gives a Content-Length: node:http sends none and closes the connection.',
  HARNESS: 'The client gave up: what it had seen by then depends on the moment.',
} as const satisfies Record<string, string>;

export type DifferenceId = keyof typeof differences;
