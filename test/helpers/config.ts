// Settings for tests of what needs a whole Config.

import type { Config } from '../../src/config/config.ts';
import type { TlsFiles } from '../../src/ipc/messages.ts';
import { defaultConfig } from './default-config.ts';

/** For settings that name no certificates. */
export const noTlsFiles: TlsFiles = { pairs: [], clientCas: [] };

/** Small and quick settings; a test says what it cares about. */
export function testConfig(changes: Partial<Config> = {}): Config {
  return {
    ...defaultConfig(),
    ...{ module: 'app.js', chdir: '/' },
    bind: [{ kind: 'tcp', host: '127.0.0.1', port: 0, tls: false }],
    ...{ workers: 2, workerConnections: 100, workerScheduling: 'normal', hangStack: false },
    ...{ acmeStorage: '/nonexistent', staticStore: '/nonexistent' },
    ...{ gracefulTimeoutMs: 5_000, keepAliveMs: 2_000, upgradeGraceMs: 100, umask: 0 },
    ...{ bodyTimeoutMs: 10_000, sendTimeoutMs: 10_000 },
    ...{ queueSize: 100, queueTimeoutMs: 10_000, forwardedAllowIps: [], accessLogfile: null },
    ...changes,
  };
}
