// Whether an app of somebody's is to be served, or files and routes alone.

import { welcomeModule } from '../executable/own-modules.ts';
import type { Config } from './config.ts';

export function hasApp({ module }: Pick<Config, 'module'>): boolean {
  return module !== null && module !== welcomeModule;
}
