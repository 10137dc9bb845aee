// Where an app or its client can tell the adapter from node:http, and why. docs/app-environment.md
// has each sentence; a test compares.

export const differences = {
  CORK: 'Content written while corked is never lost: Node 22 and 24 drop what was written between cork() and end() where uncork() is not called.',
  LENGTH_1_0:
    'To an HTTP/1.0 client too, end(content) gives a Content-Length, so that its connection can go on; node:http sends none and closes.',
  LATIN1:
    'Field values go out in Latin-1, one byte for each character; node:http turns them into UTF-8 where the content that follows is a string.',
  DISPOSITION:
    'Content-Disposition is sent as the app gave it; node:http reads its bytes as UTF-8 first where it knows the length.',
} as const satisfies Record<string, string>;

export type DifferenceId = keyof typeof differences;
