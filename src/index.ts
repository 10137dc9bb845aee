// The public API: what a portico.config.ts may import.

import type { PorticoConfig } from './config/portico-config.ts';

export type {
  PorticoConfig,
  RouteInput,
  RouteTargetInput,
  StaticMountInput,
  UpstreamInput,
  UpstreamTargetInput,
} from './config/portico-config.ts';

/** Settings, or a function that returns them when it is called. */
export type PorticoConfigExport =
  | PorticoConfig
  | (() => PorticoConfig)
  | (() => Promise<PorticoConfig>);

/** Gives the settings of a config file their types: `export default defineConfig({ workers: 4 })`. */
export function defineConfig<T extends PorticoConfigExport>(config: T): T {
  return config;
}
