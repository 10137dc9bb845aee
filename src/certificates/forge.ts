// Loads node-forge when it is first needed: most processes never make or take apart a certificate.

import type forge from 'node-forge';

export type Forge = typeof forge;

let loading: Promise<Forge> | null = null;

/** 50 ms and 11 MB the first time. */
export function loadForge(): Promise<Forge> {
  loading ??= import('node-forge').then((module) => module.default);
  return loading;
}
