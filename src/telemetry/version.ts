// The version in package.json.

import { readOwnFile } from '../executable/own-file.ts';

export function ownVersion(): string {
  const { name, version } = JSON.parse(readOwnFile('package.json') ?? '{}');
  return name === 'portico' ? String(version) : 'unknown';
}
