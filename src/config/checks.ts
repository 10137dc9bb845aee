// Checks that need more than one setting, or the machine: directories, accounts, names of hosts.

import { lookup } from 'node:dns/promises';
import { accessSync, constants, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkAccessLogFormat } from './access-log-format.ts';
import { findGroup, findUser } from './accounts.ts';
import { acmeFaults } from './acme-checks.ts';
import { showBind } from './address.ts';
import { appsOf } from './apps.ts';
import { quote } from './assignment.ts';
import type { BindAddress, Config } from './config.ts';
import type { Settled } from './resolve.ts';
import { routeFileFaults } from './routes/files.ts';
import { checkTls } from './tls-checks.ts';

/** sun_path holds 108 bytes on Linux and 104 on macOS and the BSDs, with a closing NUL. */
const socketPathBytesMax = process.platform === 'linux' ? 107 : 103;

type SettledByKey = ReadonlyMap<string, Settled>;

/** The config with host names resolved, what is wrong with it, and what works but should be looked at. */
export async function checkConfig(
  config: Config,
  settled: SettledByKey,
): Promise<{ config: Config; problems: string[]; warnings: readonly string[] }> {
  const from = (key: string) => `(from ${settled.get(key)!.origin.label})`;
  const problems: string[] = [];
  const cannot = (key: string, value: string, why: string) =>
    problems.push(`Cannot use ${key} ${quote(value)} ${from(key)}: ${why}`);

  const chdirFault = directoryFault(config.chdir);
  if (chdirFault !== null) cannot('chdir', config.chdir, chdirFault);
  // Below a directory that is not there nothing is: one problem is enough.
  else
    for (const { prefix, dir } of config.static) {
      const fault = directoryFault(dir);
      if (fault !== null) cannot('static', `${prefix}=${dir}`, fault);
    }
  const names = new Set(appsOf(config).map(({ name }) => name));
  for (const { to } of config.routes)
    if (to.kind === 'named-app' && !names.has(to.name))
      cannot('routes', `app:${to.name}`, `there is no app ${quote(to.name)}`);
  for (const { name, chdir } of config.apps) {
    const fault = chdir === config.chdir ? null : directoryFault(chdir);
    if (fault !== null) cannot('apps', name, fault);
  }
  for (const prefix of repeated(config.static.map((mount) => mount.prefix)))
    cannot('static', prefix, 'two directories have this prefix');

  for (const [status, path] of Object.entries(config.errorPages)) {
    const fault = fileFault(path);
    if (fault !== null) cannot('errorPages', `${status}=${path}`, fault);
  }

  for (const { name, why } of routeFileFaults(config.routes, fileFault))
    cannot('routes', name, why);

  const { bind, faults } = await resolveHosts(config.bind);
  for (const { address, why } of faults) cannot('bind', showBind(address), why);
  // One port speaks TLS or not; 0 is another one each time.
  const fixed = bind.filter((it) => it.kind !== 'tcp' || it.port !== 0);
  for (const address of repeated(fixed.map((it) => showBind({ ...it, tls: false }))))
    cannot('bind', address, 'it is there twice');
  for (const address of bind)
    if (address.kind === 'unix' && Buffer.byteLength(address.path) > socketPathBytesMax)
      cannot('bind', showBind(address), `its path is longer than ${socketPathBytesMax} bytes`);

  const warnings = await checkTls({ ...config, bind }, cannot, Date.now());

  for (const { key, value, why } of acmeFaults(config, fileFault)) cannot(key, value, why);

  const formatFault = checkAccessLogFormat(config.accessLogformat);
  if (formatFault !== null) cannot('accessLogformat', config.accessLogformat, formatFault);

  // Only root can become someone else; the arbiter says so to everyone else.
  if (process.getuid?.() === 0) {
    if (config.user !== null && findUser(config.user) === null)
      cannot('user', config.user, 'there is no such user');
    if (config.group !== null && findGroup(config.group) === null)
      cannot('group', config.group, 'there is no such group');
  }
  return { config: { ...config, bind }, problems, warnings };
}

/** Null when the path is a directory. */
function directoryFault(path: string): string | null {
  try {
    return statSync(path).isDirectory() ? null : `${path} is not a directory`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? `there is no directory ${path}` : `${path} cannot be read (${code})`;
  }
}

/** Null when the path is a file that can be read. */
function fileFault(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return `${path} is not a file`;
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read (${code})`;
  }
}

/** A listening socket needs a number; IPv4 first, since "localhost" to most means 127.0.0.1. */
async function resolveHosts(addresses: readonly BindAddress[]) {
  const bind: BindAddress[] = [];
  const faults: { address: BindAddress; why: string }[] = [];
  for (const address of addresses) {
    bind.push(address);
    if (address.kind !== 'tcp' || isIP(address.host) !== 0) continue;
    try {
      const hits = await lookup(address.host, { all: true });
      const host = (hits.find(({ family }) => family === 4) ?? hits[0]!).address;
      bind[bind.length - 1] = { ...address, host };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      faults.push({ address, why: `the host name ${address.host} has no address (${code})` });
    }
  }
  return { bind, faults };
}

/** Each of the values that is there more than once, once. */
function repeated(values: readonly string[]): string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}
