// Whether an app of somebody's is to be served, or files and routes alone.

import { welcomeModule } from '../executable/own-modules.ts';
import type { Config } from './config.ts';

export function hasApp({ module, apps }: Pick<Config, 'module' | 'apps'>): boolean {
  return apps.length > 0 || (module !== null && module !== welcomeModule);
}
