// Sockets that were bound by who starts Portico: systemd's socket units (sd_listen_fds(3)), or any launcher with
// --bind fd://3. As with Gunicorn they stand in place of what the settings would bind.

import type { BindAddress, Config } from '../config/config.ts';
import type { LoadResult } from './decide/events.ts';
import { openInherited } from './sockets.ts';

export interface ListenFds {
  /** The settings with the addresses of those sockets in them, or what is wrong with that. */
  place(config: Config): LoadResult;
}

interface Passed {
  readonly fd: number;
  readonly name: string;
}

interface Open extends Passed {
  readonly address: Exclude<BindAddress, { kind: 'fd' }>;
}

/** SD_LISTEN_FDS_START */
const firstFd = 3;
/** More is a mistake: systemd passes as many as there are lines in the socket units. */
const fdsMax = 1024;

/** Reads the variables, and removes them: they speak of descriptors that children do not have. */
export function takeListenFds(env: NodeJS.ProcessEnv, pid: number): ListenFds {
  const passed = passedTo(env, pid);
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  return listenFds(passed, openInherited);
}

function passedTo(env: NodeJS.ProcessEnv, pid: number): readonly Passed[] {
  // Of another process: a shell between systemd and us, whose child must not take them for its own.
  if (Number(env.LISTEN_PID) !== pid || !/^\d{1,4}$/.test(env.LISTEN_FDS ?? '')) return [];
  const names = (env.LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: Math.min(fdsMax, Number(env.LISTEN_FDS)) }, (_, index) => ({
    fd: firstFd + index,
    name: names[index] || 'unknown',
  }));
}

/** `open` says where a descriptor listens; it throws where it does not. */
export function listenFds(
  passed: readonly Passed[],
  open: (fd: number) => Open['address'],
): ListenFds {
  /** Of the start. Later, descriptors are our own. */
  let known: readonly Open[] | null = null;

  function openAll(config: Config, problems: string[]): readonly Open[] {
    const numbered = config.bind
      .flatMap((bind) => (bind.kind === 'fd' && /^\d+$/.test(bind.name) ? [Number(bind.name)] : []))
      .filter((fd) => fd >= firstFd && !passed.some((socket) => socket.fd === fd))
      .map((fd) => ({ fd, name: 'unknown' }));
    return [...passed, ...numbered].flatMap((socket) => {
      try {
        return [{ ...socket, address: open(socket.fd) }];
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : cause;
        problems.push(`Cannot listen at descriptor ${socket.fd} (${socket.name}): ${why}`);
        return [];
      }
    });
  }

  return {
    place(config) {
      const problems: string[] = [];
      known ??= openAll(config, problems);
      const bind = config.bind.some(({ kind }) => kind === 'fd')
        ? config.bind.flatMap((address) =>
            address.kind === 'fd' ? named(address, known ?? [], problems) : [address],
          )
        : passed.length === 0
          ? config.bind
          : known.map((socket) => withTls(socket.address, isForTls(socket, config.bind)));
      return problems.length > 0
        ? { ok: false, problems }
        : { ok: true, config: { ...config, bind } };
    },
  };
}

/** "fd://3" is one socket, "fd://web" each that has that name. */
function named(
  { name, tls }: Extract<BindAddress, { kind: 'fd' }>,
  known: readonly Open[],
  problems: string[],
): BindAddress[] {
  const isMeant = /^\d+$/.test(name)
    ? ({ fd }: Open) => fd === Number(name)
    : (socket: Open) => socket.name === name;
  const found = known.filter(isMeant);
  if (found.length === 0 && problems.length === 0) {
    const all = known.map((socket) => `${socket.fd} (${socket.name})`).join(', ') || 'none';
    problems.push(
      `Cannot listen at fd://${name}: the sockets that were passed at the start: ${all}`,
    );
  }
  return found.map(({ address }) => withTls(address, tls));
}

function withTls(address: Open['address'], tls: boolean): BindAddress {
  return address.kind === 'unix' ? address : { ...address, tls };
}

/** The bind for the same port says; else systemd's name for the socket; else what all binds have in common. */
function isForTls({ name, address }: Open, bind: readonly BindAddress[]): boolean {
  const port = address.kind === 'tcp' ? address.port : -1;
  const same = bind.find((other) => other.kind === 'tcp' && other.port === port);
  return same?.tls ?? (name === 'https' || bind.every(({ tls }) => tls));
}
