// One edge's ACME in a process of its own: settings by argument, one line of JSON for each thing that happens.

import { X509Certificate } from 'node:crypto';
import { Acme } from '../../src/edge/acme/acme.ts';
import type { AcmeSettings } from '../../src/edge/acme/settings.ts';

const settings = JSON.parse(process.argv[2]!) as AcmeSettings;
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
const log = (level: string) => (message: string) => say({ level, message });

const acme = new Acme(settings, {
  log: {
    trace: log('trace'),
    debug: log('debug'),
    info: log('info'),
    warning: log('warning'),
    error: log('error'),
    critical: log('critical'),
    reopen() {},
  },
  version: '0.0.0',
  onPairs: (pairs) => {
    for (const { hosts, certPem } of pairs) {
      const { issuer, subject, serialNumber } = new X509Certificate(certPem);
      if (issuer !== subject) say({ host: hosts[0], serialNumber });
    }
  },
});
await acme.start();
say({ started: process.pid });
// Its timer alone would not keep the process.
setInterval(() => {}, 1000);
